/** apiClients: so many clients at once that stream answers of an API of OpenAI's kind, each one after another, and what they saw. */

import type { ApiSample } from './apiFigures.ts'

export interface ApiClientsOptions {
  /** With /v1. */
  readonly baseUrl: string
  /** Null: none is needed. */
  readonly key: string | null
  readonly model: string
  readonly clients: number
  /** Of each client. */
  readonly requests: number
  /** Of each answer, at most. */
  readonly tokens: number
}

export async function runApiClients(options: ApiClientsOptions): Promise<readonly ApiSample[]> {
  const { clients, requests } = options
  const client = async (_: unknown, index: number): Promise<ApiSample[]> => {
    const samples: ApiSample[] = []
    for (let request = 0; request < requests; request++) samples.push(await ask(options, index * requests + request))
    return samples
  }
  return (await Promise.all(Array.from({ length: clients }, client))).flat()
}

/** `seed`: so that no two questions are the same. */
async function ask({ baseUrl, key, model, tokens }: ApiClientsOptions, seed: number): Promise<ApiSample> {
  const headers = { 'content-type': 'application/json', ...(key === null ? {} : { authorization: `Bearer ${key}` }) }
  const messages = [{ role: 'user', content: 'Tell me a long story about a lighthouse.' }]
  const streamed = { stream: true, stream_options: { include_usage: true } }
  const body = JSON.stringify({ model, messages, seed, max_tokens: tokens, ...streamed })
  const startMs = performance.now()
  try {
    const response = await fetch(`${baseUrl}/chat/completions`, { method: 'POST', headers, body })
    if (!response.ok || response.body === null) return { kind: 'failed', code: codeOf(await response.json()) }
    return await read(response.body, startMs)
  } catch (error) {
    return { kind: 'failed', code: error instanceof Error ? error.name : 'unknown' }
  }
}

async function read(body: ReadableStream<Uint8Array>, startMs: number): Promise<ApiSample> {
  let firstMs: number | null = null
  let lastMs = 0
  let tokens = 0
  for await (const data of eventsOf(body)) {
    if (data === '[DONE]' && firstMs !== null) {
      const tokensPerSecond = tokens > 1 ? ((tokens - 1) * 1_000) / (lastMs - firstMs) : 0
      return { kind: 'answered', firstMs: firstMs - startMs, tokens, tokensPerSecond }
    }
    const chunk = JSON.parse(data)
    if (chunk.error !== undefined) return { kind: 'failed', code: codeOf(chunk) }
    if (chunk.usage != null) tokens = chunk.usage.completion_tokens
    if (chunk.choices?.[0]?.delta?.content) {
      lastMs = performance.now()
      firstMs ??= lastMs
    }
  }
  return { kind: 'failed', code: 'bare-end' }
}

async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  const reader = body.getReader()
  let text = ''
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const parts = (text + decoder.decode(read.value, { stream: true })).split('\n\n')
    text = parts.pop() ?? ''
    for (const part of parts) if (part.startsWith('data: ')) yield part.slice('data: '.length)
  }
}

function codeOf(body: { readonly error?: { readonly code?: string | null } }): string {
  return body.error?.code ?? 'unknown'
}

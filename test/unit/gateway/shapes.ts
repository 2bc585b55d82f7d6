/** A fetch for the clients that holds each JSON body and each chunk against its schema while it passes: a test of a client fails on what that client would have overlooked. */

import * as v from 'valibot'
import {
  batchSchema,
  chatChunkSchema,
  chatSchema,
  completedResponse,
  deletedSchema,
  errorSchema,
  estimateSchema,
  fileSchema,
  incompleteResponse,
  listOf,
  modelSchema,
  oldChunkSchema,
  oldSchema,
  recordSchema,
  recordsSchema,
  responseEvent,
} from '../../../src/coordinator/gateway/reference/answerSchemas.ts'

const SCHEMAS: readonly { readonly path: RegExp; readonly body: v.GenericSchema; readonly chunk?: v.GenericSchema }[] = [
  { path: /^\/v1\/models$/, body: v.strictObject({ object: v.literal('list'), data: v.array(modelSchema) }) },
  { path: /^\/v1\/models\/[^/]+$/, body: modelSchema },
  { path: /^\/v1\/estimate$/, body: estimateSchema },
  { path: /^\/v1\/files$/, body: v.union([fileSchema, listOf(fileSchema)]) },
  { path: /^\/v1\/files\/[^/]+$/, body: v.union([fileSchema, deletedSchema]) },
  { path: /^\/v1\/batches$/, body: v.union([batchSchema, listOf(batchSchema)]) },
  { path: /^\/v1\/batches\/[^/]+(\/cancel)?$/, body: batchSchema },
  { path: /^\/v1\/usage$/, body: recordsSchema },
  { path: /^\/v1\/usage\/[^/]+$/, body: recordSchema },
  { path: /^\/v1\/chat\/completions$/, body: chatSchema, chunk: v.union([chatChunkSchema, errorSchema]) },
  { path: /^\/v1\/responses$/, body: v.union([completedResponse, incompleteResponse]), chunk: responseEvent },
  { path: /^\/v1\/responses\/[^/]+$/, body: v.union([completedResponse, incompleteResponse, deletedSchema]) },
  { path: /^\/v1\/completions$/, body: oldSchema, chunk: v.union([oldChunkSchema, errorSchema]) },
]

/** Throws where an answer of the address `path` is not as its schema says. */
export function checkBody(path: string, status: number, body: unknown): void {
  v.parse(status === 200 ? schemasOf(path).body : errorSchema, body)
}

/** `name`: of the event, where it has one: the same as its data's type. */
export function checkChunk(path: string, data: string, name: string | null = null): void {
  if (data === '[DONE]') return
  const chunk: unknown = JSON.parse(data)
  v.parse(schemasOf(path).chunk ?? v.never(), chunk)
  v.parse(v.object({ type: v.optional(name === null ? v.undefined() : v.literal(name)) }), chunk)
}

function schemasOf(path: string) {
  const found = SCHEMAS.find((one) => one.path.test(path))
  if (found === undefined) throw new Error(`no schema for ${path}`)
  return found
}

export interface CheckedFetch {
  (input: string | URL | Request, init?: RequestInit): Promise<Response>
  /** What was not as it should be; bodies and chunks that were checked. */
  readonly seen: { readonly faults: string[]; bodies: number; chunks: number; readonly headers: Headers[] }
}

export function checkedFetch(): CheckedFetch {
  const seen: CheckedFetch['seen'] = { faults: [], bodies: 0, chunks: 0, headers: [] }
  const checked = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const response = await fetch(input, init)
    // No answer of ours: the `openai` package asks what its platform makes of forms.
    if (String(input).startsWith('data:')) return response
    const path = new URL(response.url).pathname
    const { status, headers } = response
    seen.headers.push(headers)
    if (!/^req_[0-9a-f]{32}$/.test(headers.get('x-request-id') ?? '')) seen.faults.push(`${path}: no x-request-id`)
    const check = (what: () => void) => {
      try {
        what()
      } catch (error) {
        seen.faults.push(`${path} ${status}: ${error instanceof v.ValiError ? JSON.stringify(v.flatten(error.issues)) : String(error)}`)
      }
    }
    const isStream = headers.get('content-type')?.startsWith('text/event-stream') === true
    const decoder = new TextDecoder()
    let text = ''
    const onBytes = new TransformStream<Uint8Array, Uint8Array>({
      transform(bytes, controller) {
        text += decoder.decode(bytes, { stream: true })
        for (let end = text.indexOf('\n\n'); isStream && end >= 0; end = text.indexOf('\n\n')) {
          const event = text.slice(0, end)
          text = text.slice(end + 2)
          if (event.startsWith(':')) continue
          seen.chunks++
          const [, name = null, data = ''] = /^(?:event: (.*)\n)?data: (.*)$/.exec(event) ?? []
          check(() => checkChunk(path, data, name))
        }
        controller.enqueue(bytes)
      },
      flush() {
        if (isStream) return check(() => v.parse(v.literal('', 'an event was cut off'), text))
        // The bytes of a file.
        if (headers.get('content-type') === 'application/octet-stream') return
        seen.bodies++
        check(() => checkBody(path, status, JSON.parse(text)))
      },
    })
    return new Response(response.body?.pipeThrough(onBytes) ?? null, response)
  }
  return Object.assign(checked, { seen })
}

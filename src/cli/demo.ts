/**
 * `tabswarm demo`: the whole way in a terminal. A coordinator on a free port, headless Chromium tabs as volunteers, one more
 * as the requester; asks, streams the answer, prints who computed what.
 */

import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { createChatTemplate, createTokenizer, encodePrompt, type Metadata } from '../model/index.ts'
import type { Answer, AskRequest, ChatMessage, EngineChoice } from '../peer/index.ts'
import { required, TabswarmError } from '../shared/index.ts'
import { DRAFT_MODEL_OPTION, resolveDraftModel } from './draftModel.ts'
import { oneOf } from './listOptions.ts'
import { printJson, printLine, printNote, progressPrinter, realNumber, UsageError, wholeNumber } from './output.ts'
import { addPathOptions, type PathFlags, pathOptions } from './paths.ts'
import { parseEngine } from './serve.ts'
import { openTabSwarm } from './tabSwarm.ts'
import { parseWire, rowEncodingOf, WIRE_DEFAULT, WIRE_HELP, type WireForm } from './wire.ts'

interface DemoOptions extends PathFlags {
  readonly tabs: number
  readonly prompt?: string
  readonly messages?: string
  readonly raw?: string
  readonly maxTokens: number
  readonly temperature: number
  readonly seed: number
  readonly model: string
  readonly engine: EngineChoice
  readonly latencyMs: number
  readonly speculation: 'on' | 'lookup' | 'off'
  readonly draftModel?: string
  readonly wire: WireForm
  readonly json: boolean
}

const DEFAULT_PROMPT = 'What is the capital of France?'

export function registerDemoCommand(program: Command): void {
  const command = program
    .command('demo')
    .description('answer one prompt with headless volunteer tabs, all on this machine')
    .option('--tabs <n>', 'volunteer tabs; the chain has exactly as many stages', wholeNumber('--tabs', 1, 16), 2)
    .option('--prompt <text>', `one user message (default: "${DEFAULT_PROMPT}")`)
    .option('--messages <file>', 'a JSON file with [{"role", "content"}, …]')
    .option('--raw <text>', 'text without the chat template')
    .option('--max-tokens <n>', 'longest answer, in tokens', wholeNumber('--max-tokens', 0, 1_000_000), 128)
    .option('--temperature <t>', '0 always takes the likeliest token', realNumber('--temperature', 0, 10), 0)
    .option('--seed <n>', 'of the sampling', wholeNumber('--seed', 0, 2 ** 32 - 1), 0)
    .option('--model <id|file|url>', 'the model to serve', 'default')
    .option('--engine <engine>', 'engine of the tabs: webgpu, wasm (no GPU), or auto: the faster one', parseEngine, 'auto')
    .option('--latency-ms <l>', 'one-way delay of a message between two tabs', realNumber('--latency-ms', 0, 10_000), 0)
    .option(
      '--speculation <on|lookup|off>',
      'draft tokens, the answer is the same: where the text repeats (lookup), and by the draft model if there is one (on)',
      oneOf('--speculation', ['on', 'lookup', 'off']),
      'on',
    )
    .option(DRAFT_MODEL_OPTION, "a smaller model with the same vocabulary that drafts in the requester's tab")
    .option('--wire <form>', WIRE_HELP, parseWire, WIRE_DEFAULT)
    .option('--json', 'one JSON object on stdout', false)
  addPathOptions(command).action(demo)
}

async function demo(options: DemoOptions): Promise<void> {
  const prompt = await readPrompt(options)
  const paths = pathOptions(options, process.env)
  const { resolveModel } = await import('../node/index.ts')
  const model = await resolveModel(options.model, progressPrinter('model'))
  const draftModel = options.draftModel === undefined ? null : await resolveDraftModel(options.draftModel, model)
  const positions = countPromptTokens(model.gguf.metadata, prompt) + options.maxTokens
  const { tabs, engine, latencyMs, wire } = options
  const swarm = { model, draftModel, tabs, engine, positions, latencyMs, rowEncoding: rowEncodingOf(wire), paths }
  const { requesters, close } = await openTabSwarm(swarm)
  try {
    printNote('all layers are served; asking')
    const stream = textStream(options.json ? process.stderr : process.stdout)
    const requester = required(requesters[0], 'a requester')
    const answer = await requester.ask(askRequest(options, prompt, model.hashedManifest.manifest.id), ({ text }) => stream.show(text))
    stream.end()
    if (options.json) printJson(jsonAnswer(answer))
    else printTable(answer)
  } finally {
    await close()
  }
}

function countPromptTokens(metadata: Metadata, prompt: AskRequest['prompt']): number {
  if (prompt.kind === 'ids') return prompt.ids.length
  const tokenizer = createTokenizer(metadata)
  const text = prompt.kind === 'raw' ? prompt.text : createChatTemplate(metadata, tokenizer).render(prompt.messages)
  return encodePrompt(tokenizer, text).length
}

async function readPrompt(options: DemoOptions): Promise<AskRequest['prompt']> {
  const given = [options.prompt, options.messages, options.raw].filter((value) => value !== undefined)
  if (given.length > 1) throw new UsageError('--prompt, --messages and --raw exclude each other: give one')
  if (options.raw !== undefined) return { kind: 'raw', text: options.raw }
  if (options.messages !== undefined) return { kind: 'messages', messages: await readMessages(options.messages) }
  return { kind: 'messages', messages: [{ role: 'user', content: options.prompt ?? DEFAULT_PROMPT }] }
}

async function readMessages(file: string): Promise<ChatMessage[]> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new TabswarmError('bad-messages', `cannot read ${file}: ${String(error)}`)
  })
  let messages: unknown
  try {
    messages = JSON.parse(text)
  } catch (error) {
    throw new TabswarmError('bad-messages', `${file} is not JSON: ${String(error)}`)
  }
  if (!Array.isArray(messages) || messages.length === 0 || !messages.every(isChatMessage))
    throw new TabswarmError('bad-messages', `${file} must hold [{"role": "system" | "user" | "assistant", "content": "…"}, …]`)
  return messages
}

function isChatMessage(value: unknown): value is ChatMessage {
  if (typeof value !== 'object' || value === null || !('role' in value) || !('content' in value)) return false
  return typeof value.content === 'string' && (value.role === 'system' || value.role === 'user' || value.role === 'assistant')
}

function askRequest(options: DemoOptions, prompt: AskRequest['prompt'], modelId: AskRequest['modelId']): AskRequest {
  const sampling = { temperature: options.temperature, topP: 1, topK: 0, minP: 0, seed: options.seed, stop: [] }
  return { modelId, prompt, maxTokens: options.maxTokens, sampling, speculation: options.speculation }
}

/** Writes a growing text as it grows. */
function textStream(to: NodeJS.WriteStream): { show(text: string): void; end(): void } {
  let shown = 0
  return {
    show(text) {
      to.write(text.slice(shown))
      shown = text.length
    },
    end: () => void to.write('\n'),
  }
}

function jsonAnswer(answer: Answer): object {
  const { sessionId: _session, stages, ...rest } = answer
  return { ...rest, stages: stages.map(({ computeMsPerLap, ...stage }) => ({ ...stage, computeMsPerLap })) }
}

function printTable(answer: Answer): void {
  const { tokensPerSecond, timeToFirstTokenMs, completionTokenIds, dataPath, finishReason, drafts, draftModel } = answer
  printLine()
  printLine('stage  peer      layers   engine  ms/lap  link    sent       adapter')
  printLine(`${'driver'.padEnd(42)}${answer.firstLink ?? '–'}`)
  answer.stages.forEach((stage, index) => {
    const cells = [
      String(index).padEnd(5),
      stage.peerId.slice(0, 8),
      `${stage.firstLayer}–${stage.endLayer - 1}`.padEnd(7),
      stage.engine.padEnd(6),
      (stage.computeMsPerLap?.toFixed(1) ?? '–').padStart(6),
      stage.link.kind.padEnd(6),
      `${(stage.link.bytesSent / 1e3).toFixed(1)} kB`.padEnd(9),
      stage.adapter,
    ]
    printLine(cells.join('  '))
  })
  const first = timeToFirstTokenMs === null ? 'none came' : `first after ${(timeToFirstTokenMs / 1e3).toFixed(2)} s`
  const speed = tokensPerSecond === null ? '' : `, ${tokensPerSecond.toFixed(2)} tokens/s`
  const accepted = drafts.draftedTokens === 0 ? '' : `, ${drafts.acceptedTokens} of ${drafts.draftedTokens} drafted tokens accepted`
  if (draftModel?.problem != null) printLine(`the draft model ${draftModel.modelId} was dropped: ${draftModel.problem.message}`)
  printLine(`${completionTokenIds.length} tokens (${finishReason}), ${first}${speed}${accepted}, data path ${dataPath}`)
}

/**
 * One engine of `bench tolerance` in a process of its own, as each of Dawn's drivers needs it: the orders that it takes, and what it answers. Rows go
 * over the processes' own channel.
 */

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import type { Span } from '../model/index.ts'
import { type ErrorBody, fromErrorBody, TabswarmError, toErrorBody } from '../shared/index.ts'
import type { EngineRows, MeasureRequest, RecordedSession, RecordRequest, WholeLoad } from '../tolerance/index.ts'
import { type EngineAdapter, openEngine, parseAdapter } from './engine.ts'
import { UsageError } from './output.ts'

const COMMAND = 'tolerance-engine'

type Order =
  | { readonly kind: 'record'; readonly spans: readonly Span[]; readonly requests: readonly RecordRequest[] }
  | { readonly kind: 'measure'; readonly request: Omit<MeasureRequest, 'random' | 'onProgress'>; readonly seed: number }

type Reply =
  | { readonly kind: 'ready' }
  | { readonly kind: 'progress'; readonly what: string }
  | { readonly kind: 'recorded'; readonly sessions: readonly RecordedSession[] }
  | { readonly kind: 'measured'; readonly rows: EngineRows }
  | { readonly kind: 'failed'; readonly error: ErrorBody }

/** Two processes of this program share its root. */
const program = fileURLToPath(new URL('../../bin/tabswarm.mjs', import.meta.url))

export interface ToleranceEngine {
  record(spans: readonly Span[], requests: readonly RecordRequest[]): Promise<readonly RecordedSession[]>
  measure(request: Omit<MeasureRequest, 'random' | 'onProgress'>, seed: number): Promise<EngineRows>
  close(): void
}

/** The engine, or why this machine has none such. Rejects with what else is wrong, as with the model. */
export async function openToleranceEngine(
  adapter: EngineAdapter,
  model: string,
  onProgress: (what: string) => void,
): Promise<ToleranceEngine | { readonly missing: string }> {
  const { ADAPTER_VARIABLE, environmentFor } = await import('../node/index.ts')
  const found = adapter === 'cpu' || adapter === 'wasm' ? { env: {} } : await environmentFor(adapter)
  if ('missing' in found) return found
  const child = fork(program, ['bench', COMMAND, '--adapter', adapter, '--model', model], {
    env: { ...process.env, ...found.env, [ADAPTER_VARIABLE]: adapter },
    serialization: 'advanced',
    // What it prints is for the person at the terminal.
    stdio: ['ignore', 2, 2, 'ipc'],
  })
  try {
    await replyOf(child, 'ready', onProgress)
  } catch (error) {
    child.kill()
    if (error instanceof TabswarmError && error.reason === 'no-adapter') return { missing: error.message }
    throw error
  }
  const ask = <Kind extends Reply['kind']>(order: Order, kind: Kind) => {
    child.send(order)
    return replyOf(child, kind, onProgress)
  }
  return {
    record: async (spans, requests) => (await ask({ kind: 'record', spans, requests }, 'recorded')).sessions,
    measure: async (request, seed) => (await ask({ kind: 'measure', request, seed }, 'measured')).rows,
    close: () => void child.kill(),
  }
}

type ReplyOf<Kind extends Reply['kind']> = Extract<Reply, { readonly kind: Kind }>

function isReply<Kind extends Reply['kind']>(reply: Reply, kind: Kind): reply is ReplyOf<Kind> {
  return reply.kind === kind
}

/** The child's next reply of that kind. Rejects with the child's error, or when it is gone. */
function replyOf<Kind extends Reply['kind']>(child: ChildProcess, kind: Kind, onProgress: (what: string) => void): Promise<ReplyOf<Kind>> {
  return new Promise((resolve, reject) => {
    const settle = (action: () => void) => {
      child.off('message', hear)
      child.off('exit', leave)
      action()
    }
    const hear = (reply: Reply) => {
      if (reply.kind === 'progress') onProgress(reply.what)
      else if (reply.kind === 'failed') settle(() => reject(fromErrorBody(reply.error)))
      else if (isReply(reply, kind)) settle(() => resolve(reply))
    }
    const leave = (code: number | null, signal: string | null) =>
      settle(() => reject(new TabswarmError('engine-gone', `the engine's process ended early, with ${signal ?? `code ${code}`}`)))
    child.on('message', hear)
    child.on('exit', leave)
  })
}

/** The other end: not for people, so not in the help. */
export function registerToleranceEngine(bench: Command): void {
  bench
    .command(COMMAND, { hidden: true })
    .requiredOption('--adapter <name>', '', parseAdapter)
    .requiredOption('--model <id|file|url>')
    .action(serveOrders)
}

async function serveOrders({ adapter, model }: { readonly adapter: EngineAdapter; readonly model: string }): Promise<void> {
  const send = process.send?.bind(process)
  if (send === undefined) throw new UsageError(`bench ${COMMAND} is started by bench tolerance; run that`)
  const reply = (value: Reply) => void send(value)
  const fail = (error: unknown) => reply({ kind: 'failed', error: toErrorBody(error) })
  try {
    const { measureEngine, record } = await import('../tolerance/index.ts')
    const { Chance } = await import('../sim/index.ts')
    const engine = await openEngine(adapter)
    const load = await wholeLoad(model)
    const carryOut = async (order: Order): Promise<Reply> => {
      if (order.kind === 'record') return { kind: 'recorded', sessions: await record(engine, load, order.spans, order.requests) }
      const chance = new Chance(order.seed, 1)
      const onProgress = (what: string) => reply({ kind: 'progress', what })
      return { kind: 'measured', rows: await measureEngine(engine, load, { ...order.request, random: () => chance.unit(), onProgress }) }
    }
    process.on('message', (order: Order) => void carryOut(order).then(reply, fail))
    reply({ kind: 'ready' })
  } catch (error) {
    fail(error)
  }
  await once(process, 'disconnect')
}

async function wholeLoad(name: string): Promise<WholeLoad> {
  const { createTensorLoader } = await import('../model/index.ts')
  const { nodeSha256, resolveModel } = await import('../node/index.ts')
  const { hashedManifest, source } = await resolveModel(name)
  const { manifest } = hashedManifest
  return {
    manifest,
    span: { firstLayer: 0, endLayer: manifest.config.layerCount },
    loadTensor: createTensorLoader({ source, sha256: nodeSha256 }),
    memoryBytesMax: Number.MAX_SAFE_INTEGER,
    onProgress: () => undefined,
    signal: new AbortController().signal,
  }
}

/**
 * Tabs without a browser: each with its own key, control socket and relayed links, WebSockets all of them, around the CPU engine. A volunteer may
 * have an engine that cheats; a requester asks, drives and signs as the page does.
 */

import { WebSocket } from 'ws'
import { isReceiptOf, sha256Of, signatureVerifier } from '../../src/network/index.ts'
import { AuditErrands } from '../../src/peer/auditErrands.ts'
import { type ConnectionHost, PeerConnection } from '../../src/peer/connection.ts'
import { SpareLayers } from '../../src/peer/spareLayers.ts'
import { certifyPeer, type Grant, openGrant, type VerdictMessage } from '../../src/protocol/index.ts'
import { ReceiptBook, RowBudget } from '../../src/receipts/index.ts'
import { GREEDY, generate, LinkRouter, openLinkChain } from '../../src/session/index.ts'
import { type Clock, type ModelId, type PeerId, type Signer, toErrorBody } from '../../src/shared/index.ts'
import { StageHost } from '../../src/stage/index.ts'
import { createCpuEngine, type Engine } from '../../src/worker/index.ts'
import { loadRequest } from './engineRuns.ts'
import type { TestModel } from './tinyModels.ts'

const { subtle } = globalThis.crypto
const [sha256, verify] = [sha256Of(subtle), signatureVerifier(subtle)]

/** A prompt goes in a few parts. */
const CHUNK_ROWS = 8

export interface TabOptions {
  /** Of the coordinator. */
  readonly url: string
  readonly clock: Clock
  readonly model: TestModel
  /** Whose tab it is; its own where it is left out. */
  readonly owner?: Signer
}

function hostOf({ url, clock, owner }: TabOptions): ConnectionHost {
  return {
    origin: new URL(url).origin,
    openSocket: (socketUrl) => new WebSocket(socketUrl) as unknown as ReturnType<ConnectionHost['openSocket']>,
    clock,
    random: Math.random,
    randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
    subtle,
    account: Promise.resolve(owner === undefined ? null : { certify: (peerId, nowMs) => certifyPeer(peerId, owner, nowMs) }),
  }
}

export interface VolunteerTab {
  readonly peerId: PeerId
  /** As the coordinator has told it. */
  readonly account: string
  /** Resolves with the error that the coordinator closed it with. */
  readonly ended: Promise<{ readonly reason: string }>
  readonly host: StageHost
  /** What it was told of its work, in order. */
  readonly verdicts: readonly VerdictMessage[]
  close(): void
}

/** Resolves when it serves what it was told to. `macsPerSecond` is what it claims: who is faster is asked first. */
export async function openVolunteer(
  options: TabOptions & { readonly macsPerSecond: number; readonly disguise?: (engine: Engine) => Promise<Engine> },
): Promise<VolunteerTab> {
  const { clock, url, model, macsPerSecond, disguise = async (engine) => engine } = options
  const openEngine = () => disguise(createCpuEngine({ nowMs: () => performance.now() }))
  const engine = await openEngine()
  const connection = await PeerConnection.open(hostOf(options), {
    load: async () => ({ sessions: host?.sessionsOpen ?? 0, kvPositionsFree: 4_000 }),
    framePlace: 'page',
    onIncoming: (link) => host?.addLink(link),
  })
  let host: StageHost | null = null
  const { control, peerId } = connection
  const told = new Promise<string>((resolve) => {
    control.on('account', ({ accountId }) => resolve(accountId))
  })
  const verdicts: VerdictMessage[] = []
  control.on('verdict', (verdict) => verdicts.push(verdict))
  const online = await onlineState(connection)
  const stage = new StageHost({
    peerId,
    engine,
    dial: async (to) => (await connection.network()).dial(to),
    clock: { nowMs: () => control.coordinatorNowMs(), after: (delayMs, callback) => clock.after(delayMs, callback) },
    coordinatorKey: online.coordinatorKey,
    verify,
    sha256,
    receipts: {
      signer: { sign: (message) => connection.sign(message) },
      head: () => connection.heads.head,
      onHead: (head) => void connection.heads.heard(head),
      onReceipt: (receipt) => void control.send({ type: 'receipt', receipt }),
      isSignedBy: (receipt, publicKey, driver) =>
        isReceiptOf({ receipt, publicKey, peerId: driver, nowMs: control.coordinatorNowMs() }, { sha256, verify }),
    },
  })
  host = stage
  await connection.network()
  const cache = { get: async () => null, put: async () => undefined, remove: async () => undefined }
  const spare = new SpareLayers({ openEngine, tensors: { clock, cache, fetch: (from, init) => fetch(from, init), sha256 } })
  const errands = new AuditErrands({ fetch, stage: () => stage, spare })
  const audited = { manifest: model.manifest, modelUrl: new URL(`/models/${model.manifest.id}/file`, url).href }
  control.on('audit', (errand) => void errands.run(errand, new URL(errand.path, url).href, audited))
  control.on('ask-receipt', ({ type: _, ...wanted }) => stage.receipts?.ask(wanted))
  control.on('release-log', ({ sessionId }) => stage.release(sessionId))
  const serving = new Promise<void>((resolve) => {
    control.on('assign', async ({ assignmentId, span, kvPositions, manifestHash }) => {
      await stage.drain()
      await spare.giveUp()
      await engine.load(loadRequest(model, span, { kvPositions }))
      stage.serve({ manifestHash, span, config: model.manifest.config })
      control.send({ type: 'serving', assignmentId, span, kvPositions })
      resolve()
    })
  })
  const ended = new Promise<{ readonly reason: string }>((resolve) => {
    control.on('state', (state) => {
      if (state.kind === 'closed') resolve(state.error)
    })
  })
  const kernels = { adapter: 'CPU', numericClass: 'cpu', kernelVersion: 'test-1' }
  control.send({ type: 'pledge', memoryBytes: 1e9, engine: 'cpu', ...kernels, macsPerSecond })
  await serving
  return { peerId, account: await told, ended, host: stage, verdicts, close: () => connection.close() }
}

export interface RequesterTab {
  readonly peerId: PeerId
  readonly heads: PeerConnection['heads']
  /** Tokens, and the chain that gave them. Rejects as admission or the chain do. */
  ask(promptTokenIds: readonly number[], maxTokens: number): Promise<{ readonly ids: readonly number[]; readonly grant: Grant }>
  close(): void
}

export async function openRequester(options: TabOptions): Promise<RequesterTab> {
  const { clock, model } = options
  const connection = await PeerConnection.open(hostOf(options), {
    load: async () => ({ sessions: 0, kvPositionsFree: 0 }),
    framePlace: 'page',
    onIncoming: (link) => link.close(),
  })
  const { control, peerId } = connection
  const { coordinatorKey } = await onlineState(connection)
  const now: Clock = { nowMs: () => control.coordinatorNowMs(), after: (delayMs, callback) => clock.after(delayMs, callback) }
  const receipts = new ReceiptBook({
    peerId,
    signer: { sign: (message) => connection.sign(message) },
    sha256,
    clock: now,
    budget: new RowBudget(),
    head: () => connection.heads.head,
    onReceipt: (receipt) => void control.send({ type: 'receipt', receipt }),
  })
  control.on('ask-receipt', ({ type: _, ...wanted }) => receipts.ask(wanted))
  const router = new LinkRouter({ dial: async (to) => (await connection.network()).dial(to), clock })
  const { vocabularySize } = model.manifest.config
  return {
    peerId,
    heads: connection.heads,
    async ask(promptTokenIds, maxTokens) {
      const modelId = model.manifest.id as ModelId
      const { grant: signedGrant } = await control.admit({
        modelId,
        promptTokens: promptTokenIds.length,
        maxTokens,
        tier: 'standard',
        waitMs: 0,
      })
      const opened = await openGrant(signedGrant, coordinatorKey, verify, now.nowMs())
      if (!opened.ok) throw new Error(opened.error)
      const grant = opened.value
      const told = { sessionId: grant.sessionId, failedPeerId: null, laps: null } as const
      try {
        const chain = await openLinkChain({
          router,
          grant,
          signedGrant,
          repair: null,
          vocabularySize,
          clock,
          receipts: { book: receipts, publicKey: connection.publicKey },
        })
        const tokenizer = { vocabularySize, isEnd: () => false, tokenBytes: () => new Uint8Array(0) }
        const { completionTokenIds: ids } = await generate({
          chain,
          tokenizer,
          promptTokenIds,
          maxTokens,
          sampling: GREEDY,
          chunkRows: CHUNK_ROWS,
          clock,
        })
        chain.close()
        await receipts.settled()
        control.send({ type: 'ended', ...told, outcome: 'finished' })
        return { ids, grant }
      } catch (error) {
        control.send({ type: 'ended', ...told, outcome: 'failed' })
        throw new Error(toErrorBody(error).message, { cause: error })
      }
    },
    close: () => connection.close(),
  }
}

type Online = Extract<PeerConnection['control']['state'], { kind: 'online' }>

function onlineState({ control }: PeerConnection): Promise<Online> {
  const { state } = control
  if (state.kind === 'online') return Promise.resolve(state)
  return new Promise((resolve) => {
    control.on('state', (next) => {
      if (next.kind === 'online') resolve(next)
    })
  })
}

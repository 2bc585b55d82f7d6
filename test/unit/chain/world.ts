/**
 * A whole swarm in one test: driver, coordinator's key, stages over fake engines, and links whose frames are delivered one by
 * one in an order that the test may choose. The order within a link and direction is kept, except that urgent overtakes.
 */

import { createHash, createHmac } from 'node:crypto'
import { Segment } from '../../../src/coordinator/verification/segment.ts'
import { settle } from '../../../src/coordinator/verification/settle.ts'
import {
  decodeFrame,
  encodeFrame,
  type Frame,
  type Grant,
  type LedgerHead,
  type Link,
  type Receipt,
  type RowEncoding,
  readReceipt,
  rowTotal,
  type SignedGrant,
  type SignedReceipt,
  signGrant,
} from '../../../src/protocol/index.ts'
import { ReceiptBook, RowBudget } from '../../../src/receipts/index.ts'
import { type Chain, LinkRouter, openLinkChain } from '../../../src/session/index.ts'
import {
  type ManifestHash,
  ManualClock,
  type ModelId,
  type PeerId,
  required,
  type SessionId,
  TabswarmError,
} from '../../../src/shared/index.ts'
import { ReceiptCheck } from '../../../src/sim/receiptCheck.ts'
import { StageHost } from '../../../src/stage/index.ts'
import { FakeEngine, fakeConfig } from './fakeEngine.ts'
import { type Lane, TestLink } from './testLink.ts'

const COORDINATOR_KEY = new Uint8Array(65).fill(4)
export const MANIFEST = 'ab'.repeat(32) as ManifestHash
export const NOW_MS = 1_700_000_000_000

export const sha256 = async (bytes: Uint8Array) => new Uint8Array(createHash('sha256').update(bytes).digest())
const mac = (message: Uint8Array) => new Uint8Array(createHmac('sha512', COORDINATOR_KEY).update(message).digest())
export const coordinatorSigner = { publicKey: COORDINATOR_KEY, sign: async (message: Uint8Array) => mac(message) }
export const verify = async (_key: Uint8Array, message: Uint8Array, signature: Uint8Array) => Buffer.from(mac(message)).equals(signature)

export function peerId(number: number): PeerId {
  return number.toString(16).padStart(32, '0') as PeerId
}

export const DRIVER = peerId(0xd0)

type Repair = NonNullable<Parameters<typeof openLinkChain>[0]['repair']>

export interface Stage {
  readonly id: PeerId
  readonly engine: FakeEngine
  readonly host: StageHost
}

export interface WorldOptions {
  /** Which of so many waiting frames is delivered next. */
  readonly pick?: (count: number) => number
  readonly positionsMax?: number
  /** Of each stage's activation log. */
  readonly logBytesMax?: number
  /** False: the driver signs nothing. */
  readonly driverSigns?: boolean
}

export class World {
  readonly clock = new ManualClock()
  readonly stages: Stage[]
  readonly router: LinkRouter
  readonly links: { readonly from: PeerId; readonly to: PeerId; readonly atFrom: TestLink; readonly atTo: TestLink }[] = []
  /** What everybody signed, and under which grants. */
  readonly receipts: Receipt[] = []
  /** Bodies of receipts whose signature is not their driver's. */
  readonly forged = new Set<string>()
  /** The ledger's head that the driver has checked. */
  driverHead: LedgerHead | null = null
  /** Heads that stages heard of from their driver. */
  readonly heads: (readonly [PeerId, LedgerHead])[] = []
  /** What stages told of their driver's, beside their own. */
  readonly forwarded: Receipt[] = []
  readonly #receiptFaults: string[] = []
  readonly grants: Grant[] = []
  /** Rows that the driver submitted, of all sessions. */
  submittedRows = 0
  readonly #driverBook: ReceiptBook | null
  readonly #lanes: Lane[] = []
  readonly #pick: (count: number) => number
  #sessionNumber = 1
  /** Changes frames of that sender on their way, null: loses them. */
  tamper: (frame: Frame, from: PeerId) => Frame | null = (frame) => frame
  /** A frame has arrived. */
  onDelivered: () => void = () => undefined
  readonly #silent = new Set<PeerId>()
  readonly #muted = new Set<string>()
  readonly #drainListeners = new Set<(peer: PeerId) => void>()
  readonly #goneListeners = new Set<(peer: PeerId) => void>()
  /** Turns of the event loop until a link is there. */
  dialTurns: () => number = () => 0
  /** Peers that cannot be reached. */
  readonly unreachable = new Set<PeerId>()

  constructor(stageCount: number, options: WorldOptions = {}) {
    let turn = 0
    this.#pick = options.pick ?? (() => turn++)
    this.clock.advance(NOW_MS)
    const signer = { sign: async () => new Uint8Array(64) }
    const receiptsOf = (peer: PeerId) => (signed: SignedReceipt) => {
      const receipt = readReceipt(signed)
      if (!receipt.ok) this.#receiptFaults.push(receipt.error)
      else if (receipt.value.peerId === peer) this.receipts.push(receipt.value)
      else this.forwarded.push(receipt.value)
    }
    const own = { head: () => this.driverHead, onReceipt: receiptsOf(DRIVER) }
    const tools = { peerId: DRIVER, signer, sha256, clock: this.clock, budget: new RowBudget(), ...own }
    this.#driverBook = options.driverSigns === false ? null : new ReceiptBook(tools)
    this.router = new LinkRouter({ dial: (to) => this.dial(DRIVER, to), clock: this.clock })
    this.stages = Array.from({ length: stageCount }, (_, index) => {
      const id = peerId(index + 1)
      const engine = new FakeEngine(options.positionsMax)
      const dial = (to: PeerId) => this.dial(id, to)
      const host = new StageHost({
        peerId: id,
        engine,
        dial,
        clock: this.clock,
        coordinatorKey: COORDINATOR_KEY,
        verify,
        sha256,
        receipts: {
          signer,
          head: () => null,
          onHead: (head) => this.heads.push([id, head]),
          onReceipt: receiptsOf(id),
          isSignedBy: async (signed) => !this.forged.has(signed.body),
        },
        ...(options.logBytesMax === undefined ? {} : { logBytesMax: options.logBytesMax }),
      })
      host.serve({ manifestHash: MANIFEST, span: { firstLayer: 0, endLayer: fakeConfig.layerCount }, config: fakeConfig })
      return { id, engine, host }
    })
  }

  /** A peer that can be reached and never says anything. */
  addSilent(peer: PeerId): void {
    this.#silent.add(peer)
  }

  /** A link to a stage, made anew; the stage's end is handed to its host. */
  connect(from: PeerId, to: PeerId): TestLink {
    if (this.#silent.has(to)) return TestLink.pair(this, from, to).atA
    const stage = required(
      this.stages.find(({ id }) => id === to),
      `peer ${to}`,
    )
    const { atA, atB } = TestLink.pair(this, from, to)
    this.links.push({ from, to, atFrom: atA, atTo: atB })
    stage.host.addLink(atB)
    return atA
  }

  async dial(from: PeerId, to: PeerId): Promise<Link> {
    for (let turns = this.dialTurns(); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve))
    if (this.unreachable.has(to)) throw new TabswarmError('unreachable', `peer ${to.slice(0, 8)} does not answer`)
    return this.connect(from, to)
  }

  /** A grant over the first `stageCount` stages, layers cut as evenly as they go. */
  grant(options: { readonly stageCount?: number; readonly rowEncoding?: RowEncoding; readonly change?: Partial<Grant> } = {}): Grant {
    const count = options.stageCount ?? this.stages.length
    const cut = (index: number) => Math.round((index * fakeConfig.layerCount) / count)
    return {
      version: 1,
      revision: 0,
      sessionId: (this.#sessionNumber++).toString(16).padStart(32, '0') as SessionId,
      modelId: 'fake' as ModelId,
      manifestHash: MANIFEST,
      driver: DRIVER,
      stages: Array.from({ length: count }, (_, index) => ({
        peerId: peerId(index + 1),
        firstLayer: cut(index),
        endLayer: cut(index + 1),
      })),
      maxPositions: 1_000,
      topK: 8,
      rowEncoding: options.rowEncoding ?? 'f32',
      issuedAtMs: this.clock.nowMs() - 1_000,
      expiresAtMs: this.clock.nowMs() + 3_600_000,
      ...options.change,
    }
  }

  /** The peer is gone: its links end, nobody reaches it any more. */
  kill(peer: PeerId): void {
    this.unreachable.add(peer)
    for (const { from, to, atFrom } of this.links) if (from === peer || to === peer) atFrom.close({ reason: 'lost', detail: 'gone' })
  }

  /** Nothing that the peer says arrives any more, nor does it hear anything; its links stay. */
  mute(peer: PeerId): void {
    this.addSilent(peer)
    for (const { from, to } of this.links) if (from === peer || to === peer) this.muteLink(from, to)
  }

  /** Frames between the two are lost. */
  muteLink(a: PeerId, b: PeerId): void {
    this.#muted.add(`${a} ${b}`).add(`${b} ${a}`)
  }

  sign(grant: Grant): Promise<SignedGrant> {
    this.grants.push(grant)
    return signGrant(grant, coordinatorSigner)
  }

  async open(grant: Grant, signal?: AbortSignal): Promise<Chain> {
    return this.run(this.opening(grant, null, signal))
  }

  /** The same, for who delivers frames itself. */
  async opening(grant: Grant, repair: Repair | null, signal?: AbortSignal): Promise<Chain> {
    const signedGrant = await this.sign(grant)
    const onDraining = (listener: (peer: PeerId) => void) => {
      this.#drainListeners.add(listener)
      return () => this.#drainListeners.delete(listener)
    }
    const onGone = (listener: (peer: PeerId) => void) => {
      this.#goneListeners.add(listener)
      return () => this.#goneListeners.delete(listener)
    }
    const { router, clock } = this
    const receipts = this.#driverBook === null ? {} : { receipts: { book: this.#driverBook, publicKey: new Uint8Array(65) } }
    const options = {
      router,
      grant,
      signedGrant,
      repair,
      onDraining,
      onGone,
      vocabularySize: fakeConfig.vocabularySize,
      clock,
      ...receipts,
    }
    const chain = await openLinkChain(signal === undefined ? options : { ...options, signal })
    const submit = chain.submit.bind(chain)
    chain.submit = (lap) => {
      this.submittedRows += lap.ids.length
      return submit(lap)
    }
    return chain
  }

  /** For how many rows that stage is to be paid, over the only session's segments. */
  paidRows(peer: PeerId): number {
    const segments = this.grants.map((grant) => {
      const segment = new Segment(grant)
      for (const receipt of this.receipts) if (receipt.revision === grant.revision) segment.add(receipt)
      return { segment, left: new Set<PeerId>() }
    })
    const lines = settle(segments, (one, other) => one === other).lines.filter(({ peerId: paid }) => paid === peer)
    return lines.reduce((sum, { rows }) => sum + rowTotal(rows), 0)
  }

  /** What is wrong with everybody's receipts of the only session; all are honest. */
  receiptFaults(): string[] {
    const faults = [...this.#receiptFaults]
    let nowMs = NOW_MS
    const check = new ReceiptCheck({
      nowMs: () => nowMs,
      ask: () => undefined,
      isUndisturbed: () => false,
      onBroken: (_, what) => faults.push(what),
    })
    for (const grant of this.grants) check.onGrant(grant)
    const { sessionId } = required(this.grants[0], 'a grant')
    check.onSubmitted(sessionId, NOW_MS, this.submittedRows)
    for (const receipt of this.receipts) check.onReceipt(receipt.peerId, receipt)
    check.onEnded(sessionId)
    for (; check.figures.sessions === 0; nowMs += 10_000) check.tick()
    return faults
  }

  /** The coordinator says that a peer is about to stop. */
  tellDraining(peer: PeerId): void {
    for (const listener of this.#drainListeners) listener(peer)
  }

  /** The coordinator has lost sight of a peer. */
  tellGone(peer: PeerId): void {
    for (const listener of this.#goneListeners) listener(peer)
  }

  post(to: TestLink, bytes: Uint8Array, urgent: boolean): void {
    let lane = this.#lanes.find((known) => known.to === to)
    if (lane === undefined) {
      lane = { to, frames: [] }
      this.#lanes.push(lane)
    }
    const frame = { bytes, urgent }
    const firstData = lane.frames.findIndex((known) => !known.urgent)
    if (urgent && firstData >= 0) lane.frames.splice(firstData, 0, frame)
    else lane.frames.push(frame)
  }

  /** Delivers frames until nothing moves any more. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 12; quiet++) {
      await new Promise((resolve) => setImmediate(resolve))
      if (this.deliverOne()) quiet = -1
    }
  }

  deliverOne(): boolean {
    const waiting = this.#lanes.filter((lane) => lane.frames.length > 0)
    const lane = waiting[this.#pick(waiting.length) % Math.max(1, waiting.length)]
    const frame = lane?.frames.shift()
    if (lane === undefined || frame === undefined) return false
    const decoded = decodeFrame(frame.bytes)
    if (lane.to.isMuted(this.#muted)) return true
    const arriving = decoded.ok ? this.tamper(decoded.value, lane.to.peerId) : null
    if (arriving !== null || !decoded.ok) lane.to.deliver(arriving === null ? frame.bytes : encodeFrame(arriving))
    this.onDelivered()
    return true
  }

  /** Delivers frames until the promise is settled; fails when everything is quiet before it is. */
  async run<Value>(promise: Promise<Value>): Promise<Value> {
    const isDone = watch(promise)
    for (let quiet = 0; !isDone() && quiet < 20; quiet++) {
      await new Promise((resolve) => setImmediate(resolve))
      if (this.deliverOne()) quiet = -1
    }
    if (!isDone()) throw new Error('nothing moves any more, and the promise is still pending')
    return promise
  }

  /** The same, with time passing whenever everything is quiet. */
  async runInTime<Value>(promise: Promise<Value>, secondsMax = 60): Promise<Value> {
    const isDone = watch(promise)
    const endMs = this.clock.nowMs() + 1_000 * secondsMax
    while (!isDone() && this.clock.nowMs() < endMs) {
      await this.settle()
      if (!isDone()) this.clock.advance(50)
    }
    if (!isDone()) throw new Error(`still pending after ${secondsMax} s`)
    return promise
  }

  openSlots(): number {
    return this.stages.reduce((sum, { engine }) => sum + engine.usage().openSlots, 0)
  }
}

/** Tells whether the promise is settled, either way. */
function watch(promise: Promise<unknown>): () => boolean {
  let done = false
  const settle = () => {
    done = true
  }
  promise.then(settle, settle)
  return () => done
}

/**
 * StageHost: a peer that serves a span. Takes links, checks grants, opens sessions, runs passes over the rows of all of them
 * together, and frees what ends. It trusts nobody but the coordinator's signature. Rules: protocol/SPEC.md.
 *
 * It leaves loading the span to its owner, who calls `serve` once the engine holds it.
 */

import { sameSpan } from '../model/index.ts'
import {
  type AuditRows,
  type AuditTable,
  type Dial,
  decodeFrame,
  type FailureReason,
  type Frame,
  type LedgerHead,
  type Link,
  type OpenFrame,
  openGrant,
  type SignedReceipt,
  stageName,
} from '../protocol/index.ts'
import { ReceiptBook, type ReceiptBookOptions, RowBudget } from '../receipts/index.ts'
import {
  type Clock,
  err,
  ok,
  type PeerId,
  type Result,
  type SessionId,
  type Sha256,
  TabswarmError,
  toErrorBody,
  type VerifySignature,
} from '../shared/index.ts'
import type { Engine, ForwardResult } from '../worker/engine.ts'
import type { ActivationLog } from './activationLog.ts'
import { type AuditedLayers, Auditing, type AuditLayers } from './auditing.ts'
import { failureOf } from './failureOf.ts'
import { type HostWork, WorkCounter } from './hostWork.ts'
import { KeptLogs, type WantedRows } from './keptLogs.ts'
import { checkOpening, type Opening, takesPart } from './opening.ts'
import { Openings, refuse } from './openings.ts'
import { PassPlanner } from './passPlanner.ts'
import { type PeerLink, PeerLinks } from './peerLinks.ts'
import type { Refusal, ServedSpan } from './place.ts'
import { SessionDrain } from './sessionDrain.ts'
import { StageSession, type Work } from './stageSession.ts'
import { UsedGrants } from './usedGrants.ts'

/** Sessions of one stage: each costs timers and a few kilobytes beside its KV memory, which the engine bounds. */
const SESSIONS_MAX = 256

/** Where receipts go, what they are signed with, and how a driver's are checked. */
export interface StageReceipts extends Pick<ReceiptBookOptions, 'signer' | 'head' | 'onReceipt'> {
  /** Whether the peer with that raw public key is `driver`, and has signed it. Never rejects. */
  readonly isSignedBy: (signed: SignedReceipt, publicKey: Uint8Array, driver: PeerId) => Promise<boolean>
  /** A driver's receipt says what head of the ledger that was told. */
  readonly onHead: (head: LedgerHead) => void
}

export interface StageHostOptions {
  readonly peerId: PeerId
  readonly engine: Engine
  readonly dial: Dial
  /** Coordinator time: grants are dated in it. */
  readonly clock: Clock
  /** Raw public key. */
  readonly coordinatorKey: Uint8Array
  readonly verify: VerifySignature
  readonly sha256: Sha256
  /** Of the rows that all sessions may keep for repairs; a default where it is not given. */
  readonly logBytesMax?: number
  /** Without it nothing is signed, and no driver has to acknowledge anything. */
  readonly receipts?: StageReceipts
  /** Some number of `work` has changed. */
  readonly onWork?: () => void
}

export class StageHost {
  readonly #options: StageHostOptions
  readonly #links: PeerLinks
  readonly #budget: RowBudget
  /** Null: nothing is signed. */
  readonly receipts: ReceiptBook | null
  readonly #keptLogs: KeptLogs
  readonly #auditing: Auditing
  readonly #planner = new PassPlanner()
  /** In turn: who was in a pass goes to the end. */
  readonly #sessions = new Map<SessionId, StageSession>()
  readonly #drain: SessionDrain
  readonly #openings = new Openings((link, frame, closedBy) => this.#open(link, frame, closedBy))
  readonly #usedGrants = new UsedGrants()
  readonly #counter = new WorkCounter()
  #engine: Engine
  #served: ServedSpan | null = null
  #running: Promise<void> | null = null

  constructor(options: StageHostOptions) {
    this.#options = options
    this.#drain = new SessionDrain(this.#sessions, options.clock)
    this.#budget = new RowBudget(options.logBytesMax)
    const { peerId, sha256, clock, receipts } = options
    this.receipts = receipts === undefined ? null : new ReceiptBook({ peerId, sha256, clock, budget: this.#budget, ...receipts })
    this.#keptLogs = new KeptLogs(clock)
    // What repairs need goes before what audits would.
    this.#budget.reclaimWith((isNeeded) => this.#keptLogs.dropOldest() || (isNeeded && this.#dropInput()))
    this.#auditing = new Auditing({ engine: () => this.#engine, served: () => this.#served, onReady: () => this.#pump() })
    this.#links = new PeerLinks({
      dial: options.dial,
      clock: options.clock,
      events: {
        onFrame: (link, bytes) => this.#onBytes(link, bytes),
        onClose: (link, closed) => {
          for (const session of [...this.#sessions.values()]) session.lost(link, closed)
        },
      },
    })
    this.#engine = options.engine
    this.#watch(options.engine)
  }

  /** Another engine in place of one that was lost; links stay, sessions have ended with it. Serves nothing until `serve`. */
  replaceEngine(engine: Engine): void {
    this.#failAll('device-lost', 'the GPU was lost; ask again')
    this.#engine = engine
    this.#watch(engine)
  }

  get work(): HostWork {
    return { ...this.#counter.counts, sessionsOpen: this.sessionsOpen, bytesSent: this.#links.bytesSent }
  }

  get sessionsOpen(): number {
    return this.#sessions.size
  }

  /** Bytes that all sessions keep for repairs and receipts: rows, and what is kept of each position. */
  get logBytes(): { readonly rows: number; readonly positions: number } {
    const { bytesUsed, positionBytes } = this.#budget
    return { rows: bytesUsed, positions: positionBytes }
  }

  /** What sessions are accepted over; null: nothing. */
  get served(): ServedSpan | null {
    return this.#served
  }

  /** From now on sessions over this span are accepted, null: none. Those that are open go on. */
  serve(served: ServedSpan | null): void {
    this.#served = served
  }

  /** Takes a link that another peer opened; it must be authenticated. */
  addLink(link: Link): void {
    this.#links.add(link)
  }

  /** What this stage has sent downstream in an open session. */
  logOf(sessionId: SessionId): ActivationLog | null {
    return this.#sessions.get(sessionId)?.log ?? null
  }

  /** AuditRows of a part that has ended, for the coordinator; null where they are not kept. Rule V15. */
  encodeLog(wanted: WantedRows): Uint8Array<ArrayBuffer> | null {
    return this.#keptLogs.encode(wanted)
  }

  /** Nobody will ask for that session any more. */
  release(sessionId: SessionId): void {
    this.receipts?.release(sessionId)
    this.#keptLogs.release(sessionId)
  }

  /** Computes layers, `own` ones where others are served, over `rows` when nothing else is to be done. Rejects with a TabswarmError. */
  audit(order: AuditedLayers, rows: AuditRows, own: AuditLayers | null = null): Promise<AuditTable> {
    return this.#auditing.add(order, rows, own)
  }

  /** Accepts nothing new, and ends what stands still; resolves when the last session has ended and the engine holds none of its memory. */
  async drain(): Promise<void> {
    this.#served = null
    this.#auditing.drop()
    await this.#drain.run()
    await this.#running
  }

  /**
   * Ends every session with `stopped`, takes no other; resolves when the engine holds no session's memory and the last receipts are signed.
   * Links stay, so that drivers are told: they close with the network that carries them, or by themselves when unused.
   */
  async stop(): Promise<void> {
    this.#failAll('stopped', 'the volunteer stopped; ask again to get another chain')
    await this.#running
    await this.receipts?.settled()
  }

  #watch(engine: Engine): void {
    void engine.lost.then(({ message }) => {
      if (this.#engine === engine) this.#failAll('device-lost', `the GPU was lost: ${message}`)
    })
  }

  #onBytes(link: PeerLink, bytes: Uint8Array): void {
    const frame = decodeFrame(bytes)
    if (!frame.ok) {
      link.close({ reason: 'garbage', detail: frame.error })
      return
    }
    if (frame.value.type === 'open') this.#openings.add(link, frame.value)
    else this.#onFrame(link, frame.value)
  }

  /** Frames of a session that has ended may still be under way: they are dropped. */
  #onFrame(link: PeerLink, frame: Exclude<Frame, OpenFrame>): void {
    if (frame.type === 'close') this.#openings.closed(frame.sessionId, link.peerId)
    this.#sessions.get(frame.sessionId)?.handle(link, frame)
  }

  async #open(link: PeerLink, frame: OpenFrame, closedBy: ReadonlySet<PeerId>): Promise<void> {
    // It has ended while another `open` was looked at: a session that it joined now would never hear of that.
    if (!link.isOpen) return
    const known = this.#sessions.get(frame.sessionId)
    if (known !== undefined && known.signedGrant.body === frame.grant.body) {
      if (takesPart(link.peerId, known.place)) known.join(link, frame)
      else refuse(link, frame, { reason: 'bad-grant', message: 'the grant names another driver and upstream' })
      return
    }
    const { coordinatorKey, verify, clock } = this.#options
    const grant = await openGrant(frame.grant, coordinatorKey, verify, clock.nowMs())
    this.#openings.verified(link, frame, grant.ok ? null : grant.error)
    if (!grant.ok) return
    // A copy that was on its way when the chain was repaired.
    if ((this.#sessions.get(frame.sessionId)?.grant.revision ?? 0) > grant.value.revision) return
    const open = this.#sessions.get(frame.sessionId) ?? null
    const opening = checkOpening(frame, grant.value, {
      own: this.#options.peerId,
      sender: link.peerId,
      served: this.#served,
      open,
      usedFault: this.#usedGrants.faultOf(grant.value),
    })
    if (!opening.ok) {
      // Driver or upstream lies, and which of the two cannot be told.
      if (opening.error.reason === 'protocol') open?.fail('protocol', opening.error.message)
      refuse(link, frame, opening.error)
      return
    }
    const { place } = opening.value
    // Whoever asked is gone already.
    if (!link.isOpen || closedBy.has(place.driver) || closedBy.has(place.upstream)) return
    const session = this.#accept(opening.value)
    if (!session.ok) {
      refuse(link, frame, session.error)
      return
    }
    session.value.join(link, frame)
    if (!place.isLast) void this.#connect(session.value)
  }

  /** The session for a verified grant: a new one, or the one that is open, which keeps what it computed if it has the same layers. */
  #accept(opening: Opening): Result<StageSession, Refusal> {
    const { clock } = this.#options
    const { grant, place } = opening
    const open = this.#sessions.get(grant.sessionId)
    if (open !== undefined && sameSpan(open.place.span, place.span)) {
      this.#usedGrants.add(grant, clock.nowMs())
      open.reopen(opening)
      return ok(open)
    }
    open?.end()
    const served = this.#served
    if (served === null) return err({ reason: 'not-serving', message: 'this peer serves no model now' })
    if (this.#sessions.size >= SESSIONS_MAX) {
      return err({ reason: 'no-room', message: `this peer serves ${this.#sessions.size} sessions already` })
    }
    const engine = this.#engine
    const slot = this.#openSlot(engine, { span: place.span, maxPositions: grant.maxPositions })
    if (!slot.ok) return err({ reason: 'no-room', message: `no KV memory for ${grant.maxPositions} positions is free here` })
    const session = new StageSession({
      opening,
      served,
      engine,
      slot: slot.value,
      clock,
      budget: this.#budget,
      receipts: this.receipts,
      onHead: (head) => this.#options.receipts?.onHead(head),
      isSigned: async (signed, publicKey) => (await this.#options.receipts?.isSignedBy(signed, publicKey, place.driver)) ?? true,
      keptLogs: this.#keptLogs,
      onReady: () => this.#pump(),
      onEnded: (ended) => this.#onEnded(ended),
    })
    this.#sessions.set(grant.sessionId, session)
    this.#usedGrants.add(grant, clock.nowMs())
    this.#counter.sessionsServed++
    this.#options.onWork?.()
    return ok(session)
  }

  /** An audit gives way to a session. */
  #openSlot(engine: Engine, request: Parameters<Engine['open']>[0]): ReturnType<Engine['open']> {
    const slot = engine.open(request)
    return slot.ok || !this.#auditing.giveWay() ? slot : engine.open(request)
  }

  async #connect(session: StageSession): Promise<void> {
    const { grant, place } = session
    const isWanted = () => session.grant.revision === grant.revision
    try {
      const link = await this.#links.connect(place.downstream)
      if (!link.isOpen) throw new TabswarmError('unreachable', 'the link ended while it was made')
      if (isWanted()) session.connected(link)
    } catch (error) {
      if (isWanted()) session.unreachable(`${stageName(grant, place.index + 1)} could not be reached: ${toErrorBody(error).message}`)
    }
  }

  #dropInput(): boolean {
    for (const session of this.#sessions.values()) if (session.dropInput()) return true
    return false
  }

  #onEnded(session: StageSession): void {
    this.#sessions.delete(session.grant.sessionId)
    this.#drain.ended()
    this.#options.onWork?.()
  }

  #failAll(reason: FailureReason, message: string): void {
    this.#served = null
    this.#auditing.drop()
    for (const session of [...this.#sessions.values()]) session.fail(reason, message)
  }

  #pump(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = null
    })
  }

  async #run(): Promise<void> {
    for (;;) {
      // Rows that come in the same turn share the pass; what the last one gave rise to leaves before an engine that computes in this thread begins.
      await Promise.resolve()
      const works = this.#planner.plan(this.#sessions.values())
      if (works.length === 0) {
        if (await this.#auditing.pass()) continue
        return
      }
      for (const { session } of works) {
        this.#sessions.delete(session.grant.sessionId)
        this.#sessions.set(session.grant.sessionId, session)
      }
      await this.#pass(works)
    }
  }

  async #pass(works: readonly Work[]): Promise<void> {
    let result: ForwardResult
    try {
      result = await this.#engine.forward(works.map((work) => work.segment))
    } catch (error) {
      await this.#onPassFailed(works, error)
      return
    }
    this.#planner.observe(works, result.computeMs)
    this.#counter.addPass(works, result.computeMs)
    for (const [index, { session, rows }] of works.entries()) {
      const output = result.outputs[index]
      if (output === undefined) session.abandon('internal', 'the engine gave no output')
      else session.complete(rows, output, result.computeMs)
    }
    this.#options.onWork?.()
  }

  /** One session's rows may spoil a pass for all: then each is tried alone, so that only the guilty one ends. */
  async #onPassFailed(works: readonly Work[], error: unknown): Promise<void> {
    const { reason, message } = toErrorBody(error)
    const one = works.length === 1 ? works[0] : undefined
    if (one === undefined && (reason === 'not-finite' || reason === 'bad-batch')) {
      for (const work of works) await this.#pass([work])
      return
    }
    for (const { session } of works) session.abandon(failureOf(reason), message)
  }
}

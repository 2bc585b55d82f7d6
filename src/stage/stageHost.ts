/**
 * StageHost: a peer that serves a span. Takes links, checks grants, opens sessions, runs passes over the rows of all of them
 * together, and frees what ends. It trusts nobody but the coordinator's signature. Rules: protocol/SPEC.md.
 *
 * It leaves loading the span to its owner, who calls `serve` once the engine holds it.
 */

import { sameSpan } from '../model/index.ts'
import {
  type Dial,
  decodeFrame,
  type FailureReason,
  type Frame,
  type Grant,
  type Link,
  type OpenFrame,
  openGrant,
  stageName,
} from '../protocol/index.ts'
import {
  type Clock,
  err,
  ok,
  type PeerId,
  type Result,
  required,
  type SessionId,
  type Sha256,
  TabswarmError,
  toErrorBody,
  type VerifySignature,
} from '../shared/index.ts'
import type { Engine, ForwardResult } from '../worker/engine.ts'
import { type ActivationLog, LogBudget } from './activationLog.ts'
import { PassPlanner } from './passPlanner.ts'
import { type PeerLink, PeerLinks } from './peerLinks.ts'
import { findPlace, type Place, type Refusal, type ServedSpan } from './place.ts'
import { type Opening, StageSession, type Work } from './stageSession.ts'

/** Sessions of one stage: each costs timers and a few kilobytes beside its KV memory, which the engine bounds. */
const SESSIONS_MAX = 256

/** Grants that wait for their signature to be verified: a stranger can send any number. */
const VERIFYING_MAX = 64

/** Ended sessions, kept until their grants expire so that no grant is used twice; beyond it nothing new is accepted. */
const SEEN_SESSIONS_MAX = 10_000

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
  /** Some number of `work` has changed. */
  readonly onWork?: () => void
}

/** Passes of one decode row each: what tells how fast a peer is. */
export interface PassTimes {
  readonly count: number
  /** Computed in all of them together, the milliseconds too. */
  readonly layers: number
  readonly heads: number
  readonly ms: number
}

/** Counters for the page, since the host began. */
export interface HostWork {
  readonly sessionsOpen: number
  readonly sessionsServed: number
  /** Rows that went through a pass here. */
  readonly positions: number
  readonly lastComputeMs: number | null
  readonly oneRowPasses: PassTimes
  /** Bytes of frames sent to anybody. */
  readonly bytesSent: number
}

export class StageHost {
  readonly #options: StageHostOptions
  readonly #links: PeerLinks
  readonly #logBudget: LogBudget
  readonly #planner = new PassPlanner()
  /** In turn: who was in a pass goes to the end. */
  readonly #sessions = new Map<SessionId, StageSession>()
  readonly #verifying = new Map<SessionId, Verifying>()
  readonly #seen = new Map<SessionId, { readonly expiresAtMs: number; readonly revision: number }>()
  #engine: Engine
  #served: ServedSpan | null = null
  #running: Promise<void> | null = null
  #idle: { readonly promise: Promise<void>; readonly resolve: () => void } | null = null
  #sessionsServed = 0
  #positions = 0
  #lastComputeMs: number | null = null
  #oneRowPasses: PassTimes = { count: 0, layers: 0, heads: 0, ms: 0 }

  constructor(options: StageHostOptions) {
    this.#options = options
    this.#logBudget = new LogBudget(options.logBytesMax)
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
    return {
      sessionsOpen: this.#sessions.size,
      sessionsServed: this.#sessionsServed,
      positions: this.#positions,
      lastComputeMs: this.#lastComputeMs,
      oneRowPasses: this.#oneRowPasses,
      bytesSent: this.#links.bytesSent,
    }
  }

  /** Bytes of rows that all sessions keep for repairs. */
  get logBytes(): number {
    return this.#logBudget.bytesUsed
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

  /** Accepts nothing new; resolves when the last session has ended and the engine holds none of its memory. */
  async drain(): Promise<void> {
    this.#served = null
    while (this.#sessions.size > 0) {
      this.#idle ??= withResolver()
      await this.#idle.promise
    }
    await this.#running
  }

  /**
   * Ends every session with `stopped`, takes no other; resolves when the engine holds no session's memory. Links stay, so that
   * drivers are told: they close with the network that carries them, or by themselves when unused.
   */
  async stop(): Promise<void> {
    this.#failAll('stopped', 'the volunteer stopped; ask again to get another chain')
    await this.#running
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
    if (frame.value.type === 'open') this.#onOpen(link, frame.value)
    else this.#onFrame(link, frame.value)
  }

  /** Frames of a session that has ended may still be under way: they are dropped. */
  #onFrame(link: PeerLink, frame: Exclude<Frame, OpenFrame>): void {
    const verifying = this.#verifying.get(frame.sessionId)
    if (verifying !== undefined && frame.type === 'close') verifying.closedBy.add(link.peerId)
    this.#sessions.get(frame.sessionId)?.handle(link, frame)
  }

  #onOpen(link: PeerLink, frame: OpenFrame): void {
    const known = this.#verifying.get(frame.sessionId)
    if (known === undefined && this.#verifying.size >= VERIFYING_MAX) {
      refuse(link, frame, { reason: 'no-room', message: `${VERIFYING_MAX} grants are being verified here already` })
      return
    }
    const verifying = known ?? { waiting: 0, closedBy: new Set<PeerId>(), done: Promise.resolve() }
    this.#verifying.set(frame.sessionId, verifying)
    // Driver and upstream each send one, now and then one more; who floods is refused.
    if (verifying.waiting >= 8) {
      link.close({ reason: 'garbage', detail: 'open is repeated too often' })
      return
    }
    verifying.waiting++
    verifying.done = verifying.done
      .then(() => this.#open(link, frame, verifying))
      .catch((error: unknown) => refuse(link, frame, { reason: 'internal', message: toErrorBody(error).message }))
      .finally(() => {
        verifying.waiting--
        if (verifying.waiting === 0) this.#verifying.delete(frame.sessionId)
      })
  }

  async #open(link: PeerLink, frame: OpenFrame, { closedBy }: Verifying): Promise<void> {
    const known = this.#sessions.get(frame.sessionId)
    if (known !== undefined && known.signedGrant.body === frame.grant.body) {
      if (takesPart(link, known.place)) known.join(link)
      else refuse(link, frame, { reason: 'bad-grant', message: 'the grant names another driver and upstream' })
      return
    }
    const { coordinatorKey, verify, clock } = this.#options
    const grant = await openGrant(frame.grant, coordinatorKey, verify, clock.nowMs())
    if (!grant.ok) {
      refuse(link, frame, { reason: 'bad-grant', message: grant.error })
      return
    }
    // A copy that was on its way when the chain was repaired.
    if ((this.#sessions.get(frame.sessionId)?.grant.revision ?? 0) > grant.value.revision) return
    const opening = this.#checkOpening(link, frame, grant.value)
    if (!opening.ok) {
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
    session.value.join(link)
    if (!place.isLast) void this.#connect(session.value)
  }

  /** Whether the grant is one for this session at this peer, that whoever sent it may use. */
  #checkOpening(link: PeerLink, frame: OpenFrame, grant: Grant): Result<Opening, Refusal> {
    const served = this.#served
    if (grant.sessionId !== frame.sessionId) return err({ reason: 'bad-grant', message: 'the grant is for another session' })
    const used = this.#seen.get(grant.sessionId)
    const open = this.#sessions.get(grant.sessionId)
    if (open === undefined && used !== undefined && used.revision >= grant.revision)
      return err({ reason: 'bad-grant', message: 'the grant was used before; ask for a new one' })
    if (open !== undefined && open.grant.revision === grant.revision) {
      open.fail('protocol', 'driver and upstream sent different grants')
      return err({ reason: 'protocol', message: 'driver and upstream sent different grants' })
    }
    if (open !== undefined && !isSameSession(open.grant, grant))
      return err({ reason: 'bad-grant', message: 'the grant is for a session of the same id that is another one' })
    if (served === null && open === undefined) return err({ reason: 'not-serving', message: 'this peer serves no model now' })
    const place = findPlace(grant, served ?? required(open, 'the open session').served, this.#options.peerId)
    if (!place.ok) return place
    if (!takesPart(link, place.value)) return err({ reason: 'bad-grant', message: 'the grant names another driver and upstream' })
    return ok({ grant, signedGrant: frame.grant, place: place.value, epoch: frame.epoch, length: frame.length })
  }

  /** The session for a verified grant: a new one, or the one that is open, which keeps what it computed if it has the same layers. */
  #accept(opening: Opening): Result<StageSession, Refusal> {
    const { clock, sha256 } = this.#options
    const { grant, place } = opening
    const open = this.#sessions.get(grant.sessionId)
    if (open !== undefined && sameSpan(open.place.span, place.span)) {
      this.#see(grant)
      open.reopen(opening)
      return ok(open)
    }
    open?.end()
    this.#forgetExpired()
    const served = this.#served
    if (served === null) return err({ reason: 'not-serving', message: 'this peer serves no model now' })
    if (this.#sessions.size >= SESSIONS_MAX || this.#seen.size >= SEEN_SESSIONS_MAX) {
      return err({ reason: 'no-room', message: `this peer serves ${this.#sessions.size} sessions already` })
    }
    const engine = this.#engine
    const slot = engine.open({ span: place.span, maxPositions: grant.maxPositions })
    if (!slot.ok) return err({ reason: 'no-room', message: `no KV memory for ${grant.maxPositions} positions is free here` })
    const session = new StageSession({
      opening,
      served,
      engine,
      slot: slot.value,
      clock,
      sha256,
      logBudget: this.#logBudget,
      onReady: () => this.#pump(),
      onEnded: (ended) => this.#onEnded(ended),
    })
    this.#sessions.set(grant.sessionId, session)
    this.#see(grant)
    this.#sessionsServed++
    this.#options.onWork?.()
    return ok(session)
  }

  #see({ sessionId, expiresAtMs, revision }: Grant): void {
    this.#seen.set(sessionId, { expiresAtMs, revision })
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

  #onEnded(session: StageSession): void {
    this.#sessions.delete(session.grant.sessionId)
    if (this.#sessions.size === 0) {
      this.#idle?.resolve()
      this.#idle = null
    }
    this.#options.onWork?.()
  }

  #failAll(reason: FailureReason, message: string): void {
    this.#served = null
    for (const session of [...this.#sessions.values()]) session.fail(reason, message)
  }

  #forgetExpired(): void {
    const nowMs = this.#options.clock.nowMs()
    for (const [id, { expiresAtMs }] of this.#seen) if (expiresAtMs <= nowMs) this.#seen.delete(id)
  }

  #pump(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = null
    })
  }

  async #run(): Promise<void> {
    // Rows that come in the same turn share the pass.
    await Promise.resolve()
    for (;;) {
      const works = this.#planner.plan(this.#sessions.values())
      if (works.length === 0) return
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
    this.#lastComputeMs = result.computeMs
    this.#count(works, result.computeMs)
    for (const [index, { session, rows }] of works.entries()) {
      this.#positions += rows.rowCount
      const output = result.outputs[index]
      if (output === undefined) session.abandon('internal', 'the engine gave no output')
      else session.complete(rows, output, result.computeMs)
    }
    this.#options.onWork?.()
  }

  #count([only, second]: readonly Work[], computeMs: number): void {
    if (only === undefined || second !== undefined || only.rows.kind !== 'decode' || only.rows.rowCount !== 1) return
    const { count, layers, heads, ms } = this.#oneRowPasses
    const { span, isLast } = only.session.place
    this.#oneRowPasses = {
      count: count + 1,
      layers: layers + span.endLayer - span.firstLayer,
      heads: heads + (isLast ? 1 : 0),
      ms: ms + computeMs,
    }
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

/** Opens of one session whose grants are being verified, one after the other. */
interface Verifying {
  waiting: number
  /** Who closed the session while its grant was being verified. */
  readonly closedBy: Set<PeerId>
  done: Promise<void>
}

function takesPart(link: PeerLink, { driver, upstream }: Place): boolean {
  return link.peerId === driver || link.peerId === upstream
}

/** Whether two grants may be of one session, whatever chains they name. */
function isSameSession(a: Grant, b: Grant): boolean {
  const fixed = ({ driver, manifestHash, maxPositions, topK, rowEncoding }: Grant) =>
    [driver, manifestHash, maxPositions, topK, rowEncoding].join()
  return fixed(a) === fixed(b)
}

function refuse(link: PeerLink, frame: OpenFrame, { reason, message }: Refusal): void {
  link.send({ type: 'failed', sessionId: frame.sessionId, reason, message: message.slice(0, 1_000) }, 'urgent')
}

function failureOf(reason: string): FailureReason {
  switch (reason) {
    case 'not-finite':
    case 'device-lost':
      return reason
    case 'bad-batch':
      return 'protocol'
    case 'not-loaded':
      return 'not-serving'
    default:
      return 'internal'
  }
}

function withResolver(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve: () => void = () => undefined
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}

/**
 * Participants: who takes part in one session at one stage, as its grant names them: the driver, the upstream that sends rows and the downstream
 * that takes the outputs; one peer may be several of them. Knows their links, who may send what, who was answered, who is missing and for how
 * long, and tells the driver what happens. What is computed, and what follows from rows and truncations, is StageSession's matter.
 */

import {
  FAILURE_MESSAGE_CHARACTERS_MAX,
  type FailedFrame,
  type FailureReason,
  type Frame,
  type Grant,
  type LapFrame,
  type LogitsFrame,
  type OpenedFrame,
  type OpenFrame,
  REPAIR_WAIT_MS,
  type SeveredFrame,
  type SignedGrant,
  stageName,
} from '../protocol/index.ts'
import type { CancelTimer, Clock } from '../shared/index.ts'
import type { Opening } from './opening.ts'
import type { Outbox } from './outbox.ts'
import type { PeerLink } from './peerLinks.ts'
import type { Place } from './place.ts'
import { SessionTimers } from './sessionTimers.ts'

/** How long the word of who failed goes before the word of its neighbor, so that the driver blames the right one. */
const PASS_ON_AFTER_MS = 1_000

/** Where this stage goes on: what an `opened` says. */
type GoesOn = Pick<OpenedFrame, 'nextPosition' | 'windowRows'>

export interface ParticipantsOptions {
  readonly opening: Opening
  /** Has the link to the downstream. */
  readonly outbox: Outbox
  readonly clock: Clock
  /** Rows of the session are in a pass. */
  readonly isBusy: () => boolean
  /** Somebody was missing for too long, or the session's time is over. */
  readonly onOver: (reason: FailureReason, message: string) => void
}

export class Participants {
  readonly #clock: Clock
  readonly #outbox: Outbox
  readonly #timers: SessionTimers
  readonly #onOver: ParticipantsOptions['onOver']
  #opening: Opening
  #driver: PeerLink | null = null
  #upstream: PeerLink | null = null
  #upstreamAnswered = false
  #driverAnswered = false
  #cancelPassOn: CancelTimer | null = null

  /** Somebody is missing from the start. */
  constructor({ opening, outbox, clock, isBusy, onOver }: ParticipantsOptions) {
    this.#opening = opening
    this.#outbox = outbox
    this.#clock = clock
    this.#onOver = onOver
    this.#timers = new SessionTimers(clock, {
      expiresAtMs: () => this.grant.expiresAtMs,
      isBusy,
      onMissing: () => this.#onMissing(),
      onExpired: (message) => onOver('expired', message),
    })
    this.#timers.start()
  }

  get grant(): Grant {
    return this.#opening.grant
  }

  get signedGrant(): SignedGrant {
    return this.#opening.signedGrant
  }

  get place(): Place {
    return this.#opening.place
  }

  /** A verified `open` came over the link; says as whom its peer joins by it. */
  join(link: PeerLink): { readonly asUpstream: boolean; readonly asDriver: boolean } {
    this.#timers.heard()
    const asUpstream = link.peerId === this.place.upstream && this.#upstream === null
    const asDriver = link.peerId === this.place.driver && this.#driver === null
    if (asUpstream) this.#upstream = link
    if (asDriver) this.#driver = link
    if (asUpstream || asDriver) link.use(this)
    return { asUpstream, asDriver }
  }

  /** The link to the downstream is there; it is asked to open the session. */
  connect(link: PeerLink, { epoch, length }: Pick<OpenFrame, 'epoch' | 'length'>): void {
    link.use(this)
    this.#outbox.connect(link, { type: 'open', sessionId: this.grant.sessionId, epoch, length, grant: this.signedGrant })
  }

  /** Another chain: everybody connects anew. The outbox has its link until the caller resets it. */
  reopen(opening: Opening): void {
    this.#opening = opening
    this.#upstreamAnswered = false
    this.#driverAnswered = false
    this.#leave()
    this.#timers.waitAnew()
  }

  /** The session has ended: nobody is told anything any more. */
  end(): void {
    this.#timers.stop()
    this.#leave()
  }

  /** Whether the link is one of somebody who takes part; then they were heard of. */
  hears(link: PeerLink): boolean {
    const known = this.#has(link)
    if (known) this.#timers.heard()
    return known
  }

  isDriver(link: PeerLink): boolean {
    return link === this.#driver
  }

  /** The rule that is broken by who sends the frame; null where the type says nothing of that. */
  faultOf(link: PeerLink, { type }: Frame): string | null {
    switch (type) {
      case 'rows':
        return link === this.#upstream ? null : 'rows come from the upstream only'
      case 'truncate':
        return link === this.#upstream ? null : 'truncate comes from the upstream only'
      case 'opened':
      case 'window':
        return link === this.#outbox.link ? null : `${type} comes from the downstream only`
      case 'receipt':
        return link === this.#driver ? null : 'a receipt comes from the driver only'
      case 'fetch':
        return link === this.#driver && this.place.isLast ? null : 'the driver alone fetches, from the last stage'
      case 'failed':
        return link === this.#outbox.link && link !== this.#driver ? null : 'failed comes from the downstream only'
      default:
        return null
    }
  }

  /** The driver always; the upstream only while the driver, who speaks for itself, has not come. */
  mayClose(link: PeerLink): boolean {
    return link === this.#driver || (link === this.#upstream && this.#driver === null)
  }

  nameOf(link: PeerLink): string {
    if (link === this.#driver) return 'the driver'
    return stageName(this.grant, link === this.#upstream ? this.place.index - 1 : this.place.index + 1)
  }

  /** The upstream is there, and was not told yet where this stage goes on. */
  get isUpstreamUnanswered(): boolean {
    return this.#upstream !== null && !this.#upstreamAnswered
  }

  answerUpstream(goesOn: GoesOn): void {
    this.#upstreamAnswered = true
    const { sessionId, revision } = this.grant
    this.#upstream?.send({ type: 'opened', sessionId, revision, ...goesOn })
  }

  /** Once the downstream has answered. The driver of a first stage has its answer as the upstream. */
  answerDriver(goesOn: GoesOn): void {
    if (this.#driver === null || !this.#outbox.isOpen || this.#driverAnswered) return
    this.#driverAnswered = true
    const { sessionId, revision } = this.grant
    if (!this.place.isFirst) this.#driver.send({ type: 'opened', sessionId, revision, ...goesOn })
  }

  /** The upstream may send `windowRows` in all since it was answered. */
  raise(windowRows: number): void {
    if (this.#upstreamAnswered) this.#upstream?.send({ type: 'window', sessionId: this.grant.sessionId, windowRows })
  }

  /** If everybody is there. */
  stopWaiting(): void {
    if (this.#driver !== null && this.#upstream !== null && this.#outbox.isOpen) this.#timers.stopWaiting()
  }

  /** What the driver fetched. */
  sendLogits(frames: readonly LogitsFrame[]): void {
    for (const frame of frames) this.#driver?.send(frame)
  }

  pinged(link: PeerLink, { sequence, through }: Extract<Frame, { type: 'ping' }>): void {
    const { sessionId } = this.grant
    if (link !== (through ? this.#upstream : this.#driver)) return
    this.#driver?.send({ type: 'pong', sessionId, sequence, through }, 'urgent')
    if (through && !this.place.isLast) this.#outbox.link?.send({ type: 'ping', sessionId, sequence, through })
  }

  /** One of the links has ended: the session waits for a repair. */
  lost(link: PeerLink, detail: string): void {
    if (!this.#has(link)) return
    const neighbor = link === this.#upstream ? 'upstream' : 'downstream'
    const message = `the link to ${this.nameOf(link)} ended (${detail})`
    if (link === this.#driver) this.#driver = null
    if (link === this.#upstream) this.#upstream = null
    if (link === this.#outbox.link) this.#outbox.unlink()
    this.sever(neighbor, 'stage-lost', message)
  }

  /** A neighbor is lost or out of reach: the driver is told, and the session waits for a repair. */
  sever(neighbor: SeveredFrame['neighbor'], reason: SeveredFrame['reason'], message: string): void {
    const { sessionId, revision } = this.grant
    this.#driver?.send({ type: 'severed', sessionId, revision, neighbor, reason, message: shortened(message) }, 'urgent')
    this.#timers.wait()
  }

  /** The next stage has refused: the driver hears so from itself, unless it cannot reach it. */
  refusedBy(link: PeerLink, { message }: FailedFrame): void {
    const text = `${this.nameOf(link)}: ${message}`
    this.#cancelPassOn ??= this.#clock.after(PASS_ON_AFTER_MS, () => this.sever('downstream', 'unreachable', text))
  }

  /** Tells the driver, or who asked for the session when the driver has not joined. The other stages wait for a repair. */
  tellFailure(reason: FailureReason, message: string): void {
    const told = this.#driver ?? this.#upstream
    told?.send({ type: 'failed', sessionId: this.grant.sessionId, reason, message: shortened(message) }, 'urgent')
  }

  /** Before the kind of a link is known a lap waits for it, and nothing for the lap: one that is lost with its link does no harm. */
  tellLap(lap: Omit<LapFrame, 'type' | 'sessionId' | 'bytesSent' | 'linkKind'>): void {
    const downstream = this.#outbox.link
    if (downstream === null) return
    const { bytesSent } = this.#outbox
    const kind = downstream.kind()
    // The link's end is told by `lost`.
    if (kind instanceof Promise) void kind.then((linkKind) => this.#sendLap({ ...lap, bytesSent, linkKind })).catch(() => undefined)
    else this.#sendLap({ ...lap, bytesSent, linkKind: kind })
  }

  #sendLap(lap: Omit<LapFrame, 'type' | 'sessionId'>): void {
    const { epoch, firstPosition, rowCount, kind, computeMs, bytesSent, linkKind } = lap
    const { sessionId } = this.grant
    this.#driver?.send({ type: 'lap', sessionId, epoch, firstPosition, rowCount, kind, computeMs, bytesSent, linkKind })
  }

  #has(link: PeerLink): boolean {
    return link === this.#driver || link === this.#upstream || link === this.#outbox.link
  }

  #leave(): void {
    this.#cancelPassOn?.()
    this.#cancelPassOn = null
    for (const link of new Set([this.#driver, this.#upstream, this.#outbox.link])) link?.release(this)
    this.#driver = null
    this.#upstream = null
  }

  #onMissing(): void {
    const { index } = this.place
    let missing = 'nobody'
    if (!this.#outbox.isOpen) missing = stageName(this.grant, index + 1)
    if (this.#upstream === null) missing = stageName(this.grant, index - 1)
    if (this.#driver === null) missing = 'the driver'
    this.#onOver('unreachable', `${missing} did not answer within ${REPAIR_WAIT_MS / 1000} s`)
  }
}

function shortened(message: string): string {
  return message.slice(0, FAILURE_MESSAGE_CHARACTERS_MAX)
}

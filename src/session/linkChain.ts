/**
 * openLinkChain: a Chain over links, one stage a peer. The driver dials every stage and sends each its `open`; ids go to
 * stage 0, results come from the last stage, signs of life from all. It ends, with the stage named, when a link is lost, a
 * stage says so, a stage breaks a rule, or nothing is heard for too long. Rules: protocol/SPEC.md.
 */

import {
  type FailedFrame,
  type Frame,
  type Grant,
  type LapFrame,
  type OpenedFrame,
  type OpenFrame,
  ReceiveWindow,
  type ResultsFrame,
  SESSION_IDLE_MS,
  type SignedGrant,
} from '../protocol/index.ts'
import { type CancelTimer, type Clock, err, type Result, SerialQueue, TabswarmError, unreachable } from '../shared/index.ts'
import type { Chain, ChainEvents, Lap, LapResults } from './chain.ts'
import { type Deferred, deferred } from './deferred.ts'
import { SessionError, type SessionErrorReason } from './errors.ts'
import { LapLedger } from './lapLedger.ts'
import type { LinkRouter, Route } from './linkRouter.ts'
import { Liveness } from './liveness.ts'

/** From the first dial until every stage has answered: a WebRTC connection across continents takes 3 s, relays 10. */
export const OPEN_DEADLINE_MS = 20_000

export interface LinkChainOptions {
  readonly router: LinkRouter
  readonly grant: Grant
  readonly signedGrant: SignedGrant
  /** Ids at or beyond it are a protocol failure of the last stage. */
  readonly vocabularySize: number
  readonly clock: Clock
  readonly signal?: AbortSignal
  /** OPEN_DEADLINE_MS where it is not given. */
  readonly openDeadlineMs?: number
}

/** Resolves when every stage has reserved its memory. Rejects with a SessionError; then everything is freed again. */
export async function openLinkChain(options: LinkChainOptions): Promise<Chain> {
  const chain = new LinkChain(options)
  const onAbort = () => chain.fail('cancelled', 'the request was cancelled while its chain was being opened')
  if (options.signal?.aborted === true) onAbort()
  options.signal?.addEventListener('abort', onAbort, { once: true })
  try {
    await chain.opened
    return chain
  } finally {
    options.signal?.removeEventListener('abort', onAbort)
  }
}

class LinkChain implements Chain {
  readonly maxPositions: number
  readonly opened: Promise<void>
  readonly #options: LinkChainOptions
  readonly #stages: { route: Route | null; answered: boolean }[]
  readonly #opening: Deferred<void> = deferred()
  readonly #ledger: LapLedger
  readonly #window = new ReceiveWindow()
  readonly #liveness: Liveness
  #events: ChainEvents | null = null
  #ended: SessionError | null = null
  #sendableRows = 0
  #sentRows = 0
  readonly #submitting = new SerialQueue()
  #roomWanted: Deferred<void> | null = null
  #cancelTimers: CancelTimer[] = []

  constructor(options: LinkChainOptions) {
    const { grant, vocabularySize, clock } = options
    this.#options = options
    this.maxPositions = grant.maxPositions
    this.opened = this.#opening.promise
    this.#stages = grant.stages.map(() => ({ route: null, answered: false }))
    this.#ledger = new LapLedger({ vocabularySize, topK: grant.topK, stageCount: grant.stages.length })
    this.#liveness = new Liveness(clock, (silentMs) => this.#onSilence(silentMs))
    const deadlineMs = options.openDeadlineMs ?? OPEN_DEADLINE_MS
    this.#cancelTimers.push(clock.after(deadlineMs, () => this.#onOpenDeadline(deadlineMs)))
    for (const index of grant.stages.keys()) void this.#connect(index)
  }

  listen(events: ChainEvents): void {
    this.#events = events
  }

  submit(lap: Lap): Promise<void> {
    return this.#submitting.run(() => this.#submit(lap))
  }

  truncate(length: number): void {
    if (this.#ended !== null) return
    const epoch = this.#ledger.truncate(length)
    this.#liveness.rest()
    // Every stage has computed what is kept, so overtaking rows that are dropped anyway does no harm.
    this.#send(0, { type: 'truncate', sessionId: this.#sessionId, epoch, length }, 'urgent')
  }

  close(): void {
    this.#end(new SessionError('cancelled', 'the session was closed'))
  }

  fail(reason: SessionErrorReason, message: string, stageIndex?: number): void {
    if (this.#ended !== null) return
    const opening = !this.#isOpen
    const error = new SessionError(reason, message, stageIndex === undefined ? {} : { stageIndex })
    this.#end(error)
    if (!opening) this.#events?.onFailed(error)
  }

  #send(index: number, frame: Frame, priority: 'data' | 'urgent' = 'data'): void {
    this.#stages[index]?.route?.send(frame, priority)
  }

  get #sessionId() {
    return this.#options.grant.sessionId
  }

  get #isOpen(): boolean {
    return this.#stages.every((stage) => stage.answered)
  }

  async #connect(index: number): Promise<void> {
    const { router, grant, signedGrant } = this.#options
    const peerId = grant.stages[index]?.peerId
    if (peerId === undefined) return
    try {
      const route = await router.attach(peerId, this.#sessionId, {
        onFrame: (frame) => this.#onFrame(index, frame),
        onClose: (closed) => {
          const stage = this.#stages[index]
          if (stage !== undefined) stage.route = null
          const reason = closed.reason === 'garbage' ? 'protocol' : 'stage-lost'
          this.fail(reason, `the link to ${this.#nameOf(index)} ended (${closed.detail}); ask again to get another chain`, index)
        },
      })
      const stage = this.#stages[index]
      if (this.#ended !== null || stage === undefined) {
        // The chain ended while this was being dialed.
        route.detach()
        return
      }
      stage.route = route
      route.send({ type: 'open', sessionId: this.#sessionId, grant: signedGrant })
    } catch (error) {
      const detail = error instanceof TabswarmError ? error.message : String(error)
      this.fail('unreachable', `${this.#nameOf(index)} could not be reached: ${detail}`, index)
    }
  }

  async #submit(lap: Lap): Promise<void> {
    while (this.#ended === null && this.#sentRows + lap.ids.length > this.#sendableRows) {
      this.#roomWanted ??= deferred()
      await this.#roomWanted.promise
    }
    if (this.#ended !== null) throw this.#ended
    this.#ledger.submit(lap)
    this.#sentRows += lap.ids.length
    this.#liveness.expect()
    this.#send(0, {
      type: 'rows',
      sessionId: this.#sessionId,
      epoch: this.#ledger.epoch,
      firstPosition: lap.firstPosition,
      rowCount: lap.ids.length,
      kind: lap.kind,
      resultCount: lap.resultCount,
      encoding: 'tokens',
      payload: tokenBytes(lap.ids),
    })
  }

  #onFrame(index: number, frame: Frame): void {
    if (this.#ended !== null) return
    switch (frame.type) {
      case 'opened':
        this.#onOpened(index, frame)
        break
      case 'open':
        this.#onOpen(index, frame)
        break
      case 'failed':
        this.#onFailed(index, frame)
        break
      case 'window':
        if (index === 0) this.#raiseWindow(frame.windowRows)
        else this.#refuse(index, 'only the first stage grants the driver rows')
        break
      case 'lap':
        this.#onLap(index, frame)
        break
      case 'results':
        this.#onResults(index, frame)
        break
      case 'rows':
      case 'truncate':
      case 'close':
        this.#refuse(index, `a stage does not send ${frame.type} to its driver`)
        break
      default:
        unreachable(frame)
    }
  }

  #onFailed(index: number, { reason, message }: FailedFrame): void {
    // Who says that it lost its neighbor is not to blame, nor does anybody know whether the neighbor is.
    const blamed = reason === 'stage-lost' || reason === 'unreachable' ? undefined : index
    this.fail(reason, `${this.#nameOf(index)}: ${message}`, blamed)
  }

  /** The last stage announces itself to the receiver of its results. */
  #onOpen(index: number, frame: OpenFrame): void {
    if (index !== this.#stages.length - 1) this.#refuse(index, 'only the last stage opens its driver')
    else if (frame.grant.body !== this.#options.signedGrant.body) this.#refuse(index, 'it opened the session with another grant')
    else this.#send(index, { type: 'opened', sessionId: this.#sessionId, windowRows: this.#window.rows })
  }

  #onLap(index: number, { firstPosition, rowCount, kind, computeMs, bytesSent, linkKind }: LapFrame): void {
    this.#ledger.heard(index, firstPosition + rowCount)
    this.#liveness.sign(this.#ledger.outstanding)
    this.#events?.onLap({ stageIndex: index, firstPosition, rowCount, kind, computeMs, bytesSent, linkKind })
  }

  #onResults(index: number, frame: ResultsFrame): void {
    const results = this.#acceptResults(index, frame)
    if (!results.ok) {
      this.#refuse(index, results.error)
      return
    }
    const raised = this.#window.consume(frame.rowCount)
    if (raised !== null) this.#send(index, { type: 'window', sessionId: this.#sessionId, windowRows: raised })
    this.#liveness.sign(this.#ledger.outstanding)
    if (results.value !== null) this.#events?.onResults(results.value)
  }

  #acceptResults(index: number, frame: ResultsFrame): Result<LapResults | null, string> {
    if (index !== this.#stages.length - 1) return err('only the last stage sends results')
    if (!this.#window.receive(frame.rowCount)) return err('results beyond the window')
    return this.#ledger.accept(frame)
  }

  #onOpened(index: number, frame: OpenedFrame): void {
    const stage = this.#stages[index]
    if (stage === undefined || stage.answered) return
    stage.answered = true
    if (index === 0) this.#raiseWindow(frame.windowRows)
    if (!this.#isOpen) return
    for (const cancel of this.#cancelTimers.splice(0)) cancel()
    this.#keepAlive()
    this.#opening.resolve()
  }

  /** Stages close what is idle; a chain that waits for a slow stage is not. A repeated `open` only says that the driver lives. */
  #keepAlive(): void {
    this.#cancelTimers = [
      this.#options.clock.after(SESSION_IDLE_MS / 3, () => {
        for (const { route } of this.#stages) {
          route?.send({ type: 'open', sessionId: this.#sessionId, grant: this.#options.signedGrant })
        }
        this.#keepAlive()
      }),
    ]
  }

  #raiseWindow(rows: number): void {
    this.#sendableRows = Math.max(this.#sendableRows, rows)
    this.#roomWanted?.resolve()
    this.#roomWanted = null
  }

  #refuse(index: number, rule: string): void {
    const route = this.#stages[index]?.route
    this.fail('protocol', `${this.#nameOf(index)} broke the protocol: ${rule}; ask again to get another chain`, index)
    route?.closeLink(rule)
  }

  #onOpenDeadline(deadlineMs: number): void {
    // A stage answers once the next has: of several silent ones the last is to blame.
    const index = this.#stages.findLastIndex((stage) => !stage.answered)
    this.fail('unreachable', `${this.#nameOf(index)} did not answer within ${deadlineMs / 1000} s; ask again to get another chain`, index)
  }

  #onSilence(silentMs: number): void {
    const index = this.#ledger.slowestStage()
    const seconds = Math.round(silentMs / 1000)
    this.fail('timeout', `${this.#nameOf(index)} was silent for ${seconds} s; ask again to get another chain`, index)
  }

  #end(error: SessionError): void {
    if (this.#ended !== null) return
    this.#ended = error
    this.#liveness.rest()
    for (const cancel of this.#cancelTimers.splice(0)) cancel()
    for (const stage of this.#stages) {
      // It must not overtake an `open` that is still in the queue.
      stage.route?.send({ type: 'close', sessionId: this.#sessionId }, stage.answered ? 'urgent' : 'data')
      stage.route?.detach()
      stage.route = null
    }
    this.#roomWanted?.resolve()
    this.#opening.reject(error)
    // Nobody may be waiting for it any more.
    this.opened.catch(() => undefined)
  }

  #nameOf(index: number): string {
    const stage = this.#options.grant.stages[index]
    if (stage === undefined) return 'the chain'
    return `stage ${index} (peer ${stage.peerId.slice(0, 8)}, layers ${stage.firstLayer}–${stage.endLayer - 1})`
  }
}

/** u32 little-endian, whatever the host's order. */
function tokenBytes(ids: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(4 * ids.length)
  const view = new DataView(bytes.buffer)
  for (const [index, id] of ids.entries()) view.setUint32(4 * index, id, true)
  return bytes
}

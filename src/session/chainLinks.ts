/**
 * ChainLinks: the driver's links to the stages of one session, as its grant names them. A grant of a higher revision replaces the chain:
 * links to peers that stay are kept, those that are not named any more are told to close.
 */

import { type Frame, type Grant, SESSION_IDLE_MS, type SignedGrant, stageName } from '../protocol/index.ts'
import { type CancelTimer, type Clock, type PeerId, TabswarmError } from '../shared/index.ts'
import { SessionError } from './errors.ts'
import type { LinkRouter, Route } from './linkRouter.ts'

export interface ChainLinksOptions {
  readonly router: LinkRouter
  readonly clock: Clock
  readonly onFrame: (stageIndex: number, frame: Frame) => void
  /** Every stage has answered. */
  readonly onOpen: () => void
  /** A stage that can take no part any more; its link is given up. */
  readonly onLost: (error: SessionError) => void
}

/** What `open` says beside the grant. */
interface OpenFields {
  readonly epoch: number
  readonly length: number
}

interface StageLink {
  route: Route | null
  /** Of the grant that the stage has answered last. */
  answered: number | null
}

export class ChainLinks {
  readonly #options: ChainLinksOptions
  readonly #links = new Map<PeerId, StageLink>()
  #grant: Grant
  #signedGrant: SignedGrant
  #fields: () => OpenFields
  #cancelDeadline: CancelTimer = () => undefined
  #cancelKeepAlive: CancelTimer = () => undefined
  #closed = false

  constructor(grant: Grant, signedGrant: SignedGrant, fields: () => OpenFields, options: ChainLinksOptions) {
    this.#options = options
    this.#grant = grant
    this.#signedGrant = signedGrant
    this.#fields = fields
  }

  get grant(): Grant {
    return this.#grant
  }

  isPresent(signedGrant: SignedGrant): boolean {
    return signedGrant.body === this.#signedGrant.body
  }

  get isOpen(): boolean {
    return this.#grant.stages.every((_, index) => this.hasAnswered(index))
  }

  /** Whether the stage has answered the present grant. */
  hasAnswered(index: number): boolean {
    return this.#linkOf(index)?.answered === this.#grant.revision
  }

  /** Opens the session at every stage of the grant; who has not answered after `deadlineMs` is lost. */
  open(grant: Grant, signedGrant: SignedGrant, deadlineMs: number): void {
    this.#grant = grant
    this.#signedGrant = signedGrant
    for (const [peerId, link] of this.#links) {
      if (grant.stages.every((stage) => stage.peerId !== peerId)) this.#giveUp(peerId, link)
    }
    this.#cancelDeadline()
    this.#cancelDeadline = this.#options.clock.after(deadlineMs, () => this.#onDeadline(deadlineMs))
    for (const { peerId } of grant.stages) {
      const known = this.#links.get(peerId)
      if (known === undefined) void this.#connect(peerId)
      else if (known.route !== null) this.#sendOpen(known.route)
    }
  }

  /** A stage has answered the grant of that revision. */
  answered(index: number, revision: number): void {
    const link = this.#linkOf(index)
    if (link === null || revision !== this.#grant.revision || link.answered === revision) return
    link.answered = revision
    if (!this.isOpen) return
    this.#cancelDeadline()
    this.#options.onOpen()
  }

  send(index: number, frame: Frame, priority: 'data' | 'urgent' = 'data'): void {
    this.#linkOf(index)?.route?.send(frame, priority)
  }

  /** To every stage that has answered the present grant. */
  sendAll(frame: Frame): void {
    for (const index of this.#grant.stages.keys()) if (this.hasAnswered(index)) this.send(index, frame)
  }

  /** From now on: stages close what is idle, and a chain that waits for a slow stage is not. */
  keepAlive(): void {
    this.stopKeepAlive()
    this.#cancelKeepAlive = this.#options.clock.after(SESSION_IDLE_MS / 3, () => {
      // A repeated `open` only says that the driver lives.
      for (const { route } of this.#links.values()) if (route !== null) this.#sendOpen(route)
      this.keepAlive()
    })
  }

  stopKeepAlive(): void {
    this.#cancelKeepAlive()
  }

  /** The stage broke a rule: its link is closed for every session on it. */
  closeLink(index: number, detail: string): void {
    const route = this.#linkOf(index)?.route
    this.#drop(index)
    route?.closeLink(detail)
  }

  /** Takes leave of a stage that is lost: it hears `close` if it hears anything. */
  dropStage(index: number): void {
    const peerId = this.#grant.stages[index]?.peerId
    const link = this.#linkOf(index)
    if (peerId !== undefined && link !== null) this.#giveUp(peerId, link)
  }

  close(): void {
    this.#closed = true
    this.#cancelDeadline()
    this.stopKeepAlive()
    for (const [peerId, link] of this.#links) this.#giveUp(peerId, link)
  }

  #linkOf(index: number): StageLink | null {
    const peerId = this.#grant.stages[index]?.peerId
    return peerId === undefined ? null : (this.#links.get(peerId) ?? null)
  }

  #sendOpen(route: Route): void {
    route.send({ type: 'open', sessionId: this.#grant.sessionId, ...this.#fields(), grant: this.#signedGrant })
  }

  async #connect(peerId: PeerId): Promise<void> {
    const link: StageLink = { route: null, answered: null }
    this.#links.set(peerId, link)
    const isWanted = () => !this.#closed && this.#links.get(peerId) === link
    try {
      const route = await this.#options.router.attach(peerId, this.#grant.sessionId, {
        onFrame: (frame) => {
          const index = this.#indexOf(peerId)
          if (index >= 0 && isWanted()) this.#options.onFrame(index, frame)
        },
        onClose: (closed) => {
          if (!isWanted()) return
          link.route = null
          const reason = closed.reason === 'garbage' ? 'protocol' : 'stage-lost'
          this.#lose(peerId, reason, `the link to ${this.#nameOf(peerId)} ended (${closed.detail})`)
        },
      })
      // Meanwhile the chain may have ended, or gone on without this peer.
      if (!isWanted()) return route.detach()
      link.route = route
      this.#sendOpen(route)
    } catch (error) {
      const detail = error instanceof TabswarmError ? error.message : String(error)
      if (isWanted()) this.#lose(peerId, 'unreachable', `${this.#nameOf(peerId)} could not be reached: ${detail}`)
    }
  }

  #lose(peerId: PeerId, reason: 'protocol' | 'stage-lost' | 'unreachable', message: string): void {
    const stageIndex = this.#indexOf(peerId)
    this.#links.delete(peerId)
    if (stageIndex >= 0) this.#options.onLost(new SessionError(reason, message, { stageIndex }))
  }

  #onDeadline(deadlineMs: number): void {
    // A stage answers once the next has: of several silent ones the last is to blame.
    const stageIndex = this.#grant.stages.findLastIndex((_, index) => !this.hasAnswered(index))
    const message = `${this.#nameOf(this.#grant.stages[stageIndex]?.peerId)} did not answer within ${deadlineMs / 1000} s`
    this.#options.onLost(new SessionError('unreachable', message, { stageIndex }))
  }

  #drop(index: number): void {
    const stage = this.#grant.stages[index]
    if (stage === undefined) return
    this.#linkOf(index)?.route?.detach()
    this.#links.delete(stage.peerId)
  }

  #giveUp(peerId: PeerId, { route, answered }: StageLink): void {
    // It must not overtake an `open` that is still in the queue.
    route?.send({ type: 'close', sessionId: this.#grant.sessionId }, answered === null ? 'data' : 'urgent')
    route?.detach()
    this.#links.delete(peerId)
  }

  #indexOf(peerId: PeerId): number {
    return this.#grant.stages.findIndex((stage) => stage.peerId === peerId)
  }

  #nameOf(peerId: PeerId | undefined): string {
    return stageName(
      this.#grant,
      this.#grant.stages.findIndex((stage) => stage.peerId === peerId),
    )
  }
}

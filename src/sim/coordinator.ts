/**
 * Coordinator: the real core with simulated sockets. It feeds events, carries effects out, and ticks. A socket outlives silence,
 * as TCP does; what is said over a socket that was closed meanwhile is lost.
 */

import { CoordinatorCore, type CoreEffect, type CoreEvent, type CoreOptions } from '../coordinator/core/index.ts'
import { type ClientMessage, type Grant, type ServerMessage, type SignedGrant, type SignedReceipt, signGrant } from '../protocol/index.ts'
import type { ReceiptRequest } from '../receipts/index.ts'
import type { PeerId, SessionId, Signer } from '../shared/index.ts'
import type { Host, Network } from './network.ts'
import type { VirtualTime } from './virtualTime.ts'

export type Said = Exclude<ClientMessage, { type: 'identify' | 'relay' | 'receipt' | 'statement' | 'account-request' }>

/** A tab with a control socket. */
export interface Client extends Host {
  /** Until then its worker hangs, and its page answers pings all the same. */
  readonly hungUntilMs: number
  receive(message: ServerMessage): void
  /** Signed; the answer to `requestId`. */
  admitted(requestId: string, grant: Grant, signedGrant: SignedGrant): void
  /** The coordinator asks for a receipt. */
  ask(wanted: ReceiptRequest): void
  /** For the answer to a ping. */
  load(): { readonly sessions: number; readonly kvPositionsFree: number }
  /** The coordinator closed the socket, or it broke. */
  disconnected(): void
}

export interface CoordinatorOptions {
  readonly core: Omit<CoreOptions, 'newSessionId'>
  readonly newSessionId: CoreOptions['newSessionId']
  readonly network: Network
  readonly signer: Signer
  readonly tickMs: number
  /** In place of CoordinatorCore, by tests of the invariants. */
  readonly makeCore?: (options: CoreOptions) => Pick<CoordinatorCore, 'handle' | 'summary'>
  readonly onGrant: (grant: Grant) => void
  /** Heard of a driver. */
  readonly onEnded: (sessionId: SessionId) => void
  readonly onDisconnected: (peerId: PeerId) => void
  readonly onReceipt: (peerId: PeerId, signed: SignedReceipt) => void
}

/** One way between a tab and the coordinator. */
const CONTROL_WAY_MS = 25

export class Coordinator {
  readonly #options: CoordinatorOptions
  readonly #time: VirtualTime
  readonly #core: Pick<CoordinatorCore, 'handle' | 'summary'>
  readonly #sockets = new Map<PeerId, Client>()
  /** Pings of one event: answered together, since a thousand tabs are pinged at once. */
  #pings: { readonly client: Client; readonly sequence: number }[] = []

  constructor(options: CoordinatorOptions) {
    const { core, newSessionId, makeCore } = options
    this.#options = options
    this.#time = options.network.time
    const coreOptions = { ...core, newSessionId }
    this.#core = makeCore?.(coreOptions) ?? new CoordinatorCore(coreOptions)
    this.#tick()
  }

  get clientCount(): number {
    return this.#sockets.size
  }

  hasSocket(peerId: PeerId): boolean {
    return this.#sockets.has(peerId)
  }

  /** Sessions that the core counts as open. */
  get openSessions(): number {
    return this.#core.summary(this.#time.nowMs).swarms.reduce((sum, { sessions }) => sum + sessions, 0)
  }

  connect(client: Client): void {
    this.#sockets.set(client.peerId, client)
    this.#feed({ kind: 'connected', peerId: client.peerId })
  }

  /** The tab's socket broke; it was told so by its own side. */
  disconnect(client: Client): void {
    if (this.#sockets.get(client.peerId) !== client) return
    this.#sockets.delete(client.peerId)
    this.#options.onDisconnected(client.peerId)
    this.#feed({ kind: 'disconnected', peerId: client.peerId })
  }

  say(client: Client, message: Said): void {
    this.#time.at(this.#reachesMs(client), null, () => {
      if (this.#sockets.get(client.peerId) !== client) return
      if (message.type === 'ended') this.#options.onEnded(message.sessionId)
      this.#feed({ kind: 'message', peerId: client.peerId, message })
    })
  }

  /** As `say`, for what is not the core's matter. */
  tell(client: Client, signed: SignedReceipt): void {
    this.#time.at(this.#reachesMs(client), null, () => {
      if (this.#sockets.get(client.peerId) === client) this.#options.onReceipt(client.peerId, signed)
    })
  }

  #tick(): void {
    this.#feed({ kind: 'tick' })
    this.#time.after(this.#options.tickMs, null, () => this.#tick())
  }

  #feed(event: CoreEvent): void {
    for (const effect of this.#core.handle(event, this.#time.nowMs)) this.#carryOut(effect)
    if (this.#pings.length === 0) return
    const pings = this.#pings
    this.#pings = []
    this.#time.after(2 * CONTROL_WAY_MS, null, () => {
      for (const { client, sequence } of pings) this.#answer(client, sequence)
    })
  }

  #answer(client: Client, sequence: number): void {
    if (client.isDead) return
    const { nowMs } = this.#time
    const awake = (client.frozenUntilMs <= nowMs || client.hungUntilMs > nowMs) && client.island === 0
    if (!awake) {
      this.#time.at(this.#reachesMs(client), client, () => this.say(client, { type: 'pong', sequence, ...client.load() }))
      return
    }
    if (this.#sockets.get(client.peerId) !== client) return
    const { sessions, kvPositionsFree } = client.load()
    this.#feed({ kind: 'message', peerId: client.peerId, message: { type: 'pong', sequence, sessions, kvPositionsFree } })
  }

  #carryOut(effect: CoreEffect): void {
    // Nobody accounts for sessions here.
    if (effect.kind === 'session') return
    const client = this.#sockets.get(effect.peerId)
    if (client === undefined) return
    switch (effect.kind) {
      case 'send':
        if (effect.message.type === 'ping') this.#pings.push({ client, sequence: effect.message.sequence })
        else this.#send(client, () => client.receive(effect.message))
        break
      case 'admit': {
        const { requestId, grant } = effect
        this.#options.onGrant(grant)
        void signGrant(grant, this.#options.signer).then((signed) => this.#send(client, () => client.admitted(requestId, grant, signed)))
        break
      }
      case 'close':
        this.#sockets.delete(client.peerId)
        this.#options.onDisconnected(client.peerId)
        this.#time.at(this.#reachesMs(client), client, () => client.disconnected())
        break
    }
  }

  #send(client: Client, deliver: () => void): void {
    this.#time.at(this.#reachesMs(client), client, () => {
      if (this.#sockets.get(client.peerId) === client) deliver()
    })
  }

  /** When what is said now is heard on the other side. */
  #reachesMs(client: Client): number {
    const { nowMs } = this.#time
    const startMs = client.island === 0 ? nowMs : Math.max(nowMs, this.#options.network.reunitedMs)
    return startMs + CONTROL_WAY_MS
  }
}

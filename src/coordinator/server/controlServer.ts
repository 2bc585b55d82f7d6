/**
 * ControlServer: all control sockets, and the core behind them. Feeds it events, carries out its effects, signs its grants.
 */

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import { signGrant } from '../../protocol/index.ts'
import {
  type CancelTimer,
  type Clock,
  type ErrorBody,
  type ModelId,
  type PeerId,
  type Pool,
  type Sha256,
  type Signer,
  toBase64Url,
  unreachable,
  type VerifySignature,
} from '../../shared/index.ts'
import { addressBlock } from '../accounts/index.ts'
import type { CoordinatorCore, CoreEffect, CoreEvent, MayServe } from '../core/index.ts'
import type { Economy, PeerPorts } from '../economy/index.ts'
import { ControlSocket, type PeerMessage } from './controlSocket.ts'
import { CLOSE_GRACE_MS, RECEIVE_BYTES_MAX, TICK_MS, UNIDENTIFIED_MAX, UNIDENTIFIED_PER_ADDRESS_MAX } from './limits.ts'
import { type PathOptions, pathsFor, TURN_RENEW_MS } from './paths.ts'
import type { RelayPorts, RelayServer } from './relayServer.ts'
import { SIGNAL_PATH, type SignalServer } from './signalServer.ts'

export interface ControlServerOptions {
  readonly core: CoordinatorCore
  readonly signals: SignalServer
  readonly relays: RelayServer
  /** Who pays and is paid; null: nobody. */
  readonly economy: ((ports: PeerPorts) => Economy) | null
  readonly signer: Signer
  readonly clock: Clock
  readonly randomBytes: (count: number) => Uint8Array
  readonly sha256: Sha256
  readonly verify: VerifySignature
  readonly paths: PathOptions
  readonly defaultModelId: ModelId
  /** Requesters that a peer stands for: many, of the gateway's own driver, and one of every other. */
  readonly shareOf: (peerId: PeerId) => number
  readonly log: (line: string) => void
}

export const CONTROL_PATH = '/control'
const TOKEN_BYTES = 24
/** RFC 6455: the endpoint is going away. */
const GOING_AWAY = 1001

export class ControlServer {
  readonly #options: ControlServerOptions
  readonly #server = new WebSocketServer({ noServer: true, maxPayload: RECEIVE_BYTES_MAX, perMessageDeflate: false })
  readonly #all = new Set<ControlSocket>()
  readonly #identified = new Map<PeerId, ControlSocket>()
  /** Sockets of each address that have not identified yet. */
  readonly #waiting = new Map<string, number>()
  readonly #relayPorts: RelayPorts
  readonly #economy: Economy | null
  #cancelTick: CancelTimer = () => undefined
  #cancelRenewal: CancelTimer = () => undefined
  #closing = false
  /** Called when the last socket has closed. */
  #onEmpty: () => void = () => undefined

  constructor(options: ControlServerOptions) {
    this.#options = options
    this.#relayPorts = {
      isIdentified: (peerId) => this.#identified.has(peerId),
      areJoined: (one, other) => options.core.areJoined(one, other),
      tell: (peerId, message) => this.#identified.get(peerId)?.send(message),
    }
    this.#economy =
      options.economy?.({
        tell: (peerId, message) => this.#identified.get(peerId)?.send(message),
        fail: (peerId, error) => this.#expel(peerId, error),
      }) ?? null
    this.#tick()
    if (options.paths.turn !== null) this.#renewPaths()
  }

  /** What API keys may, and who pays for what they ask; null: there are no accounts. */
  get accounts(): Pick<Economy, 'authorize' | 'pay' | 'setAside' | 'giveBack' | 'price' | 'affordable' | 'onSettled' | 'onAudited'> | null {
    return this.#economy
  }

  /** Who is in that pool of the account; null: everybody. */
  poolOf(pool: Pool, account: string): MayServe | null {
    return this.#economy?.poolOf(pool, account) ?? null
  }

  /** The status to refuse the upgrade with, or null where it went through. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): number | null {
    const address = request.socket.remoteAddress ?? ''
    if (this.#closing || this.#all.size - this.#identified.size >= UNIDENTIFIED_MAX) return 503
    if ((this.#waiting.get(address) ?? 0) >= UNIDENTIFIED_PER_ADDRESS_MAX) return 429
    this.#server.handleUpgrade(request, socket, head, (opened) => {
      const { signer, clock, randomBytes, sha256, verify, shareOf } = this.#options
      const control = new ControlSocket({
        socket: opened,
        coordinatorKey: signer.publicKey,
        clock,
        randomBytes,
        sha256,
        verify,
        shareOf,
        onIdentified: (client, peer) => {
          this.#stopWaiting(address)
          this.#welcome(client, peer.peerId, addressBlock(address)?.text ?? address)
          this.#economy?.identified({ ...peer, address, share: shareOf(peer.peerId) })
        },
        onMessage: (client, peerId, message) => {
          if (this.#identified.get(peerId) === client) this.#receive(client, peerId, message)
        },
        onClosed: (client, peerId) => {
          if (peerId === null) this.#stopWaiting(address)
          this.#closed(client, peerId)
        },
      })
      this.#all.add(control)
      this.#waiting.set(address, (this.#waiting.get(address) ?? 0) + 1)
    })
    return null
  }

  /** Tells every client, and resolves once their sockets are closed or cut, and what they are owed is written. */
  async close(): Promise<void> {
    this.#closing = true
    this.#cancelTick()
    this.#cancelRenewal()
    const error = { reason: 'shutting-down', message: 'the coordinator is shutting down; this tab tries again until it is back' }
    for (const client of this.#all) client.fail(error, GOING_AWAY)
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve
      if (this.#all.size === 0) resolve()
      else this.#options.clock.after(CLOSE_GRACE_MS, resolve)
    })
    for (const socket of this.#server.clients) socket.terminate()
    this.#server.close()
    await this.#economy?.close()
  }

  #stopWaiting(address: string): void {
    const left = (this.#waiting.get(address) ?? 0) - 1
    if (left > 0) this.#waiting.set(address, left)
    else this.#waiting.delete(address)
  }

  #welcome(client: ControlSocket, peerId: PeerId, origin: string): void {
    const { clock, paths, defaultModelId, randomBytes, signals, shareOf } = this.#options
    const older = this.#identified.get(peerId)
    this.#identified.set(peerId, client)
    older?.fail({ reason: 'replaced', message: 'the same key has connected anew; this connection is of no use any more' })
    const signalToken = toBase64Url(randomBytes(TOKEN_BYTES))
    signals.allow(peerId, signalToken)
    const timeMs = clock.nowMs()
    const peerPaths = pathsFor(paths, peerId, timeMs)
    client.send({ type: 'welcome', peerId, timeMs, signalPath: SIGNAL_PATH, signalToken, paths: peerPaths, defaultModelId })
    this.#feed({ kind: 'connected', peerId, origin, share: shareOf(peerId) })
  }

  #receive(client: ControlSocket, peerId: PeerId, message: PeerMessage): void {
    if (message.type === 'relay') this.#options.relays.request(peerId, message.peerId, message.heardOf, this.#relayPorts)
    else if (message.type === 'receipt') this.#economy?.receipt(peerId, message.receipt)
    else if (message.type === 'statement' || message.type === 'account-request') this.#answerAccount(client, peerId, message)
    else if (message.type === 'admit' && this.#economy !== null) void this.#hold(client, peerId, message, this.#economy)
    else {
      if (message.type === 'pledge') void this.#economy?.pledged(peerId)
      this.#feed({ kind: 'message', peerId, message })
    }
  }

  #answerAccount(client: ControlSocket, peerId: PeerId, message: Extract<PeerMessage, { type: 'statement' | 'account-request' }>): void {
    const { requestId } = message
    if (this.#economy !== null)
      return void (message.type === 'statement' ? this.#economy.statement(peerId, message) : this.#economy.request(peerId, message))
    client.send({ type: 'refused', requestId, reason: 'no-accounts', message: 'this coordinator keeps no accounts', retryAfterMs: null })
  }

  /** What gets no chain now, and does not wait for one, costs nothing, and needs no credits to be told so. */
  async #hold(client: ControlSocket, peerId: PeerId, message: Extract<PeerMessage, { type: 'admit' }>, economy: Economy): Promise<void> {
    const { core, clock } = this.#options
    const nowMs = clock.nowMs()
    const mayServe = economy.mayServe(message.voucher)
    const among = mayServe === null ? {} : { mayServe }
    // At the same time: a moment later the core could grant what nobody holds credits for.
    if (!core.mayAdmit(peerId, message, nowMs, mayServe)) return this.#feed({ kind: 'message', peerId, message, ...among }, nowMs)
    const held = await economy.hold(peerId, message)
    const isThere = this.#identified.get(peerId) === client && !this.#closing
    if (!held.ok) {
      if (isThere) client.send({ type: 'refused', requestId: message.requestId, ...held.error })
      return
    }
    if (isThere) this.#feed({ kind: 'message', peerId, message, sessionId: held.value, ...among })
    else economy.drop(held.value)
  }

  /** Everybody at once: so each peer's credentials are good for as long again. */
  #renewPaths(): void {
    const { clock, paths } = this.#options
    this.#cancelRenewal = clock.after(TURN_RENEW_MS, () => {
      const nowMs = clock.nowMs()
      for (const [peerId, client] of this.#identified) client.send({ type: 'paths', paths: pathsFor(paths, peerId, nowMs) })
      this.#renewPaths()
    })
  }

  #closed(client: ControlSocket, peerId: PeerId | null): void {
    this.#all.delete(client)
    if (this.#all.size === 0) this.#onEmpty()
    if (peerId !== null && this.#identified.get(peerId) === client) this.#drop(peerId)
  }

  #drop(peerId: PeerId): void {
    this.#forget(peerId)
    if (!this.#closing) this.#feed({ kind: 'disconnected', peerId })
  }

  /** From now on it is nobody's peer. */
  #expel(peerId: PeerId, error: ErrorBody): void {
    const client = this.#identified.get(peerId)
    this.#drop(peerId)
    client?.fail(error)
  }

  #forget(peerId: PeerId): void {
    this.#identified.delete(peerId)
    this.#economy?.left(peerId)
    this.#options.signals.forbid(peerId)
    this.#options.relays.forbid(peerId)
  }

  #tick(): void {
    this.#cancelTick = this.#options.clock.after(TICK_MS, () => {
      this.#feed({ kind: 'tick' })
      this.#economy?.tick()
      this.#tick()
    })
  }

  #feed(event: CoreEvent, nowMs = this.#options.clock.nowMs()): void {
    for (const effect of this.#options.core.handle(event, nowMs)) this.#carryOut(effect)
  }

  #carryOut(effect: CoreEffect): void {
    if (effect.kind === 'session') return this.#economy?.session(effect.event)
    const client = this.#identified.get(effect.peerId)
    if (client === undefined) return
    switch (effect.kind) {
      case 'send':
        return client.send(effect.message)
      case 'admit':
        void this.#admit(client, effect)
        return
      case 'close':
        this.#forget(effect.peerId)
        return client.fail(effect.error)
      default:
        unreachable(effect)
    }
  }

  async #admit(client: ControlSocket, { requestId, grant, chain }: Extract<CoreEffect, { kind: 'admit' }>): Promise<void> {
    try {
      const held = this.#economy?.heldFor(grant.sessionId)?.toString() ?? null
      client.send({ type: 'admitted', requestId, grant: await signGrant(grant, this.#options.signer), chain, held })
    } catch (error) {
      this.#options.log(`a grant could not be signed: ${String(error)}`)
      const message = 'the coordinator could not sign the permission; try again'
      client.send({ type: 'refused', requestId, reason: 'internal', message, retryAfterMs: null })
      this.#feed({
        kind: 'message',
        peerId: grant.driver,
        message: { type: 'ended', sessionId: grant.sessionId, outcome: 'failed', failedPeerId: null, laps: null },
      })
    }
  }
}

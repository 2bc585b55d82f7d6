/**
 * SignalServer: the server's half of PeerJS's signalling, for peers that hold a control socket. Carries offers, answers and
 * candidates from one to the other, under the sender's proven id, and reads nothing but the envelope. Why not the package
 * `peer`: docs/decisions/0050-own-signalling-server.md.
 */

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import * as v from 'valibot'
import { type WebSocket, WebSocketServer } from 'ws'
import { type CancelTimer, type Clock, isPeerId, type PeerId } from '../../shared/index.ts'
import { TokenBucket } from '../core/index.ts'
import { SEND_BUFFER_BYTES_MAX, SIGNAL_BYTES_MAX, SIGNAL_HOLD_MS, SIGNAL_RATE, SIGNALS_HELD_MAX } from './limits.ts'

/** PeerJS's client adds its own name to the path that it is given. */
export const SIGNAL_PATH = '/signal'
const SOCKET_PATH = `${SIGNAL_PATH}/peerjs`

const envelopeSchema = v.variant('type', [
  v.object({ type: v.literal('HEARTBEAT') }),
  // PeerJS's client says so when a connection or the page ends; the connection itself tells the same.
  v.object({ type: v.literal('LEAVE') }),
  v.object({
    type: v.picklist(['OFFER', 'ANSWER', 'CANDIDATE']),
    dst: v.custom<PeerId>((value) => typeof value === 'string' && isPeerId(value), 'not a peer id'),
    payload: v.unknown(),
  }),
])

interface Held {
  readonly messages: { readonly src: PeerId; readonly text: string }[]
  readonly cancel: CancelTimer
}

export class SignalServer {
  readonly #clock: Clock
  readonly #server = new WebSocketServer({ noServer: true, maxPayload: SIGNAL_BYTES_MAX, perMessageDeflate: false })
  readonly #tokens = new Map<PeerId, string>()
  readonly #sockets = new Map<PeerId, WebSocket>()
  readonly #held = new Map<PeerId, Held>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** From now on `token` opens a signalling socket of this peer, and no other does (rule C6). */
  allow(peerId: PeerId, token: string): void {
    this.forbid(peerId)
    this.#tokens.set(peerId, token)
  }

  /** The control socket is gone: so are the token and the socket that it opened. */
  forbid(peerId: PeerId): void {
    this.#tokens.delete(peerId)
    this.#sockets.get(peerId)?.close(1008, 'the control socket is closed')
    this.#sockets.delete(peerId)
    this.#expire(peerId)
  }

  isMine(path: string): boolean {
    return path === SOCKET_PATH
  }

  /** The status to refuse the upgrade with, or null where it went through. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): number | null {
    const { searchParams } = new URL(request.url ?? '/', 'http://localhost')
    const id = searchParams.get('id') ?? ''
    const token = searchParams.get('token')
    if (!isPeerId(id) || token === null || this.#tokens.get(id) !== token) return 401
    this.#server.handleUpgrade(request, socket, head, (opened) => this.#opened(id, opened))
    return null
  }

  close(): void {
    for (const socket of this.#sockets.values()) socket.terminate()
    for (const { cancel } of this.#held.values()) cancel()
    this.#sockets.clear()
    this.#held.clear()
    this.#tokens.clear()
    this.#server.close()
  }

  #opened(peerId: PeerId, socket: WebSocket): void {
    this.#sockets.get(peerId)?.close(1008, 'replaced by a newer socket')
    this.#sockets.set(peerId, socket)
    const bucket = new TokenBucket(SIGNAL_RATE, this.#clock.nowMs())
    socket.on('error', () => socket.terminate())
    socket.on('close', () => {
      if (this.#sockets.get(peerId) === socket) this.#sockets.delete(peerId)
    })
    socket.on('message', (data, isBinary) => {
      if (isBinary || !bucket.take(this.#clock.nowMs()) || !this.#receive(peerId, data.toString()))
        socket.close(1008, 'not a signalling message, or too many')
    })
    send(socket, JSON.stringify({ type: 'OPEN' }))
    const held = this.#held.get(peerId)
    held?.cancel()
    this.#held.delete(peerId)
    for (const { text } of held?.messages ?? []) send(socket, text)
  }

  #receive(src: PeerId, json: string): boolean {
    const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), envelopeSchema), json)
    if (!parsed.success) return false
    const message = parsed.output
    if (!('dst' in message)) return true
    const { type, dst, payload } = message
    const text = JSON.stringify({ type, src, dst, payload })
    const socket = this.#sockets.get(dst)
    if (socket !== undefined) send(socket, text)
    else if (!this.#tokens.has(dst) || !this.#hold(src, dst, text)) this.#tellNobody(src, dst)
    return true
  }

  /** For a peer that has its token and comes in a moment. */
  #hold(src: PeerId, dst: PeerId, text: string): boolean {
    const held = this.#held.get(dst) ?? { messages: [], cancel: this.#clock.after(SIGNAL_HOLD_MS, () => this.#expire(dst)) }
    this.#held.set(dst, held)
    if (held.messages.length >= SIGNALS_HELD_MAX) return false
    held.messages.push({ src, text })
    return true
  }

  #expire(dst: PeerId): void {
    const held = this.#held.get(dst)
    held?.cancel()
    this.#held.delete(dst)
    for (const src of new Set(held?.messages.map((message) => message.src))) this.#tellNobody(src, dst)
  }

  #tellNobody(src: PeerId, dst: PeerId): void {
    const socket = this.#sockets.get(src)
    if (socket !== undefined) send(socket, JSON.stringify({ type: 'EXPIRE', src: dst, dst: src }))
  }
}

function send(socket: WebSocket, text: string): void {
  if (socket.bufferedAmount > SEND_BUFFER_BYTES_MAX) socket.terminate()
  else socket.send(text)
}

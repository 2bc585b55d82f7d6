/**
 * ControlSocket: one client of the control socket, from the challenge to the end. Proves the client's key, parses and bounds
 * what it sends, and says why it closes. What messages mean is the core's matter. Rules C1 … C4, C9, C12.
 */

import type { RawData, WebSocket } from 'ws'
import { peerIdOf } from '../../network/index.ts'
import {
  type ClientMessage,
  CONTROL_MESSAGE_BYTES_MAX,
  IDENTIFY_CONTEXT,
  openCertificate,
  PROTOCOL_VERSION,
  parseClientMessage,
  type ServerMessage,
} from '../../protocol/index.ts'
import {
  type CancelTimer,
  type Clock,
  concatBytes,
  type ErrorBody,
  fromBase64Url,
  ok,
  type PeerId,
  type Sha256,
  toBase64Url,
  utf8Encode,
  type VerifySignature,
} from '../../shared/index.ts'
import { rateOf, TokenBucket } from '../core/index.ts'
import { CLOSE_GRACE_MS, CONTROL_RATE, IDENTIFY_DEADLINE_MS, SEND_BUFFER_BYTES_MAX } from './limits.ts'

export interface ControlSocketOptions {
  readonly socket: WebSocket
  readonly coordinatorKey: Uint8Array
  readonly clock: Clock
  readonly randomBytes: (count: number) => Uint8Array
  readonly sha256: Sha256
  readonly verify: VerifySignature
  /** Requesters that a peer stands for. */
  readonly shareOf: (peerId: PeerId) => number
  /** The key is proven, and to which account it belongs; `welcome` is the callee's to send. */
  readonly onIdentified: (socket: ControlSocket, peer: ProvenPeer) => void
  readonly onMessage: (socket: ControlSocket, peerId: PeerId, message: PeerMessage) => void
  /** Once, however it ended. */
  readonly onClosed: (socket: ControlSocket, peerId: PeerId | null) => void
}

export interface ProvenPeer {
  readonly peerId: PeerId
  /** Raw. */
  readonly publicKey: Uint8Array
  /** Raw; null: no account has certified it. */
  readonly accountKey: Uint8Array | null
}

export type PeerMessage = Exclude<ClientMessage, { type: 'identify' }>

/** RFC 6455: a message that breaks the policy of the endpoint. */
const POLICY_VIOLATION = 1008
const NONCE_BYTES = 32

export class ControlSocket {
  readonly #options: ControlSocketOptions
  #bucket: TokenBucket
  readonly #nonce: Uint8Array
  #phase: 'challenged' | 'verifying' | 'identified' | 'closing' = 'challenged'
  #peerId: PeerId | null = null
  #cancelTimer: CancelTimer

  constructor(options: ControlSocketOptions) {
    this.#options = options
    const { socket, clock, coordinatorKey, randomBytes } = options
    this.#bucket = new TokenBucket(CONTROL_RATE, clock.nowMs())
    this.#nonce = randomBytes(NONCE_BYTES)
    socket.on('error', () => socket.terminate())
    socket.on('close', () => {
      this.#phase = 'closing'
      this.#cancelTimer()
      options.onClosed(this, this.#peerId)
    })
    socket.on('message', (data, isBinary) => this.#receive(data, isBinary))
    this.#cancelTimer = clock.after(IDENTIFY_DEADLINE_MS, () =>
      this.fail({ reason: 'identify-timeout', message: `the client did not identify itself within ${IDENTIFY_DEADLINE_MS / 1000} s` }),
    )
    this.send({
      type: 'challenge',
      protocol: PROTOCOL_VERSION,
      nonce: toBase64Url(this.#nonce),
      coordinatorKey: toBase64Url(coordinatorKey),
      timeMs: clock.nowMs(),
    })
  }

  /** A client that does not read is cut off. */
  send(message: ServerMessage): void {
    const { socket } = this.#options
    if (socket.bufferedAmount > SEND_BUFFER_BYTES_MAX) socket.terminate()
    else if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(message))
  }

  /** Says why, then closes (rule C12). */
  fail(error: ErrorBody, code = POLICY_VIOLATION): void {
    if (this.#phase === 'closing') return
    const { socket, clock } = this.#options
    this.send({ type: 'error', reason: error.reason, message: error.message.slice(0, 1_000) })
    this.#phase = 'closing'
    this.#cancelTimer()
    this.#cancelTimer = clock.after(CLOSE_GRACE_MS, () => socket.terminate())
    socket.close(code, error.reason)
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (this.#phase === 'closing') return
    if (!this.#bucket.take(this.#options.clock.nowMs()))
      return this.fail({ reason: 'too-many-messages', message: `more than ${CONTROL_RATE.perSecond} messages a second` })
    const bytes = Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as ArrayBuffer)
    if (isBinary || bytes.byteLength > CONTROL_MESSAGE_BYTES_MAX)
      return this.#refuse(
        isBinary ? 'a message must be JSON text' : `a message of ${bytes.byteLength} bytes; the limit is ${CONTROL_MESSAGE_BYTES_MAX}`,
      )
    const parsed = parseClientMessage(bytes.toString('utf8'))
    if (!parsed.ok) return this.#refuse(parsed.error)
    const message = parsed.value
    if (message.type === 'identify') {
      if (this.#phase !== 'challenged') return this.#refuse('a second identify')
      this.#phase = 'verifying'
      void this.#identify(message)
    } else if (this.#peerId === null) this.#refuse(`${message.type} before identify`)
    else this.#options.onMessage(this, this.#peerId, message)
  }

  async #identify(message: Extract<ClientMessage, { type: 'identify' }>): Promise<void> {
    const { coordinatorKey, verify, sha256, clock, shareOf, onIdentified } = this.#options
    if (message.protocol !== PROTOCOL_VERSION)
      return this.fail({
        reason: 'protocol-version',
        message: `this coordinator speaks protocol ${PROTOCOL_VERSION}, the client ${message.protocol}: reload the page`,
      })
    const publicKey = fromBase64Url(message.publicKey)
    const signature = fromBase64Url(message.signature)
    const signed = concatBytes([utf8Encode(IDENTIFY_CONTEXT), this.#nonce, coordinatorKey])
    const proven = publicKey !== null && signature !== null && (await verify(publicKey, signed, signature))
    if (!proven) return this.fail({ reason: 'bad-signature', message: 'the signature is not the one of this key over this challenge' })
    const peerId = await peerIdOf(publicKey, sha256)
    const certified = message.certificate === null ? ok(null) : await openCertificate(message.certificate, peerId, verify, clock.nowMs())
    if (!certified.ok) return this.fail({ reason: 'bad-certificate', message: certified.error })
    if (this.#phase !== 'verifying') return
    this.#phase = 'identified'
    this.#cancelTimer()
    this.#peerId = peerId
    this.#bucket = new TokenBucket(rateOf(CONTROL_RATE, shareOf(peerId)), clock.nowMs())
    onIdentified(this, { peerId, publicKey, accountKey: certified.value })
  }

  #refuse(what: string): void {
    this.fail({ reason: 'protocol', message: `the client broke the protocol: ${what}` })
  }
}

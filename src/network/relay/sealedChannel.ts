/**
 * SealedChannel: a ByteChannel over a socket at the coordinator's relay, sealed from end to end. Each WebSocket message is one record;
 * its last byte, inside the seal, says its kind. Acknowledgements of the other end, not the socket, tell what is still under way: so the
 * relay never holds more than a link's watermark, and no timer asks. Keys: sealing.ts; who the other end is: handshake.ts.
 */

import { type LinkStats, RELAY_RECORD_BYTES_MAX } from '../../protocol/index.ts'
import { assert, type Clock, concatBytes, SerialQueue, type Sha256, TabswarmError, utf8Encode } from '../../shared/index.ts'
import { type BoundChannel, CHANNEL_LOW_BYTES, type ChannelBinding, type ChannelClosed, type ChannelHandlers } from '../channel.ts'
import type { Role } from '../handshake.ts'
import { type RelaySocket, SocketInbox } from './relaySocket.ts'
import { createEphemeralKey, deriveSeals, EPHEMERAL_KEY_BYTES, RECORDS_MAX, type Seals } from './sealing.ts'

/** Last byte of a record. `timed` asks for an acknowledgement at once; `taken` tells, as u32, how many bytes were since the last one. */
export const RECORD = { message: 0x4d, timed: 0x54, taken: 0x41, end: 0x45 } as const

/** Bytes taken and not acknowledged: below the low watermark, or a sender that waits for it would never hear. */
const OWED_BYTES_MAX = 32 * 1024
/** How often the round trip is measured, at most. */
const TIMED_INTERVAL_MS = 1_000
/** Messages before anybody listens: a handshake's first ones. */
const EARLY_MESSAGES_MAX = 8
/** RFC 6298's gain for a smoothed round trip. */
const ROUND_TRIP_GAIN = 1 / 8
const KEY_MESSAGE = 0x4b
const KEY_CONTEXT = 'tabswarm relay key\n'

export interface SealOptions {
  readonly role: Role
  readonly subtle: SubtleCrypto
  readonly sha256: Sha256
  readonly clock: Clock
  /** Ends the attempt, with its reason. */
  readonly signal: AbortSignal
}

/** Agrees on keys over a socket that was just made. Rejects with TabswarmError `unreachable`, the socket closed. */
export async function sealChannel(socket: RelaySocket, { role, subtle, sha256, clock, signal }: SealOptions): Promise<SealedChannel> {
  const inbox = new SocketInbox(socket)
  const onAbort = () => inbox.fail(signal.reason instanceof Error ? signal.reason.message : 'given up')
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    const own = await createEphemeralKey(subtle)
    await inbox.whenOpen()
    socket.send(concatBytes([Uint8Array.of(KEY_MESSAGE), own.publicKey]))
    const theirKey = parseKey(await inbox.next())
    const secret = await own.agree(theirKey).catch(() => Promise.reject(malformedKey()))
    const [dialerKey, listenerKey] = role === 'dialer' ? [own.publicKey, theirKey] : [theirKey, own.publicKey]
    const seals = await deriveSeals(subtle, role, { secret, dialerKey, listenerKey })
    const [localFingerprint, remoteFingerprint] = await Promise.all([fingerprintOf(own.publicKey, sha256), fingerprintOf(theirKey, sha256)])
    return new SealedChannel({ socket, inbox, seals, clock, binding: { localFingerprint, remoteFingerprint } })
  } catch (error) {
    socket.close()
    throw error
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** What stands for a DTLS certificate's fingerprint in the handshake; a context of its own, so that it can be no certificate's. */
function fingerprintOf(key: Uint8Array, sha256: Sha256): Promise<Uint8Array> {
  return sha256(concatBytes([utf8Encode(KEY_CONTEXT), key]))
}

function parseKey(message: Uint8Array | null): Uint8Array {
  if (message?.[0] !== KEY_MESSAGE || message.byteLength !== 1 + EPHEMERAL_KEY_BYTES) throw malformedKey()
  return message.slice(1)
}

function malformedKey(): TabswarmError {
  return new TabswarmError('unreachable', '[L6] the other end of the relay sent no ephemeral key')
}

interface SealedChannelParts {
  readonly socket: RelaySocket
  readonly inbox: SocketInbox
  readonly seals: Seals
  readonly clock: Clock
  readonly binding: ChannelBinding
}

export class SealedChannel implements BoundChannel {
  readonly binding: ChannelBinding
  readonly #socket: RelaySocket
  readonly #seals: Seals
  readonly #clock: Clock
  /** Sealing and opening begin at once and run side by side; their results keep the order. */
  readonly #sending = new SerialQueue()
  readonly #opening = new SerialQueue()
  #handlers: ChannelHandlers | null = null
  #early: Uint8Array[] = []
  #closed = false
  /** Bytes of messages handed over here, and of those that the other end has told to have taken. */
  #handedBytes = 0
  #takenBytes = 0
  /** Taken from the other end, not told yet. */
  #owedBytes = 0
  /** Of records, as they travel. */
  #sentBytes = 0
  #receivedBytes = 0
  #timed: { readonly atBytes: number; readonly sentMs: number } | null = null
  #timedMs = Number.NEGATIVE_INFINITY
  #roundTripMs: number | null = null

  constructor({ socket, inbox, seals, clock, binding }: SealedChannelParts) {
    this.binding = binding
    this.#socket = socket
    this.#seals = seals
    this.#clock = clock
    inbox.listen({
      onMessage: (record) => this.#receive(record),
      // Behind what is being opened.
      onClose: (detail) => void this.#opening.run(async () => this.#end('lost', detail)),
    })
  }

  bufferedBytes(): number {
    return this.#handedBytes - this.#takenBytes
  }

  listen(handlers: ChannelHandlers): void {
    this.#handlers = handlers
    for (const message of this.#early.splice(0)) handlers.onMessage(message)
  }

  send(bytes: Uint8Array): void {
    if (this.#closed) return
    this.#handedBytes += bytes.byteLength
    const nowMs = this.#clock.nowMs()
    const isTimed = this.#timed === null && nowMs - this.#timedMs >= TIMED_INTERVAL_MS
    if (isTimed) {
      this.#timed = { atBytes: this.#handedBytes, sentMs: nowMs }
      this.#timedMs = nowMs
    }
    this.#post(isTimed ? RECORD.timed : RECORD.message, bytes)
  }

  async stats(): Promise<LinkStats> {
    return { kind: 'relay', bytesSent: this.#sentBytes, bytesReceived: this.#receivedBytes, roundTripMs: this.#roundTripMs }
  }

  close(): void {
    if (this.#closed) return
    this.#post(RECORD.end, new Uint8Array(0))
    this.#shut()
  }

  #post(kind: number, body: Uint8Array): void {
    if (this.#seals.sealedCount >= RECORDS_MAX)
      return this.#end('lost', `its keys have sealed ${RECORDS_MAX} records; a new link has new ones`)
    const sealed = this.#seals.seal(concatBytes([body, Uint8Array.of(kind)]))
    void this.#sending.run(async () => {
      const record = await sealed
      this.#sentBytes += record.byteLength
      this.#socket.send(record)
    })
  }

  #receive(record: Uint8Array<ArrayBuffer> | null): void {
    if (this.#closed) return
    if (record === null || record.byteLength > RELAY_RECORD_BYTES_MAX) {
      const what = record === null ? 'a text' : `${record.byteLength} bytes`
      void this.#opening.run(async () => this.#end('garbage', `[L7] ${what} instead of a record`))
      return
    }
    this.#receivedBytes += record.byteLength
    const opened = this.#seals.open(record).catch(() => null)
    void this.#opening.run(async () => this.#take(await opened))
  }

  #take(plain: Uint8Array | null): void {
    if (this.#closed) return
    const kind = plain?.at(-1)
    if (plain === null || kind === undefined)
      return this.#end('garbage', '[L7] a record was changed, repeated or left out between the two peers')
    const body = plain.subarray(0, -1)
    switch (kind) {
      case RECORD.message:
      case RECORD.timed:
        this.#deliver(body)
        return this.#owe(body.byteLength, kind === RECORD.timed)
      case RECORD.taken:
        return this.#told(body)
      case RECORD.end:
        return this.#end('remote', 'the other side closed the connection')
      default:
        this.#end('garbage', `[L8] a record of unknown kind ${kind}`)
    }
  }

  #deliver(message: Uint8Array): void {
    if (this.#handlers !== null) this.#handlers.onMessage(message)
    else if (this.#early.length < EARLY_MESSAGES_MAX) this.#early.push(message)
    else this.#end('garbage', '[H1] too many messages before the handshake began')
  }

  #owe(bytes: number, atOnce: boolean): void {
    this.#owedBytes += bytes
    if (this.#closed || (!atOnce && this.#owedBytes < OWED_BYTES_MAX)) return
    const body = new Uint8Array(4)
    new DataView(body.buffer).setUint32(0, this.#owedBytes, true)
    this.#owedBytes = 0
    this.#post(RECORD.taken, body)
  }

  /** The other end has taken so many bytes more. */
  #told(body: Uint8Array): void {
    const bytes = body.byteLength === 4 ? new DataView(body.buffer, body.byteOffset).getUint32(0, true) : Number.NaN
    const before = this.bufferedBytes()
    if (!(bytes <= before)) return this.#end('garbage', `[L8] ${bytes} bytes acknowledged of ${before}`)
    this.#takenBytes += bytes
    if (this.#timed !== null && this.#takenBytes >= this.#timed.atBytes) {
      const sampleMs = this.#clock.nowMs() - this.#timed.sentMs
      this.#roundTripMs = this.#roundTripMs === null ? sampleMs : this.#roundTripMs + ROUND_TRIP_GAIN * (sampleMs - this.#roundTripMs)
      this.#timed = null
    }
    if (before > CHANNEL_LOW_BYTES && this.bufferedBytes() <= CHANNEL_LOW_BYTES) this.#handlers?.onLow()
  }

  #end(reason: ChannelClosed['reason'], detail: string): void {
    if (this.#closed) return
    const handlers = this.#handlers
    this.#shut()
    handlers?.onClose({ reason, detail })
  }

  /** The socket closes behind what was sent. */
  #shut(): void {
    this.#closed = true
    this.#handlers = null
    this.#early = []
    void this.#sending.idle().then(() => this.#socket.close())
  }
}

// What stays unacknowledged may not keep a sender above the low watermark.
assert(OWED_BYTES_MAX < CHANNEL_LOW_BYTES, 'a sender would wait for an acknowledgement that never comes')

/**
 * Relay: two sockets of two peers, each message of one passed on to the other as it is. It holds little: who sends faster than the other
 * end reads, or faster than the rate, is not read from for a while. Who may have one: relayServer.ts; what the messages are: SPEC.md, group L.
 */

import type { RawData, WebSocket } from 'ws'
import { type CancelTimer, type Clock, type PeerId, required } from '../../shared/index.ts'
import { RELAY_CHECK_MS, RELAY_IDLE_MS, RELAY_JOIN_MS, RELAY_QUEUE_HIGH_BYTES, RELAY_QUEUE_LOW_BYTES, RELAY_RATE } from './limits.ts'
import { Pacer } from './pacer.ts'

/** RFC 6455: the endpoint is going away; a message of a type it does not take; against its policy. */
export const GOING_AWAY = 1001
const UNSUPPORTED_DATA = 1003
export const POLICY_VIOLATION = 1008

export interface RelayOptions {
  /** Who dials, who listens. */
  readonly peerIds: readonly [PeerId, PeerId]
  readonly number: number
  readonly clock: Clock
  /** Of all relays. */
  readonly total: Pacer
  /** Whether the two still have a session. */
  readonly isWanted: () => boolean
  /** Once. */
  readonly onEnded: (relay: Relay) => void
}

interface End {
  readonly socket: WebSocket
  readonly pacer: Pacer
  /** Why it is not read from now. */
  isBlocked: boolean
  isPaced: boolean
  cancelPace: CancelTimer
}

export class Relay {
  readonly peerIds: readonly [PeerId, PeerId]
  readonly number: number
  readonly #options: RelayOptions
  readonly #ends: [End | null, End | null] = [null, null]
  #usedMs: number
  #wantedMs: number
  #cancelTimer: CancelTimer
  #ended = false

  constructor(options: RelayOptions) {
    this.#options = options
    this.peerIds = options.peerIds
    this.number = options.number
    this.#usedMs = this.#wantedMs = options.clock.nowMs()
    this.#cancelTimer = options.clock.after(RELAY_JOIN_MS, () => this.close(POLICY_VIOLATION, 'the other peer did not come to the relay'))
  }

  /** Both ends are there. */
  get isOpen(): boolean {
    return this.#ends.every((end) => end !== null)
  }

  /** An end's socket; nothing is read from it before the other one is there. */
  join(index: 0 | 1, socket: WebSocket): void {
    socket.pause()
    socket.on('error', () => socket.terminate())
    socket.on('close', () => this.close(GOING_AWAY, 'the connection of the other peer to the relay ended'))
    const pacer = new Pacer(RELAY_RATE, this.#options.clock)
    this.#ends[index] = { socket, pacer, isBlocked: false, isPaced: false, cancelPace: () => undefined }
    if (this.#ended) return socket.close(GOING_AWAY)
    const [dialer, listener] = this.#ends
    if (dialer === null || listener === null) return
    this.#cancelTimer()
    this.#check()
    this.#forward(dialer, listener)
    this.#forward(listener, dialer)
  }

  /** Both sockets are told, behind what was passed on to them. */
  close(code: number, reason: string): void {
    if (this.#ended) return
    this.#ended = true
    this.#cancelTimer()
    for (const end of this.#ends) {
      end?.cancelPace()
      // A paused socket would not hear the other side's answer.
      end?.socket.resume()
      end?.socket.close(code, reason)
    }
    this.#options.onEnded(this)
  }

  #forward(from: End, to: End): void {
    from.socket.on('message', (data, isBinary) => {
      if (this.#ended) return
      if (!isBinary) return this.close(UNSUPPORTED_DATA, 'a relay passes on binary messages only')
      this.#usedMs = this.#options.clock.nowMs()
      to.socket.send(data, { binary: true }, () => {
        if (to.socket.bufferedAmount > RELAY_QUEUE_LOW_BYTES) return
        from.isBlocked = false
        this.#read(from)
      })
      if (to.socket.bufferedAmount > RELAY_QUEUE_HIGH_BYTES) from.isBlocked = true
      this.#pace(from, byteLengthOf(data))
      if (from.isBlocked || from.isPaced) from.socket.pause()
    })
    from.socket.resume()
  }

  #pace(from: End, bytes: number): void {
    const waitMs = Math.max(from.pacer.spend(bytes), this.#options.total.spend(bytes))
    if (waitMs === 0) return
    from.isPaced = true
    from.cancelPace()
    from.cancelPace = this.#options.clock.after(waitMs, () => {
      from.isPaced = false
      this.#read(from)
    })
  }

  #read(from: End): void {
    if (!this.#ended && !from.isBlocked && !from.isPaced && from.socket.isPaused) from.socket.resume()
  }

  #check(): void {
    const { clock, isWanted } = this.#options
    this.#cancelTimer = clock.after(RELAY_CHECK_MS, () => {
      const nowMs = clock.nowMs()
      if (isWanted()) this.#wantedMs = nowMs
      const idleMs = nowMs - Math.min(this.#usedMs, this.#wantedMs)
      if (idleMs >= RELAY_IDLE_MS) return this.close(POLICY_VIOLATION, 'the relay was not used any more')
      for (const end of this.#ends) required(end, 'an end of an open relay').socket.ping()
      this.#check()
    })
  }
}

function byteLengthOf(data: RawData): number {
  return Array.isArray(data) ? data.reduce((sum, part) => sum + part.byteLength, 0) : data.byteLength
}

/**
 * EventStream: server-sent events over one HTTP answer. Comments keep it alive while nothing is said; who does not read is cut off, so that it holds
 * neither memory nor a place in the swarm.
 */

import type { ServerResponse } from 'node:http'
import type { CancelTimer, Clock } from '../../shared/index.ts'

/** Proxies cut what is silent for half a minute. */
const KEEP_ALIVE_MS = 10_000
/** What may wait for a reader: a long answer several times over. */
const UNREAD_BYTES_MAX = 1024 * 1024
const UNREAD_MS_MAX = 60_000

export class EventStream {
  readonly #response: ServerResponse
  readonly #clock: Clock
  #cancelKeepAlive: CancelTimer = () => undefined
  #cancelCut: CancelTimer | null = null
  #ended = false

  /** Begins the answer. */
  constructor(response: ServerResponse, headers: Readonly<Record<string, string>>, clock: Clock) {
    this.#response = response
    this.#clock = clock
    response.writeHead(200, { ...headers, 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache, no-transform' })
    response.flushHeaders()
    response.on('drain', () => this.#read())
    response.on('close', () => this.#stop())
    this.#keepAlive()
  }

  /** `data`: one line. */
  send(data: string, name: string | null = null): void {
    this.#write(`${name === null ? '' : `event: ${name}\n`}data: ${data}\n\n`)
  }

  end(): void {
    if (this.#ended) return
    this.#stop()
    this.#response.end()
  }

  #write(text: string): void {
    if (this.#ended) return
    this.#keepAlive()
    if (this.#response.write(text)) return
    if (this.#response.writableLength > UNREAD_BYTES_MAX) return this.#cut()
    this.#cancelCut ??= this.#clock.after(UNREAD_MS_MAX, () => this.#cut())
  }

  #read(): void {
    this.#cancelCut?.()
    this.#cancelCut = null
  }

  #keepAlive(): void {
    this.#cancelKeepAlive()
    this.#cancelKeepAlive = this.#clock.after(KEEP_ALIVE_MS, () => this.#write(': still here\n\n'))
  }

  #cut(): void {
    this.#stop()
    this.#response.destroy()
  }

  #stop(): void {
    this.#ended = true
    this.#cancelKeepAlive()
    this.#read()
  }
}

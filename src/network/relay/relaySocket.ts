/** RelaySocket: the part of a browser's or Node's WebSocket that a relayed channel uses, and its first messages as promises. */

import { TabswarmError } from '../../shared/index.ts'

export interface RelaySocket {
  binaryType: string
  onopen: ((event: never) => void) | null
  onmessage: ((event: never) => void) | null
  onclose: ((event: never) => void) | null
  onerror: ((event: never) => void) | null
  send(bytes: Uint8Array<ArrayBuffer>): void
  close(): void
}

export interface SocketHandlers {
  /** One binary message; null for a text. */
  readonly onMessage: (bytes: Uint8Array<ArrayBuffer> | null) => void
  readonly onClose: (detail: string) => void
}

/** Messages before the keys are known: the dialer's key and hello, and a listener may be slow. */
const EARLY_MESSAGES_MAX = 8

/** Takes a socket from its making on, and hands it over to `listen` when the keys are known. */
export class SocketInbox {
  readonly #socket: RelaySocket
  readonly #early: (Uint8Array<ArrayBuffer> | null)[] = []
  #opened = false
  #ended: string | null = null
  #handlers: SocketHandlers | null = null
  #wake: () => void = () => undefined

  constructor(socket: RelaySocket) {
    this.#socket = socket
    socket.binaryType = 'arraybuffer'
    socket.onopen = () => {
      this.#opened = true
      this.#wake()
    }
    socket.onmessage = ({ data }: { data?: unknown }) => this.#receive(data instanceof ArrayBuffer ? new Uint8Array(data) : null)
    socket.onclose = ({ code, reason }: { code?: number; reason?: string }) =>
      this.#end(`the coordinator's relay ended: ${reason === undefined || reason === '' ? `closed with code ${code}` : reason}`)
    socket.onerror = () => undefined // A close follows, and says as much.
  }

  /** Resolves when the socket is open. Rejects with TabswarmError `unreachable` when it ends before. */
  async whenOpen(): Promise<void> {
    while (!this.#opened) await this.#change()
  }

  /** The next message. Rejects with TabswarmError `unreachable` when the socket ends before it comes. */
  async next(): Promise<Uint8Array<ArrayBuffer> | null> {
    for (;;) {
      const message = this.#early.shift()
      if (message !== undefined) return message
      await this.#change()
    }
  }

  /** What has come, and all that comes. */
  listen(handlers: SocketHandlers): void {
    this.#handlers = handlers
    for (const message of this.#early.splice(0)) handlers.onMessage(message)
    if (this.#ended !== null) handlers.onClose(this.#ended)
  }

  /** The socket is given up; who waits is told. */
  fail(detail: string): void {
    this.#end(detail)
    this.#socket.close()
  }

  #receive(message: Uint8Array<ArrayBuffer> | null): void {
    if (this.#handlers !== null) return this.#handlers.onMessage(message)
    if (this.#early.length >= EARLY_MESSAGES_MAX) return this.fail('[L6] too many messages before the keys were agreed on')
    this.#early.push(message)
    this.#wake()
  }

  #end(detail: string): void {
    if (this.#ended !== null) return
    this.#ended = detail
    this.#handlers?.onClose(detail)
    this.#wake()
  }

  #change(): Promise<void> {
    if (this.#ended !== null) throw new TabswarmError('unreachable', this.#ended)
    return new Promise((resolve, reject) => {
      this.#wake = () => (this.#ended === null ? resolve() : reject(new TabswarmError('unreachable', this.#ended)))
    })
  }
}

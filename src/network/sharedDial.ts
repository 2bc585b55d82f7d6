/** SharedDial: one dial that several wait for, each with a signal of its own; given up when nobody waits any more. */

import type { Link } from '../protocol/index.ts'
import { type PeerId, TabswarmError } from '../shared/index.ts'

export class SharedDial<Made extends Link = Link> {
  readonly #peerId: PeerId
  readonly #onAbandoned: () => void
  readonly #outcome: Promise<Made>
  #settle: (outcome: Made | TabswarmError) => void = () => undefined
  #waiting = 0

  constructor(peerId: PeerId, onAbandoned: () => void) {
    this.#peerId = peerId
    this.#onAbandoned = onAbandoned
    this.#outcome = new Promise<Made>((resolve, reject) => {
      this.#settle = (outcome) => (outcome instanceof TabswarmError ? reject(outcome) : resolve(outcome))
    })
    this.#outcome.catch(() => undefined) // Every waiter may have gone.
  }

  /** The first outcome counts. */
  settle(outcome: Made | TabswarmError): void {
    this.#settle(outcome)
  }

  /** Rejects with the dial's error, or with `cancelled`. */
  wait(signal: AbortSignal | undefined): Promise<Made> {
    this.#waiting++
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        if (--this.#waiting === 0) this.#onAbandoned()
        reject(new TabswarmError('cancelled', `dialing peer ${this.#peerId} was cancelled`))
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#outcome.then(resolve, reject).finally(() => signal?.removeEventListener('abort', onAbort))
    })
  }
}

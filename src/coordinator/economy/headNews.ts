/**
 * HeadNews: the ledger's signed head, told to every peer when it has come and to all at once from time to time, so that what shows that one extends the other
 * is the same for all. What peers sign carries it on: two who were told of different ledgers notice. Rule E16 of SPEC.md.
 */

import type { ServerMessage } from '../../protocol/index.ts'
import type { PeerId } from '../../shared/index.ts'
import { HEAD_MS } from './limits.ts'
import type { EconomyStore } from './ports.ts'

type HeadMessage = Extract<ServerMessage, { type: 'head' }>

export interface HeadNewsOptions {
  readonly ledger: Pick<EconomyStore['ledger'], 'head' | 'consistency'>
  readonly connected: () => Iterable<PeerId>
  readonly tell: (peerId: PeerId, message: HeadMessage) => void
  readonly log: (line: string) => void
}

export class HeadNews {
  readonly #options: HeadNewsOptions
  /** What all have been told. */
  #told: HeadMessage['head'] | null = null
  #readMs = 0
  #reading = false

  constructor(options: HeadNewsOptions) {
    this.#options = options
  }

  came(peerId: PeerId): void {
    if (this.#told !== null) this.#options.tell(peerId, { type: 'head', head: this.#told, from: null, path: [] })
  }

  tick(nowMs: number): void {
    if (this.#reading || nowMs - this.#readMs < HEAD_MS) return
    this.#readMs = nowMs
    this.#reading = true
    void this.#read().finally(() => {
      this.#reading = false
    })
  }

  async #read(): Promise<void> {
    const { ledger, connected, tell, log } = this.#options
    try {
      const head = await ledger.head()
      const before = this.#told
      if (head === null || head.size === before?.size) return
      const path = before === null ? [] : [...(await ledger.consistency(before.size, head.size))]
      this.#told = head
      for (const peerId of connected()) tell(peerId, { type: 'head', head, from: before?.size ?? null, path })
    } catch (error) {
      log(`the ledger's head could not be read: ${String(error)}`)
    }
  }
}

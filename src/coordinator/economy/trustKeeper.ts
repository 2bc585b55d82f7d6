/** TrustKeeper: what verification thinks of accounts, on its way into the store. What has not changed since is written once a second at most. */

import { SerialQueue } from '../../shared/index.ts'
import type { HolderId, TrustRecord } from '../verification/index.ts'
import { TRUST_SAVE_MS } from './limits.ts'
import type { EconomyStore } from './ports.ts'

export class TrustKeeper {
  readonly #store: Pick<EconomyStore['trust'], 'save'>
  readonly #log: (line: string) => void
  readonly #queue = new SerialQueue()
  #changed = new Map<HolderId, TrustRecord>()
  #savedMs = 0

  constructor(store: Pick<EconomyStore['trust'], 'save'>, log: (line: string) => void) {
    this.#store = store
    this.#log = log
  }

  changed(holder: HolderId, record: TrustRecord): void {
    this.#changed.set(holder, record)
  }

  tick(nowMs: number): void {
    if (nowMs - this.#savedMs < TRUST_SAVE_MS || this.#changed.size === 0) return
    this.#savedMs = nowMs
    void this.save()
  }

  /** At once. What the store does not take waits for the next time. */
  save(): Promise<void> {
    return this.#queue.run(async () => {
      const records = this.#changed
      this.#changed = new Map()
      try {
        await this.#store.save(records)
      } catch (error) {
        this.#changed = new Map([...records, ...this.#changed])
        this.#log(`the store did not take the trust of ${records.size} accounts: ${String(error)}`)
      }
    })
  }
}

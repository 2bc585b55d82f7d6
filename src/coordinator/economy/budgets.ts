/** Budgets: what sessions take of the budgets of API keys while they are open, and give back once they are settled. */

import type { Clock } from '../../shared/index.ts'
import { RETRY_FIRST_MS, RETRY_LAST_MS } from './limits.ts'
import type { EconomyStore } from './ports.ts'

export interface BudgetsOptions {
  readonly keys: () => Promise<Pick<EconomyStore['keys'], 'reserve' | 'move' | 'giveBack'>>
  readonly clock: Clock
  readonly log: (line: string) => void
}

export class Budgets {
  readonly #options: BudgetsOptions
  readonly #reserved = new Set<string>()
  readonly #returning = new Set<Promise<void>>()
  #closing = false

  constructor(options: BudgetsOptions) {
    this.#options = options
  }

  /** Rejects as the store's `reserve` does. */
  async reserve(keyId: string, session: string, amount: bigint): Promise<void> {
    await (await this.#options.keys()).reserve(keyId, session, amount)
    this.#reserved.add(session)
  }

  /** Rejects as the store's `move` does. */
  async move(from: string, session: string, amount: bigint): Promise<void> {
    await (await this.#options.keys()).move(from, session, amount)
    this.#reserved.add(session)
  }

  /** So many micro-credits of what was held are its payer's again. Nothing happens where no key pays, or it was told before. */
  ended(session: string, returned: bigint): void {
    if (!this.#reserved.delete(session)) return
    const job = this.#giveBack(session, returned).finally(() => this.#returning.delete(job))
    this.#returning.add(job)
  }

  /** Resolves when all was given back; what the store does not take now the next start gives back. */
  async close(): Promise<void> {
    this.#closing = true
    await Promise.all(this.#returning)
  }

  /** Never rejects. */
  async #giveBack(session: string, returned: bigint): Promise<void> {
    const { keys, clock, log } = this.#options
    for (let waitMs = RETRY_FIRST_MS; ; waitMs = Math.min(RETRY_LAST_MS, 2 * waitMs)) {
      try {
        return await (await keys()).giveBack(session, returned)
      } catch (error) {
        log(`the store did not take back a part of an API key’s budget: ${String(error)}`)
      }
      if (this.#closing) return
      await new Promise<void>((resolve) => clock.after(waitMs, resolve))
    }
  }
}

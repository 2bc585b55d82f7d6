/**
 * GroupCommit: what arrives within a few milliseconds shares one transaction, and is answered when that has been committed. While one is being
 * committed the next gathers, so under load nothing waits for the clock.
 */

import type { CancelTimer, Clock } from '../../shared/index.ts'
import { StoreError } from './errors.ts'

export interface GroupCommitOptions<Item, Answer> {
  readonly clock: Clock
  /** The longest that an item waits for others, milliseconds; 0: only for those that came before. */
  readonly shareMs: number
  readonly itemsMax: number
  /** Writes all or none; answers in the order of the items. */
  readonly commit: (items: readonly Item[]) => Promise<readonly Answer[]>
}

interface Waiting<Item, Answer> {
  readonly item: Item
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
}

/** Seconds of work at the least speed wanted: beyond that a caller is better told than kept waiting. */
const WAITING_MAX = 5_000

export class GroupCommit<Item, Answer> {
  readonly #options: GroupCommitOptions<Item, Answer>
  #waiting: Waiting<Item, Answer>[] = []
  #running: Promise<void> | null = null
  #cancelTimer: CancelTimer | null = null
  #closed = false

  constructor(options: GroupCommitOptions<Item, Answer>) {
    this.#options = options
  }

  /** `urgent`: somebody waits for it; what has gathered goes with it at once. Rejects as `commit` does, or with a StoreError. */
  async run(item: Item, urgent: boolean): Promise<Answer> {
    if (this.#closed) throw new StoreError('closed', 'the store is closed; nothing was written')
    if (this.#waiting.length >= WAITING_MAX)
      throw new StoreError('busy', `${WAITING_MAX} postings wait to be written; try again in a second`)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject })
      const { clock, shareMs, itemsMax } = this.#options
      if (this.#running !== null) return
      if (urgent || this.#waiting.length >= itemsMax) this.#start()
      else this.#cancelTimer ??= clock.after(shareMs, () => this.#start())
    })
  }

  /** Takes no more, and resolves when all that came before was answered. */
  async close(): Promise<void> {
    this.#closed = true
    if (this.#waiting.length > 0) this.#start()
    await this.#running
  }

  #start(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = null
    this.#running ??= this.#commitAll()
  }

  async #commitAll(): Promise<void> {
    // What one caller posts in one go travels together.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0, this.#options.itemsMax)
      try {
        const answers = await this.#options.commit(group.map(({ item }) => item))
        group.forEach(({ resolve, reject }, index) => {
          const answer = answers[index]
          if (answer === undefined) reject(new Error(`assertion failed: ${answers.length} answers to ${group.length} items`))
          else resolve(answer)
        })
      } catch (error) {
        for (const { reject } of group) reject(error)
      }
    }
    // In the same turn in which nothing waited: whoever comes later starts the next.
    this.#running = null
  }
}

/**
 * HeadWatch: the ledger's heads as this peer is told them, and as others say in their receipts that they were told: all of them are heads of one ledger, or
 * the coordinator shows different people different ones. Keeps the last that was checked, which this peer's own receipts carry. Rules E16, E17, V31 and V32.
 */

import { verifyConsistency, verifyHead } from '../coordinator/ledger/index.ts'
import type { LedgerHead } from '../protocol/index.ts'
import type { Sha256, VerifySignature } from '../shared/index.ts'

/** Two heads that cannot be of one ledger, both of the coordinator's. */
export interface HeadAlarm {
  /** A sentence. */
  readonly what: string
  /** What this peer had been told. */
  readonly seen: LedgerHead
  readonly head: LedgerHead
}

export interface ToldHead {
  readonly head: LedgerHead
  /** Size of the one that was told before to everybody, which `path` leads from; null: of none. */
  readonly from: number | null
  readonly path: readonly string[]
}

export interface HeadWatchOptions {
  /** What shows that the ledger of size `to` extends that of size `from`; null: the coordinator has nothing to show. Rejects where it does not answer. */
  readonly askPath: (from: number, to: number) => Promise<readonly string[] | null>
  readonly sha256: Sha256
  readonly verify: VerifySignature
}

/** Of those that were found to be of the same ledger: every driver says the last, or the one before. */
const KNOWN_MAX = 64

export class HeadWatch {
  readonly #options: HeadWatchOptions
  readonly #alarmListeners = new Set<(alarm: HeadAlarm) => void>()
  readonly #headListeners = new Set<(head: LedgerHead) => void>()
  /** By size and root. */
  readonly #known = new Set<string>()
  #last: LedgerHead | null = null
  #alarm: HeadAlarm | null = null
  /** One at a time: what else is heard meanwhile is heard again. */
  #checking = false

  constructor(options: HeadWatchOptions) {
    this.#options = options
  }

  /** The last one that was checked. */
  get head(): LedgerHead | null {
    return this.#last
  }

  onHead(listener: (head: LedgerHead) => void): void {
    this.#headListeners.add(listener)
    if (this.#last !== null) listener(this.#last)
  }

  /** The first alarm: more tell nothing new. */
  onAlarm(listener: (alarm: HeadAlarm) => void): void {
    this.#alarmListeners.add(listener)
    if (this.#alarm !== null) listener(this.#alarm)
  }

  /** The coordinator tells this peer. */
  async told({ head, from, path }: ToldHead): Promise<void> {
    const seen = this.#last
    if (seen === null) {
      if (await this.#isSigned(head)) this.#take(head)
      return
    }
    const why = await this.#check(head, seen, from === seen.size ? path : null)
    if (why === null) return
    this.#raise({ what: `The coordinator tells this tab of a ledger ${why}`, seen, head })
    // It may have been set up anew: that is the ledger then, and what this peer signs has to say so.
    if (head.publicKey !== seen.publicKey) this.#take(head)
  }

  /** Another peer says in a receipt what it was told. */
  async heard(head: LedgerHead): Promise<void> {
    const seen = this.#last
    // Who has nothing to compare it with yet learns nothing from it.
    if (seen === null) return
    const why = await this.#check(head, seen, null)
    if (why !== null) this.#raise({ what: `The coordinator tells another tab of a ledger ${why}`, seen, head })
  }

  /** Why it is of another ledger; null: it is of the same, or that cannot be found out now. */
  async #check(head: LedgerHead, seen: LedgerHead, path: readonly string[] | null): Promise<string | null> {
    if (this.#checking || this.#known.has(nameOf(head))) return null
    this.#checking = true
    try {
      // No word of the coordinator's.
      if (!(await this.#isSigned(head))) return null
      const why = await this.#difference(head, seen, path)
      if (why === null) this.#found(head, seen)
      return why
    } catch {
      // It does not answer now: the next head asks again.
      return null
    } finally {
      this.#checking = false
    }
  }

  /** Why the two are not heads of one ledger; null: they are. */
  async #difference(head: LedgerHead, seen: LedgerHead, path: readonly string[] | null): Promise<string | null> {
    const { askPath, sha256 } = this.#options
    if (head.publicKey !== seen.publicKey) return 'that is signed by another key than the one that this tab knows.'
    const [older, newer] = head.size < seen.size ? [head, seen] : [seen, head]
    if (older.size === newer.size)
      return older.root === newer.root ? null : `that has ${head.size} events as this tab’s, and not the same ones.`
    const shown = path ?? (await askPath(older.size, newer.size))
    const claim = { oldSize: older.size, oldRoot: older.root, size: newer.size, root: newer.root }
    const isOne = shown !== null && (await verifyConsistency(claim, shown, sha256))
    return isOne ? null : `with ${head.size} events, and cannot show that it is the one with ${seen.size} that this tab knows.`
  }

  #raise(alarm: HeadAlarm): void {
    if (this.#alarm !== null) return
    this.#alarm = alarm
    for (const listener of this.#alarmListeners) listener(alarm)
  }

  #found(head: LedgerHead, seen: LedgerHead): void {
    if (head.size > seen.size) this.#take(head)
    else this.#learn(head)
  }

  #take(head: LedgerHead): void {
    this.#last = head
    this.#learn(head)
    for (const listener of this.#headListeners) listener(head)
  }

  #learn(head: LedgerHead): void {
    this.#known.add(nameOf(head))
    const [oldest] = this.#known
    if (this.#known.size > KNOWN_MAX && oldest !== undefined) this.#known.delete(oldest)
  }

  #isSigned(head: LedgerHead): Promise<boolean> {
    return verifyHead(head, this.#options.verify)
  }
}

function nameOf({ publicKey, size, root }: LedgerHead): string {
  return `${publicKey}/${size}/${root}`
}

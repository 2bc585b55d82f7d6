/** Postings in the making: amounts for one account add up, zeros vanish. */

import { type Account, accountId, comparePurses, type Posting, type Purse } from '../accounts.ts'

export class Postings {
  readonly #byId = new Map<string, Posting>()

  add(account: Account, amount: bigint): this {
    const id = accountId(account)
    this.#byId.set(id, { account, amount: (this.#byId.get(id)?.amount ?? 0n) + amount })
    return this
  }

  move(from: Account, to: Account, amount: bigint): this {
    return this.add(from, -amount).add(to, amount)
  }

  /** In the order in which accounts were named first. */
  list(): readonly Posting[] {
    return [...this.#byId.values()].filter(({ amount }) => amount !== 0n)
  }
}

export interface Draw {
  readonly purse: Purse
  /** Micro-credits, more than 0. */
  readonly amount: bigint
}

/** `amount` out of purses in the order of spending, or as much as there is. */
export function draw(purses: ReadonlyMap<Purse, bigint>, amount: bigint): readonly Draw[] {
  const draws: Draw[] = []
  let left = amount
  for (const [purse, balance] of [...purses].sort(([a], [b]) => comparePurses(a, b))) {
    const part = balance < left ? balance : left
    if (part <= 0n) continue
    draws.push({ purse, amount: part })
    left -= part
  }
  return draws
}

export function sumOf(amounts: Iterable<bigint>): bigint {
  let sum = 0n
  for (const amount of amounts) sum += amount
  return sum
}

/**
 * Book: balances and events in memory, and the one way to change them. The store loads into it what a batch of commands may touch and writes
 * what came of it; a test may keep a whole ledger in it.
 */

import { assert, err, formatCredits, ok, type Result } from '../../shared/index.ts'
import { type Account, type AccountKind, accountId, issuance, mayBeNegative, type Posting, type Purse } from './accounts.ts'
import { AMOUNT_MAX } from './amounts.ts'
import { businessId, type Command, encodeCommand } from './commands.ts'
import { LedgerError } from './errors.ts'
import { checkLaws, type LedgerEvent } from './event.ts'
import { decide } from './rules/decide.ts'
import type { LedgerView } from './rules/view.ts'

export interface Posted {
  readonly event: LedgerEvent
  /** The same command was posted before; nothing happened now. */
  readonly repeated: boolean
}

export class Book implements LedgerView {
  readonly #balances = new Map<string, bigint>()
  readonly #purses = new Map<string, Map<Purse, bigint>>()
  readonly #events = new Map<string, LedgerEvent>()
  #size: number

  /** `size`: events in the ledger so far; the next gets this sequence. */
  constructor(size = 0) {
    this.#size = size
  }

  get size(): number {
    return this.#size
  }

  /** Takes a balance in micro-credits that was recorded. */
  loadBalance(account: Account, amount: bigint): void {
    this.#balances.set(accountId(account), amount)
    const key = purseKey(account.kind, account.owner, account.session)
    const purses = this.#purses.get(key) ?? new Map<Purse, bigint>()
    this.#purses.set(key, purses)
    if (amount === 0n) purses.delete(account.purse)
    else purses.set(account.purse, amount)
  }

  /** Takes an event that was recorded, without its effect. */
  loadEvent(event: LedgerEvent): void {
    this.#events.set(businessId(event.command), event)
  }

  /** Micro-credits. */
  balance(account: Account): bigint {
    return this.#balances.get(accountId(account)) ?? 0n
  }

  purses(kind: AccountKind, owner: string, session: string): ReadonlyMap<Purse, bigint> {
    return this.#purses.get(purseKey(kind, owner, session)) ?? new Map()
  }

  event(id: string): LedgerEvent | undefined {
    return this.#events.get(id)
  }

  /** Posts once: what was posted before under the same id is given again, or refused as `conflict` if it was something else. */
  post(command: Command, atMs: number): Result<Posted, LedgerError> {
    const id = businessId(command)
    const before = this.#events.get(id)
    if (before !== undefined) {
      if (encodeCommand(before.command) === encodeCommand(command)) return ok({ event: before, repeated: true })
      return err(new LedgerError('conflict', `${id} was posted before with other contents; a retry must repeat the first one`))
    }
    const postings = decide(command, this, atMs)
    if (!postings.ok) return postings
    const refused = this.#refusal(postings.value)
    if (refused !== null) return err(refused)
    const event = { sequence: this.#size, atMs, command, postings: postings.value }
    const laws = checkLaws(event)
    assert(laws.ok, laws.ok ? '' : laws.error.message)
    this.apply(event)
    return ok({ event, repeated: false })
  }

  /** Counts the next event in, as it stands. */
  apply(event: LedgerEvent): void {
    for (const { account, amount } of event.postings) this.loadBalance(account, this.balance(account) + amount)
    this.loadEvent(event)
    this.#size = event.sequence + 1
  }

  #refusal(postings: readonly Posting[]): LedgerError | null {
    for (const { account, amount } of postings) {
      const after = this.balance(account) + amount
      if (after < 0n && !mayBeNegative(account))
        return new LedgerError(
          'insufficient',
          `${accountId(account)} has ${formatCredits(after - amount)} credits, ${formatCredits(-amount)} are needed`,
        )
    }
    const outstanding = -this.balance(issuance) - sumFor(postings, issuance)
    if (outstanding <= AMOUNT_MAX) return null
    return new LedgerError('too-much', `more than ${formatCredits(AMOUNT_MAX)} credits would be outstanding; issue fewer`)
  }
}

function sumFor(postings: readonly Posting[], account: Account): bigint {
  const id = accountId(account)
  return postings.reduce((sum, posting) => (accountId(posting.account) === id ? sum + posting.amount : sum), 0n)
}

function purseKey(kind: AccountKind, owner: string, session: string): string {
  return `${kind}:${owner}:${session}`
}

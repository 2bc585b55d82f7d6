/** Balances: tells connected peers what their account has and how it stands, once they have come and after each change, at most once a second. */

import type { ServerMessage } from '../../protocol/index.ts'
import type { PeerId } from '../../shared/index.ts'
import { dayOf, grantedUntil, isGranted } from '../ledger/index.ts'
import type { Balance } from '../store/index.ts'
import type { Standing } from '../verification/index.ts'
import { BALANCE_MS, BALANCES_AT_ONCE } from './limits.ts'
import type { EconomyStore } from './ports.ts'

type AccountMessage = Extract<ServerMessage, { type: 'account' }>

export interface BalancesOptions {
  readonly ledger: Pick<EconomyStore['ledger'], 'balances' | 'paid'>
  readonly standingOf: (account: string) => Standing
  readonly peersOf: (account: string) => readonly PeerId[]
  readonly tell: (peerId: PeerId, message: AccountMessage) => void
  readonly log: (line: string) => void
}

export class Balances {
  readonly #options: BalancesOptions
  /** Accounts that have changed since their peers were told. */
  readonly #changed = new Set<string>()
  /** When peers of an account were told last; forgotten once that is long enough ago. */
  readonly #toldMs = new Map<string, number>()
  #reading = 0

  constructor(options: BalancesOptions) {
    this.#options = options
  }

  changed(account: string): void {
    this.#changed.add(account)
  }

  tick(nowMs: number): void {
    for (const [account, toldMs] of this.#toldMs) if (nowMs - toldMs >= BALANCE_MS) this.#toldMs.delete(account)
    for (const account of this.#changed) {
      if (this.#reading >= BALANCES_AT_ONCE) return
      if (this.#toldMs.has(account)) continue
      this.#changed.delete(account)
      const peers = this.#options.peersOf(account)
      if (peers.length === 0) continue
      this.#toldMs.set(account, nowMs)
      void this.#tell(account, nowMs)
    }
  }

  async #tell(account: string, nowMs: number): Promise<void> {
    const { ledger, standingOf, peersOf, tell, log } = this.#options
    this.#reading++
    try {
      const [balances, paid] = await Promise.all([ledger.balances(account), ledger.paid(account)])
      const message = accountMessage(account, { balances, paid, standing: standingOf(account) }, nowMs)
      for (const peerId of peersOf(account)) tell(peerId, message)
    } catch (error) {
      log(`the balance of an account could not be read: ${String(error)}`)
    } finally {
      this.#reading--
    }
  }
}

/** What the account may spend now: grants whose last day is over do not count. */
export function spendableOf(balances: readonly Balance[], nowMs: number): { readonly all: bigint; readonly granted: bigint } {
  const today = grantedUntil(dayOf(nowMs))
  let [all, granted] = [0n, 0n]
  for (const { account, amount } of balances) {
    const { kind, purse } = account
    if (kind !== 'user' || (isGranted(purse) && purse < today)) continue
    all += amount
    if (isGranted(purse)) granted += amount
  }
  return { all, granted }
}

export interface AccountFacts {
  readonly balances: readonly Balance[]
  readonly paid: bigint
  readonly standing: Standing
}

export function accountMessage(accountId: string, { balances, paid, standing }: AccountFacts, nowMs: number): AccountMessage {
  const sumOf = (kind: 'hold' | 'escrow') =>
    balances.reduce((sum, { account, amount }) => (account.kind === kind ? sum + amount : sum), 0n).toString()
  const { all, granted } = spendableOf(balances, nowMs)
  const spendable = { spendable: all.toString(), granted: granted.toString() }
  return { type: 'account', accountId, ...spendable, held: sumOf('hold'), escrow: sumOf('escrow'), earned: paid.toString(), standing }
}

/**
 * OperatorDesk: what accounts with the role of an operator ask and do on the admin page. Who asks is looked at anew for each request, so that a role that was
 * taken away is gone at once. Whatever takes credits away, erases or names is for commands on the coordinator's own machine.
 */

import type { AccountAnswer, AccountAsk, ListedAccount } from '../../protocol/index.ts'
import { ACCOUNTS_LISTED_MAX } from '../../protocol/index.ts'
import { type Clock, unreachable } from '../../shared/index.ts'
import { AccountError, type AccountRecord, type StarterPolicy } from '../accounts/index.ts'
import { dayOf, grantedUntil, LedgerError, type LedgerEvent } from '../ledger/index.ts'
import type { EconomyStore } from './ports.ts'

export type OperatorAsk = Extract<AccountAsk, { kind: (typeof OPERATOR_KINDS)[number] }>
type OperatorAnswer = Extract<AccountAnswer, { kind: OperatorAsk['kind'] }>
type Verified = Extract<AccountAnswer, { kind: 'verify-ledger' }>

export interface OperatorDeskOptions {
  readonly store: () => Promise<Pick<EconomyStore, 'accounts' | 'ledger' | 'starters'>>
  readonly starters: StarterPolicy
  readonly clock: Clock
  readonly onPosted: (event: LedgerEvent) => void
}

const OPERATOR_KINDS = ['overview', 'verify-ledger', 'accounts', 'change-roles', 'grant'] as const
const DAY_MS = 86_400_000

export class OperatorDesk {
  readonly #options: OperatorDeskOptions
  /** Under way: it reads the whole ledger, so all who ask meanwhile get the same. */
  #verifying: Promise<Verified> | null = null

  constructor(options: OperatorDeskOptions) {
    this.#options = options
  }

  /** `account`: who asks. Rejects with AccountError `not-allowed` where it is no operator's, and with the request's own. */
  async answer(account: string, ask: OperatorAsk): Promise<OperatorAnswer> {
    const { accounts } = await this.#options.store()
    const { roles } = await accounts.record(account)
    if (!roles.includes('operator'))
      throw new AccountError(
        'not-allowed',
        `this page is for operators, and the account ${account} is none; give it the role on the coordinator’s machine: tabswarm account change ${account} --roles ${['operator', ...roles].join(',')}`,
      )
    const { kind } = ask
    switch (kind) {
      case 'overview':
        return this.#overview()
      case 'verify-ledger':
        this.#verifying ??= this.#verify().finally(() => {
          this.#verifying = null
        })
        return this.#verifying
      case 'accounts': {
        const records = await accounts.search(ask.search, ask.after, ACCOUNTS_LISTED_MAX + 1)
        const page = await this.#listed(records.slice(0, ACCOUNTS_LISTED_MAX))
        return { kind, accounts: page, hasMore: records.length > ACCOUNTS_LISTED_MAX }
      }
      case 'change-roles':
        if (ask.accountId === account && !ask.roles.includes('operator'))
          throw new AccountError(
            'not-allowed',
            'nobody takes the role of an operator from itself here; another operator may, or the command',
          )
        return { kind, account: await this.#one(await accounts.change(ask.accountId, { roles: ask.roles })) }
      case 'grant':
        return this.#grant(ask)
      default:
        return unreachable(kind)
    }
  }

  async #overview(): Promise<OperatorAnswer> {
    const { accounts, ledger, starters } = await this.#options.store()
    const [totals, count, issued] = await Promise.all([ledger.totals(), accounts.count(), starters.issuedToday()])
    const sum = (kind: string) => (totals.get(kind) ?? 0n).toString()
    const { poolADay, amount } = this.#options.starters
    return {
      kind: 'overview',
      issuance: sum('issuance'),
      held: {
        user: sum('user'),
        hold: sum('hold'),
        escrow: sum('escrow'),
        fee: sum('fee'),
        verification: sum('verification'),
        reserve: sum('reserve'),
      },
      accounts: count,
      starters: { issued: issued.toString(), poolADay: poolADay.toString(), amount: amount.toString() },
    }
  }

  async #verify(): Promise<Verified> {
    const { ledger } = await this.#options.store()
    try {
      const { events, heads, outstanding } = await ledger.audit()
      return { kind: 'verify-ledger', broken: null, events, heads, outstanding: outstanding.toString() }
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error
      return { kind: 'verify-ledger', broken: error.message.slice(0, 1_000), events: 0, heads: 0, outstanding: '0' }
    }
  }

  async #grant({ kind, accountId, amount, days, reference, note }: Extract<OperatorAsk, { kind: 'grant' }>): Promise<OperatorAnswer> {
    const { accounts, ledger } = await this.#options.store()
    const record = await accounts.record(accountId)
    const purse = grantedUntil(dayOf(this.#options.clock.nowMs() + days * DAY_MS))
    try {
      const command = { kind: 'issue', reference: `page-${reference}`, account: accountId, purse, amount: BigInt(amount), note } as const
      this.#options.onPosted((await ledger.post(command)).event)
    } catch (error) {
      if (error instanceof LedgerError) throw new AccountError('bad-value', error.message)
      throw error
    }
    return { kind, account: await this.#one(record) }
  }

  async #one(record: AccountRecord): Promise<ListedAccount> {
    return listed(record, await this.#spendable([record.id]))
  }

  async #listed(records: readonly AccountRecord[]): Promise<ListedAccount[]> {
    const spendable = await this.#spendable(records.map(({ id }) => id))
    return records.map((record) => listed(record, spendable))
  }

  async #spendable(ids: readonly string[]): Promise<ReadonlyMap<string, bigint>> {
    return (await this.#options.store()).ledger.spendable(ids)
  }
}

export function isOperatorAsk(ask: AccountAsk): ask is OperatorAsk {
  const kinds: readonly string[] = OPERATOR_KINDS
  return kinds.includes(ask.kind)
}

function listed({ id, name, roles, createdAtMs }: AccountRecord, spendable: ReadonlyMap<string, bigint>): ListedAccount {
  return { id, name, roles: [...roles], createdAtMs, spendable: (spendable.get(id) ?? 0n).toString() }
}

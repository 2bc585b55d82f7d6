/** What the admin page asks, over the tab's own connection: the coordinator looks at its account's role each time. */

import type { ControlClient } from '../network/index.ts'
import type { ListedAccount } from '../protocol/index.ts'
import { toHex } from '../shared/index.ts'
import type { ListedAccountState, OperatorCalls } from './accountTypes.ts'

export interface OperatorCallsOptions {
  readonly control: () => Promise<ControlClient>
  readonly randomBytes: (count: number) => Uint8Array
}

const REFERENCE_BYTES = 16

export function createOperatorCalls({ control, randomBytes }: OperatorCallsOptions): OperatorCalls {
  return {
    async overview() {
      const { issuance, held, accounts, starters } = await (await control()).account({ kind: 'overview' })
      const { user, hold, escrow, fee, verification, reserve } = held
      return {
        issuance: BigInt(issuance),
        held: {
          user: BigInt(user),
          hold: BigInt(hold),
          escrow: BigInt(escrow),
          fee: BigInt(fee),
          verification: BigInt(verification),
          reserve: BigInt(reserve),
        },
        accounts,
        starters: { issued: BigInt(starters.issued), poolADay: BigInt(starters.poolADay), amount: BigInt(starters.amount) },
      }
    },
    async verifyLedger() {
      const { broken, events, heads, outstanding } = await (await control()).account({ kind: 'verify-ledger' })
      return broken === null ? { kind: 'right', events, heads, outstanding: BigInt(outstanding) } : { kind: 'broken', message: broken }
    },
    async accounts(search, after) {
      const { accounts, hasMore } = await (await control()).account({ kind: 'accounts', search, after })
      return { accounts: accounts.map(accountOf), hasMore }
    },
    async changeRoles(accountId, roles) {
      return accountOf((await (await control()).account({ kind: 'change-roles', accountId, roles: [...roles] })).account)
    },
    async grant(accountId, { amount, days, note, reference }) {
      const ask = { kind: 'grant', accountId, amount: amount.toString(), days, note, reference } as const
      return accountOf((await (await control()).account(ask)).account)
    },
    newReference: () => toHex(randomBytes(REFERENCE_BYTES)),
  }
}

function accountOf({ spendable, ...account }: ListedAccount): ListedAccountState {
  return { ...account, spendable: BigInt(spendable) }
}

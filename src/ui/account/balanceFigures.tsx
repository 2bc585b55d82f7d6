/** The account's balances by kind, and the one sentence that says what a credit is. */

import { Text } from '@mantine/core'
import type { AccountState } from '../../peer/index.ts'
import { formatCredits } from '../../shared/index.ts'
import { FigureList } from '../figureList.tsx'

export function BalanceFigures({ account }: { readonly account: AccountState }) {
  const { spendable, granted, held, escrow, earned } = account
  return (
    <div data-testid="balances">
      <FigureList
        columns={4}
        figures={[
          {
            name: 'can be spent',
            value: formatCredits(spendable),
            ...(granted > 0n && { note: `${formatCredits(granted)} of it granted: not transferable` }),
          },
          { name: 'set aside', value: formatCredits(held), note: 'for answers that are not settled yet' },
          { name: 'in escrow', value: formatCredits(escrow), note: 'earned, not paid out yet' },
          { name: 'earned so far', value: formatCredits(earned), note: 'paid out for computing' },
        ]}
      />
    </div>
  )
}

/** The unit, once wherever credits are explained. */
export function CreditUnit() {
  return (
    <Text size="sm" c="dimmed" maw="66ch">
      All in credits: one is the work of a million million multiply-adds of a model, checked, whoever’s device does them.
    </Text>
  )
}

/** All credits of this coordinator: what was issued, who has it, and what today's starter grants have taken. */

import { Paper, Stack, Text, Title } from '@mantine/core'
import type { OperatorOverview } from '../../peer/index.ts'
import { formatCredits } from '../../shared/index.ts'
import { FigureList } from '../figureList.tsx'
import { formatCount } from '../format.ts'

export function CreditsPanel({ overview }: { readonly overview: OperatorOverview }) {
  const { issuance, held, accounts, starters } = overview
  return (
    <Paper withBorder p={{ base: 'md', sm: 'xl' }} component="section" aria-labelledby="credits-title">
      <Stack gap="md">
        <Title order={2} id="credits-title">
          Credits
        </Title>
        <div data-testid="credits">
          <FigureList
            columns={4}
            figures={[
              { name: 'outstanding', value: formatCredits(-issuance), note: `issuance stands at ${formatCredits(issuance)}` },
              { name: 'with accounts', value: formatCredits(held.user), note: formatCount(accounts, 'account') },
              { name: 'set aside', value: formatCredits(held.hold), note: 'for answers that are not settled yet' },
              { name: 'in escrow', value: formatCredits(held.escrow), note: 'earned, not paid out yet' },
              { name: 'fees', value: formatCredits(held.fee) },
              { name: 'verification', value: formatCredits(held.verification), note: 'pays for audits' },
              { name: 'reserve', value: formatCredits(held.reserve), note: 'pays for failed answers' },
              {
                name: 'starter grants today',
                value: formatCredits(starters.issued),
                note: `of ${formatCredits(starters.poolADay)}, ${formatCredits(starters.amount)} each`,
              },
            ]}
          />
        </div>
        <Text size="sm" c="dimmed" maw="66ch">
          Only issuance makes credits: its balance is minus all that are outstanding, and all the others add up to it.
        </Text>
      </Stack>
    </Paper>
  )
}

/** What the account of this tab has earned, what of it waits in escrow and for what, and what can be spent. */

import { Anchor, Stack, Text, Title } from '@mantine/core'
import { Link } from 'wouter'
import { formatCredits } from '../../shared/index.ts'
import { KeepingNotes } from '../account/keepingNotes.tsx'
import { FigureList } from '../figureList.tsx'
import { usePeer } from '../runtimeContext.ts'

export function EarningsPanel() {
  const account = usePeer((state) => state.account)
  if (account === null) return null
  const { earned, escrow, spendable } = account
  return (
    <Stack component="section" gap="md" aria-labelledby="earnings-title" data-testid="earnings">
      <Title order={2} id="earnings-title">
        What it earns
      </Title>
      <FigureList
        figures={[
          { name: 'credits earned', value: formatCredits(earned) },
          { name: 'in escrow', value: formatCredits(escrow) },
          { name: 'can be spent', value: formatCredits(spendable) },
        ]}
      />
      <Text size="sm" c="dimmed" maw="66ch">
        {escrow > 0n
          ? 'What is in escrow was computed and is not paid out yet: an audit that finds it right pays it, and where none comes it is paid after a day, or when the operator has set it.'
          : 'Each answer that this tab computes for pays into escrow. An audit that finds the work right pays it out, and where none comes it is paid after a day, or when the operator has set it.'}{' '}
        All tabs of this browser earn together:{' '}
        <Anchor component={Link} href="/account" inherit underline="always">
          balances and statement
        </Anchor>
        .
      </Text>
      <KeepingNotes />
    </Stack>
  )
}

/** Account: what this browser earns and pays as has, and what has become of it, month by month. */

import { Code, Paper, Stack, Text, Title } from '@mantine/core'
import { Page } from '../page.tsx'
import { usePeer } from '../runtimeContext.ts'
import { ApiKeysPanel } from './apiKeysPanel.tsx'
import { BalanceFigures, CreditUnit } from './balanceFigures.tsx'
import { DataPanel } from './dataPanel.tsx'
import { DevicesPanel } from './devicesPanel.tsx'
import { KeepingNotes } from './keepingNotes.tsx'
import { LedgerCheckPanel } from './ledgerCheckPanel.tsx'
import { StatementPanel } from './statementPanel.tsx'
import { TeamsPanel } from './teamsPanel.tsx'

export function AccountPage() {
  const account = usePeer((state) => state.account)
  return (
    <Page
      title="Your account"
      lead="Tabs of this browser compute for others and ask others as one account. Work earns credits; answers cost them."
    >
      <KeepingNotes />
      <Paper withBorder p={{ base: 'md', sm: 'xl' }} component="section" aria-labelledby="balances-title">
        <Stack gap="md">
          <Title order={2} id="balances-title">
            What it has
          </Title>
          {account === null ? (
            <Text c="dimmed">Asking the coordinator what this account has …</Text>
          ) : (
            <>
              <BalanceFigures account={account} />
              <CreditUnit />
              <Text size="sm" c="dimmed">
                Its id, should the operator ask: <Code data-testid="account-id">{account.accountId}</Code>
              </Text>
            </>
          )}
        </Stack>
      </Paper>
      <StatementPanel />
      <LedgerCheckPanel />
      <DevicesPanel />
      <ApiKeysPanel />
      <TeamsPanel />
      <DataPanel />
    </Page>
  )
}

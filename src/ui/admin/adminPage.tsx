/** Admin: how the coordinator's credits stand, whether its ledger is right, and whose accounts there are. For operators; others are told so. */

import { Button, Stack, Text } from '@mantine/core'
import { useCallback } from 'react'
import { ErrorNote } from '../errorNote.tsx'
import { Page } from '../page.tsx'
import { usePeer, useServices } from '../runtimeContext.ts'
import { useRead } from '../useRead.ts'
import { AccountsPanel } from './accountsPanel.tsx'
import { CreditsPanel } from './creditsPanel.tsx'
import { VerifyPanel } from './verifyPanel.tsx'

export function AdminPage() {
  const { runtime } = useServices()
  const accountId = usePeer((state) => state.account?.accountId)
  const read = useCallback(() => runtime.operator.overview(), [runtime])
  const { state, again } = useRead(read, accountId)
  return (
    <Page title="Admin" lead="For whoever runs this coordinator: its credits, its ledger, its accounts." width="wide">
      {state.kind === 'reading' && <Text c="dimmed">Asking the coordinator …</Text>}
      {state.kind === 'failed' && (
        <ErrorNote title={state.error.reason === 'not-allowed' ? 'Not for this account' : 'It could not be read'} error={state.error}>
          <Button variant="default" size="compact-sm" onClick={again}>
            Try again
          </Button>
        </ErrorNote>
      )}
      {state.kind === 'read' && (
        <Stack gap="xl">
          <CreditsPanel overview={state.value} />
          <VerifyPanel />
          <AccountsPanel onChanged={again} />
        </Stack>
      )}
    </Page>
  )
}

/** Admin: how the coordinator's credits stand, whether its ledger is right, and whose accounts there are. For operators; others are told so. */

import { Button, Stack, Text } from '@mantine/core'
import { useCallback, useEffect, useState } from 'react'
import type { OperatorOverview } from '../../peer/index.ts'
import { type ErrorBody, toErrorBody } from '../../shared/index.ts'
import { ErrorNote } from '../errorNote.tsx'
import { Page } from '../page.tsx'
import { usePeer, useServices } from '../runtimeContext.ts'
import { AccountsPanel } from './accountsPanel.tsx'
import { CreditsPanel } from './creditsPanel.tsx'
import { VerifyPanel } from './verifyPanel.tsx'

type Seen =
  | { readonly kind: 'asking' }
  | { readonly kind: 'failed'; readonly error: ErrorBody }
  | { readonly kind: 'seen'; readonly overview: OperatorOverview }

export function AdminPage() {
  const { runtime } = useServices()
  const accountId = usePeer((state) => state.account?.accountId)
  const [seen, setSeen] = useState<Seen>({ kind: 'asking' })
  const look = useCallback(async () => {
    try {
      setSeen({ kind: 'seen', overview: await runtime.operator.overview() })
    } catch (error) {
      setSeen({ kind: 'failed', error: toErrorBody(error) })
    }
  }, [runtime])
  useEffect(() => {
    if (accountId !== undefined) void look()
  }, [accountId, look])
  return (
    <Page title="Admin" lead="For whoever runs this coordinator: its credits, its ledger, its accounts." width="wide">
      {seen.kind === 'asking' && <Text c="dimmed">Asking the coordinator …</Text>}
      {seen.kind === 'failed' && (
        <ErrorNote title={seen.error.reason === 'not-allowed' ? 'Not for this account' : 'It could not be read'} error={seen.error}>
          <Button variant="default" size="compact-sm" onClick={() => void look()}>
            Try again
          </Button>
        </ErrorNote>
      )}
      {seen.kind === 'seen' && (
        <Stack gap="xl">
          <CreditsPanel overview={seen.overview} />
          <VerifyPanel />
          <AccountsPanel onChanged={() => void look()} />
        </Stack>
      )}
    </Page>
  )
}

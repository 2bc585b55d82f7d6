/** The ledger recomputed, on an operator's word: every balance, hash and signed head. */

import { Button, Group, Stack, Text, Title } from '@mantine/core'
import { useState } from 'react'
import type { LedgerVerdict } from '../../peer/index.ts'
import { formatCredits } from '../../shared/index.ts'
import { ErrorNote } from '../errorNote.tsx'
import { formatCount } from '../format.ts'
import { useServices } from '../runtimeContext.ts'
import { useCall } from '../useCall.ts'

export function VerifyPanel() {
  const { runtime } = useServices()
  const call = useCall()
  const [verdict, setVerdict] = useState<LedgerVerdict | null>(null)
  const verify = () =>
    call.run(async () => {
      setVerdict(null)
      setVerdict(await runtime.operator.verifyLedger())
    })
  return (
    <Stack component="section" gap="sm" aria-labelledby="verify-title">
      <Group justify="space-between" gap="md">
        <Title order={2} id="verify-title">
          Ledger
        </Title>
        <Button variant="default" onClick={verify} disabled={call.isRunning} data-testid="verify-ledger">
          {call.isRunning ? 'Recomputing …' : 'Verify it'}
        </Button>
      </Group>
      {verdict === null && call.error === null && (
        <Text c="dimmed" maw="66ch">
          Recomputes every balance, hash and signed head from the first line on, as <code>tabswarm ledger verify</code> does.
        </Text>
      )}
      {verdict?.kind === 'right' && (
        <Text role="status" data-testid="ledger-right" maw="66ch">
          {formatCount(verdict.events, 'event')} and {formatCount(verdict.heads, 'signed head')} are right;{' '}
          {formatCredits(verdict.outstanding)} credits are outstanding.
        </Text>
      )}
      {verdict?.kind === 'broken' && <ErrorNote title="The ledger is not right" error={{ reason: 'broken', message: verdict.message }} />}
      {call.error !== null && <ErrorNote title="It could not be verified" error={call.error} />}
    </Stack>
  )
}

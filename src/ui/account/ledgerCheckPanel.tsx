/** The ledger checked by this browser, on a person's word: that its past was not changed, and that this account's lines are in it. */

import { Button, Group, Stack, Text, Title } from '@mantine/core'
import { useState } from 'react'
import type { LedgerCheck } from '../../peer/index.ts'
import { saveFile } from '../browser.ts'
import { ErrorNote } from '../errorNote.tsx'
import { usePeer, useServices } from '../runtimeContext.ts'
import { useCall } from '../useCall.ts'
import { describeCheck } from './ledgerWords.ts'

export function LedgerCheckPanel() {
  const { runtime } = useServices()
  const accountId = usePeer((state) => state.account?.accountId)
  const call = useCall()
  const [found, setFound] = useState<LedgerCheck | null>(null)
  if (accountId === undefined) return null
  const check = () =>
    call.run(async () => {
      setFound(null)
      setFound(await runtime.ledger.check())
    })
  return (
    <Stack component="section" gap="sm" aria-labelledby="ledger-title" data-testid="ledger-check">
      <Group justify="space-between" gap="md">
        <Title order={2} id="ledger-title">
          Ledger
        </Title>
        <Button variant="default" onClick={check} disabled={call.isRunning} data-testid="check-ledger">
          {call.isRunning ? 'Checking …' : 'Check it'}
        </Button>
      </Group>
      {found === null && call.error === null && (
        <Text c="dimmed" maw="66ch">
          Whoever runs the coordinator keeps the ledger. This browser can check that nothing of its past was changed since it looked last,
          and that every line of this account is in it.
        </Text>
      )}
      {found?.kind === 'right' && (
        <Text role="status" maw="66ch" data-testid="ledger-holds">
          {describeCheck(found)}
        </Text>
      )}
      {found?.kind === 'broken' && <Broken found={found} onForgotten={() => setFound(null)} />}
      {call.error !== null && <ErrorNote title="It could not be checked" error={call.error} />}
    </Stack>
  )
}

interface BrokenProps {
  readonly found: Extract<LedgerCheck, { kind: 'broken' }>
  readonly onForgotten: () => void
}

function Broken({ found, onForgotten }: BrokenProps) {
  const { runtime } = useServices()
  const call = useCall()
  const { head, seen, what } = found
  const forget = () =>
    call.run(async () => {
      await runtime.ledger.forget()
      onForgotten()
    })
  const message = `${what} Keep both heads: they prove it. If the coordinator was set up anew, this is to be expected.`
  return (
    <ErrorNote title="The ledger is not what it was" error={{ reason: 'broken', message }}>
      <Button
        variant="default"
        size="compact-sm"
        onClick={() => saveFile('tabswarm-ledger-heads.json', 'application/json', `${JSON.stringify({ seen, head }, null, 2)}\n`)}
      >
        Download both heads
      </Button>
      <Button variant="default" size="compact-sm" onClick={forget} disabled={call.isRunning} data-testid="forget-head">
        Begin anew from here
      </Button>
    </ErrorNote>
  )
}

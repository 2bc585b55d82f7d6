/** What the coordinator keeps of this account: all of it as a file, and its end. */

import { Button, Group, Paper, Stack, Text, TextInput, Title } from '@mantine/core'
import { useState } from 'react'
import { formatCredits } from '../../shared/index.ts'
import { ActionForm } from '../actionForm.tsx'
import { saveFile } from '../browser.ts'
import { ErrorNote } from '../errorNote.tsx'
import { usePeer, useServices } from '../runtimeContext.ts'
import { useCall } from '../useCall.ts'

/** What is typed before an account is erased. */
const WORD = 'erase'

export function DataPanel() {
  const accountId = usePeer((state) => state.account?.accountId)
  if (accountId === undefined) return null
  return (
    <Stack component="section" gap="md" aria-labelledby="data-title" data-testid="account-data">
      <Title order={2} id="data-title">
        Your data
      </Title>
      <ExportBlock accountId={accountId} />
      {/* Another account is not the one that somebody has begun to erase. */}
      <EraseBlock key={accountId} />
    </Stack>
  )
}

function ExportBlock({ accountId }: { readonly accountId: string }) {
  const { runtime } = useServices()
  const call = useCall()
  const save = () =>
    call.run(async () => saveFile(`tabswarm-account-${accountId.slice(0, 8)}.json`, 'application/json', await runtime.account.exportAll()))
  return (
    <Paper withBorder p="md">
      <Group justify="space-between" gap="sm">
        <Text size="sm" flex={1} miw={240} maw="62ch">
          All that the coordinator keeps of this account: devices, names, keys without their secrets, and every line of the ledger.
        </Text>
        <Button variant="default" onClick={save} disabled={call.isRunning} data-testid="export-account">
          {call.isRunning ? 'Reading it all …' : 'Download it'}
        </Button>
      </Group>
      {call.error !== null && <ErrorNote title="It could not be read" error={call.error} />}
    </Paper>
  )
}

function EraseBlock() {
  const [isOpen, setOpen] = useState(false)
  return (
    <Paper withBorder p="md">
      <Stack gap="sm">
        <Group justify="space-between" gap="sm">
          <Text size="sm" flex={1} miw={240} maw="62ch">
            The account can be erased: what tells whose it is goes for good. Its lines in the ledger stay, under a number that leads to
            nobody.
          </Text>
          {!isOpen && (
            <Button variant="default" onClick={() => setOpen(true)} data-testid="open-erase">
              Erase the account
            </Button>
          )}
        </Group>
        {isOpen && <EraseForm onLeft={() => setOpen(false)} />}
      </Stack>
    </Paper>
  )
}

function EraseForm({ onLeft }: { readonly onLeft: () => void }) {
  const { runtime } = useServices()
  const account = usePeer((state) => state.account)
  const call = useCall()
  const [typed, setTyped] = useState('')
  const isReady = typed.trim().toLowerCase() === WORD && !call.isRunning
  const lost = account === null ? 0n : account.spendable + account.escrow + account.held
  return (
    <ActionForm onSubmit={() => isReady && call.run(() => runtime.account.erase())}>
      <Stack gap="sm">
        <Text size="sm" maw="66ch" data-testid="erase-loss">
          <b>{lost === 0n ? 'It has no credits to lose.' : `Its ${formatCredits(lost)} credits are lost`}</b>
          {lost === 0n ? ' ' : ': spend them, or give what was earned to a team, before. '}
          All its devices lose it, its API keys end, it leaves its teams, and no recovery words open it any more. This browser begins an
          empty account. A backup that the operator made before still holds it.
        </Text>
        <Group gap="sm" align="end">
          <TextInput
            label={`Type “${WORD}”`}
            value={typed}
            onChange={(event) => setTyped(event.currentTarget.value)}
            maxLength={16}
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
            data-testid="erase-word"
          />
          <Button type="submit" disabled={!isReady} data-testid="erase-really">
            {call.isRunning ? 'Erasing …' : 'Erase it for good'}
          </Button>
          <Button variant="default" onClick={onLeft} disabled={call.isRunning}>
            Keep it
          </Button>
        </Group>
        {call.error !== null && <ErrorNote title="It was not erased" error={call.error} />}
      </Stack>
    </ActionForm>
  )
}

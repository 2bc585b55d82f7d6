/** Teams of this account: several people and programs, one balance. Those that there are, and two ways to another: an invitation, or a new one. */

import { Button, Group, Paper, Stack, Text, TextInput, Title } from '@mantine/core'
import { useCallback, useState } from 'react'
import type { TeamState } from '../../peer/index.ts'
import { ActionForm } from '../actionForm.tsx'
import { ErrorNote } from '../errorNote.tsx'
import { usePeer, useServices } from '../runtimeContext.ts'
import { useCall } from '../useCall.ts'
import { type Reading, useRead } from '../useRead.ts'
import { TeamCard } from './teamCard.tsx'
import { TeamForm } from './teamForm.tsx'

/** Twelve characters, two dashes, and spaces as people type them. */
const CODE_CHARACTERS_MAX = 32

export function TeamsPanel() {
  const { runtime } = useServices()
  const accountId = usePeer((state) => state.account?.accountId)
  const read = useCallback(() => runtime.teams.list(), [runtime])
  const { state, again } = useRead(read, accountId)
  if (accountId === undefined) return null
  return (
    <Stack component="section" gap="md" aria-labelledby="teams-title" data-testid="teams">
      <Title order={2} id="teams-title">
        Teams
      </Title>
      <Text maw="66ch">
        A team has one balance, and API keys that draw on it, each with a budget. Its owners make the keys and say what they may use.
        Accounts that invited each other earn nothing from each other’s answers, for good.
      </Text>
      <TeamList listed={state} accountId={accountId} onChanged={again} />
      <AcceptForm onAccepted={again} />
      <NewTeam onCreated={again} />
    </Stack>
  )
}

interface TeamListProps {
  readonly listed: Reading<readonly TeamState[]>
  readonly accountId: string
  readonly onChanged: () => void
}

function TeamList({ listed, accountId, onChanged }: TeamListProps) {
  if (listed.kind === 'reading') return <Text c="dimmed">Asking the coordinator for the teams …</Text>
  if (listed.kind === 'failed')
    return (
      <ErrorNote title="The teams could not be read" error={listed.error}>
        <Button variant="default" size="compact-sm" onClick={onChanged}>
          Try again
        </Button>
      </ErrorNote>
    )
  if (listed.value.length === 0) return <Text c="dimmed">This account is in no team.</Text>
  return listed.value.map((team) => <TeamCard key={team.id} team={team} accountId={accountId} onChanged={onChanged} />)
}

function AcceptForm({ onAccepted }: { readonly onAccepted: () => void }) {
  const { runtime } = useServices()
  const call = useCall()
  const [code, setCode] = useState('')
  const isTyped = code.trim() !== ''
  const accept = () => {
    if (!isTyped) return
    call.run(async () => {
      await runtime.teams.accept(code.trim())
      setCode('')
      onAccepted()
    })
  }
  return (
    <Paper withBorder p="md">
      <ActionForm onSubmit={accept}>
        <Stack gap="sm">
          <Title order={3} size="h5">
            Join a team
          </Title>
          <Group gap="sm" align="end">
            <TextInput
              label="Invitation that its owner gave you"
              placeholder="K7QF-2M9X-TB4C"
              value={code}
              onChange={(event) => setCode(event.currentTarget.value)}
              maxLength={CODE_CHARACTERS_MAX}
              autoComplete="off"
              autoCapitalize="characters"
              spellCheck={false}
              data-testid="invitation"
            />
            <Button type="submit" variant="default" disabled={!isTyped || call.isRunning} data-testid="accept-invitation">
              {call.isRunning ? 'Joining …' : 'Join it'}
            </Button>
          </Group>
          {call.error !== null && <ErrorNote title="This account could not join" error={call.error} />}
        </Stack>
      </ActionForm>
    </Paper>
  )
}

function NewTeam({ onCreated }: { readonly onCreated: () => void }) {
  const { runtime } = useServices()
  const [isOpen, setOpen] = useState(false)
  if (!isOpen)
    return (
      <Group>
        <Button variant="default" onClick={() => setOpen(true)} data-testid="new-team">
          Make a team
        </Button>
      </Group>
    )
  return (
    <Paper withBorder p="md">
      <Stack gap="sm">
        <Title order={3} size="h5">
          Make a team
        </Title>
        <TeamForm
          team={null}
          save={async (name, scope) => {
            await runtime.teams.create(name, scope)
            setOpen(false)
            onCreated()
          }}
          onLeft={() => setOpen(false)}
        />
      </Stack>
    </Paper>
  )
}

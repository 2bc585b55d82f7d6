/** One team: its balance and what its keys may; for members credits to give and the way out, for owners its keys, members and settings besides. */

import { Badge, Button, Code, Group, Paper, Stack, Text, Title } from '@mantine/core'
import { useState } from 'react'
import type { TeamState } from '../../peer/index.ts'
import { formatCredits } from '../../shared/index.ts'
import { ActionForm } from '../actionForm.tsx'
import { CreditsInput, typedCredits } from '../creditsInput.tsx'
import { ErrorNote } from '../errorNote.tsx'
import { formatCount } from '../format.ts'
import { usePeer, useServices } from '../runtimeContext.ts'
import { useCall } from '../useCall.ts'
import { ApiKeys } from './apiKeys.tsx'
import { TeamForm } from './teamForm.tsx'
import { TeamMembers } from './teamMembers.tsx'
import { describeTeamScope } from './teamWords.ts'

interface TeamCardProps {
  readonly team: TeamState
  /** That of this browser. */
  readonly accountId: string
  readonly onChanged: () => void
}

type Part = 'keys' | 'members' | 'settings' | 'fund' | 'leave'
const LABELS: Readonly<Record<Part, string>> = {
  keys: 'Keys',
  members: 'Members',
  settings: 'Settings',
  fund: 'Give credits',
  leave: 'Leave',
}
const FOR_OWNERS: readonly Part[] = ['keys', 'members', 'settings', 'fund', 'leave']
const FOR_MEMBERS: readonly Part[] = ['fund', 'leave']

export function TeamCard({ team, accountId, onChanged }: TeamCardProps) {
  const [opened, setOpened] = useState<Part | null>(null)
  const close = () => setOpened(null)
  const changed = () => {
    close()
    onChanged()
  }
  return (
    <Paper withBorder p="md" data-testid="team" data-team={team.id}>
      <Stack gap="sm">
        <Stack gap={2} align="start">
          <Group gap="xs">
            <Title order={3} size="h5" style={{ overflowWrap: 'anywhere' }}>
              {team.name}
            </Title>
            <Badge variant="default" tt="none">
              {team.isOwner ? 'you own it' : 'member'}
            </Badge>
          </Group>
          <Text size="sm">
            <span data-testid="team-balance">{formatCredits(team.spendable)}</span> credits; {formatCount(team.memberCount, 'member')}.{' '}
            {describeTeamScope(team)}
          </Text>
          <Text size="sm" c="dimmed">
            Its id, should the operator ask: <Code style={{ overflowWrap: 'anywhere' }}>{team.id}</Code>
          </Text>
        </Stack>
        <Group gap="xs">
          {(team.isOwner ? FOR_OWNERS : FOR_MEMBERS).map((part) => (
            <Button
              key={part}
              variant="default"
              size="compact-sm"
              aria-expanded={opened === part}
              onClick={() => setOpened(opened === part ? null : part)}
              data-testid={`team-${part}`}
            >
              {LABELS[part]}
            </Button>
          ))}
        </Group>
        {opened === 'keys' && <ApiKeys of={accountId} teamId={team.id} />}
        {opened === 'members' && <TeamMembers team={team} accountId={accountId} onChanged={onChanged} />}
        {opened === 'settings' && <Settings team={team} onSaved={changed} onLeft={close} />}
        {opened === 'fund' && <FundForm team={team} onFunded={changed} />}
        {opened === 'leave' && <Leaving team={team} accountId={accountId} onGone={changed} onStayed={close} />}
      </Stack>
    </Paper>
  )
}

interface SettingsProps {
  readonly team: TeamState
  readonly onSaved: () => void
  readonly onLeft: () => void
}

function Settings({ team, onSaved, onLeft }: SettingsProps) {
  const { runtime } = useServices()
  return (
    <TeamForm
      team={team}
      save={async (name, scope) => {
        await runtime.teams.change(team.id, name, scope)
        onSaved()
      }}
      onLeft={onLeft}
    />
  )
}

function FundForm({ team, onFunded }: { readonly team: TeamState; readonly onFunded: () => void }) {
  const { runtime } = useServices()
  const earned = usePeer(({ account }) => (account === null ? 0n : account.spendable - account.granted))
  const call = useCall()
  const [reference] = useState(() => runtime.teams.newReference())
  const [typed, setTyped] = useState('')
  const amount = typedCredits(typed)
  const fund = () => {
    if (typeof amount !== 'bigint') return
    call.run(async () => {
      await runtime.teams.fund(team.id, amount, reference)
      onFunded()
    })
  }
  return (
    <ActionForm onSubmit={fund}>
      <Stack gap="sm">
        <Text size="sm" maw="66ch">
          Your account can give {formatCredits(earned)} credits: those that it earned. They are the team’s then, and do not come back.
        </Text>
        <Group gap="sm" align="end">
          <CreditsInput label="Credits" value={typed} onChange={setTyped} testId="fund-credits" />
          <Button type="submit" variant="default" disabled={typeof amount !== 'bigint' || call.isRunning} data-testid="fund">
            {call.isRunning ? 'Giving …' : 'Give them'}
          </Button>
        </Group>
        {call.error !== null && (
          <ErrorNote title="They were not given, or nobody knows; pressed again, they are given once" error={call.error} />
        )}
      </Stack>
    </ActionForm>
  )
}

interface LeavingProps {
  readonly team: TeamState
  readonly accountId: string
  readonly onGone: () => void
  readonly onStayed: () => void
}

function Leaving({ team, accountId, onGone, onStayed }: LeavingProps) {
  const { runtime } = useServices()
  const call = useCall()
  const leave = () =>
    call.run(async () => {
      await runtime.teams.removeMember(team.id, accountId)
      onGone()
    })
  return (
    <>
      <Group gap="sm">
        <Text size="sm">Only an invitation brings this account back in. The team’s credits stay with it.</Text>
        <Button size="compact-sm" onClick={leave} disabled={call.isRunning} data-testid="leave-really">
          {call.isRunning ? 'Leaving …' : 'Leave the team'}
        </Button>
        <Button variant="default" size="compact-sm" onClick={onStayed} disabled={call.isRunning}>
          Stay
        </Button>
      </Group>
      {call.error !== null && <ErrorNote title="This account is still in it" error={call.error} />}
    </>
  )
}

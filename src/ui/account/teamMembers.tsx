/** A team's members for its owners: who they are, who owns it too, who leaves, and invitations for others. */

import { Badge, Button, Code, Group, Stack, Text } from '@mantine/core'
import { useCallback, useState } from 'react'
import type { TeamMemberState, TeamState } from '../../peer/index.ts'
import { ErrorNote } from '../errorNote.tsx'
import { formatCount, formatDay } from '../format.ts'
import { useServices } from '../runtimeContext.ts'
import { useCall } from '../useCall.ts'
import { useRead } from '../useRead.ts'
import styles from './devices.module.css'
import { memberName } from './teamWords.ts'

interface TeamMembersProps {
  readonly team: TeamState
  readonly accountId: string
  /** Members were removed, or this account is no owner any more. */
  readonly onChanged: () => void
}

export function TeamMembers({ team, accountId, onChanged }: TeamMembersProps) {
  const { runtime } = useServices()
  const read = useCallback(() => runtime.teams.details(team.id), [runtime, team.id])
  const { state, again } = useRead(read, team.id)
  if (state.kind === 'reading') return <Text c="dimmed">Asking the coordinator for the members …</Text>
  if (state.kind === 'failed') return <ErrorNote title="The members could not be read" error={state.error} />
  if (state.value === null) return <Text c="dimmed">Only owners of the team see its members.</Text>
  const { members, invitations } = state.value
  const changed = () => {
    again()
    onChanged()
  }
  return (
    <Stack gap="sm">
      {members.map((member) => (
        <MemberRow key={member.accountId} team={team} member={member} isOwn={member.accountId === accountId} onChanged={changed} />
      ))}
      <Invitations team={team} open={invitations} onChanged={again} />
    </Stack>
  )
}

interface MemberRowProps {
  readonly team: TeamState
  readonly member: TeamMemberState
  readonly isOwn: boolean
  readonly onChanged: () => void
}

function MemberRow({ team, member, isOwn, onChanged }: MemberRowProps) {
  const { runtime } = useServices()
  const call = useCall()
  const { accountId, isOwner } = member
  const carryOut = (work: () => Promise<void>) =>
    call.run(async () => {
      await work()
      onChanged()
    })
  return (
    <div data-testid="member" data-account={accountId}>
      <Group justify="space-between" align="start" gap="sm">
        <Stack gap={2} flex={1} miw={220} align="start">
          <Group gap="xs">
            <Text fw={600} style={{ overflowWrap: 'anywhere' }}>
              {memberName(member)}
            </Text>
            {isOwner && (
              <Badge variant="default" tt="none">
                owner
              </Badge>
            )}
            {isOwn && (
              <Badge variant="default" tt="none">
                you
              </Badge>
            )}
          </Group>
          <Code style={{ overflowWrap: 'anywhere' }}>{accountId}</Code>
        </Stack>
        {!isOwn && (
          <Group gap="xs">
            <Button
              variant="default"
              size="compact-sm"
              onClick={() => carryOut(() => runtime.teams.changeMember(team.id, accountId, !isOwner))}
              disabled={call.isRunning}
              data-testid="change-owner"
            >
              {isOwner ? 'Owner no more' : 'Make an owner'}
            </Button>
            <Button
              variant="default"
              size="compact-sm"
              onClick={() => carryOut(() => runtime.teams.removeMember(team.id, accountId))}
              disabled={call.isRunning}
              data-testid="remove-member"
            >
              Remove
            </Button>
          </Group>
        )}
      </Group>
      {call.error !== null && <ErrorNote title="It is as before" error={call.error} />}
    </div>
  )
}

interface InvitationsProps {
  readonly team: TeamState
  readonly open: number
  readonly onChanged: () => void
}

function Invitations({ team, open, onChanged }: InvitationsProps) {
  const { runtime } = useServices()
  const call = useCall()
  const [shown, setShown] = useState<{ readonly code: string; readonly expiresAtMs: number } | null>(null)
  const invite = () =>
    call.run(async () => {
      setShown(await runtime.teams.invite(team.id))
      onChanged()
    })
  const takeBack = () =>
    call.run(async () => {
      await runtime.teams.takeBackInvitations(team.id)
      setShown(null)
      onChanged()
    })
  return (
    <Stack gap="sm">
      {shown !== null && (
        <>
          <div className={styles.code}>
            <Text span className={styles.characters ?? ''} data-testid="invitation-code">
              {shown.code}
            </Text>
            <Text span size="sm" c="dimmed">
              works until {formatDay(shown.expiresAtMs)}
            </Text>
          </div>
          <Text size="sm" maw="66ch" role="status">
            For one account, once: it is typed on the Account page, under “Join a team”. It is not shown again. Who joins by it and you earn
            nothing from each other’s answers from then on, for good.
          </Text>
        </>
      )}
      <Group gap="sm">
        <Button variant="default" size="compact-sm" onClick={invite} disabled={call.isRunning} data-testid="invite">
          {call.isRunning ? 'One moment …' : shown === null ? 'Invite an account' : 'Invite another'}
        </Button>
        {open > 0 && (
          <Button variant="default" size="compact-sm" onClick={takeBack} disabled={call.isRunning} data-testid="take-back-invitations">
            Take back {formatCount(open, 'open invitation')}
          </Button>
        )}
      </Group>
      {call.error !== null && <ErrorNote title="It did not work" error={call.error} />}
    </Stack>
  )
}

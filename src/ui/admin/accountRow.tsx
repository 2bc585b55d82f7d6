/** One account as an operator sees it, with its roles to change and credits to grant, both on demand. */

import { Button, Checkbox, Code, Group, NumberInput, Paper, Stack, Text, TextInput } from '@mantine/core'
import { useState } from 'react'
import type { ListedAccountState } from '../../peer/index.ts'
import { type AccountRole, formatCredits, GRANT_DAYS_MAX, NOTE_CHARACTERS_MAX } from '../../shared/index.ts'
import { ActionForm } from '../actionForm.tsx'
import { CreditsInput, typedCredits } from '../creditsInput.tsx'
import { ErrorNote } from '../errorNote.tsx'
import { formatDay } from '../format.ts'
import { useServices } from '../runtimeContext.ts'
import { useCall } from '../useCall.ts'

interface AccountRowProps {
  readonly account: ListedAccountState
  readonly onChanged: (account: ListedAccountState) => void
}

const ROLES: readonly { readonly role: AccountRole; readonly label: string }[] = [
  { role: 'operator', label: 'operator: opens this page' },
  { role: 'requester', label: 'requester' },
  { role: 'volunteer', label: 'volunteer' },
]
const DAYS_DEFAULT = 30

export function AccountRow({ account, onChanged }: AccountRowProps) {
  const [opened, setOpened] = useState<'roles' | 'grant' | null>(null)
  const done = (changed: ListedAccountState) => {
    setOpened(null)
    onChanged(changed)
  }
  return (
    <Paper withBorder p="md" data-testid="account" data-account={account.id}>
      <Group justify="space-between" align="start" gap="sm">
        <Stack gap={2} flex={1} miw={240} align="start">
          <Text fw={600} style={{ overflowWrap: 'anywhere' }}>
            {account.name === '' ? 'No name' : account.name}
          </Text>
          <Code style={{ overflowWrap: 'anywhere' }}>{account.id}</Code>
          <Text size="sm">
            {formatCredits(account.spendable)} credits to spend; {account.roles.join(', ') || 'no role'}
          </Text>
          <Text size="sm" c="dimmed">
            since {formatDay(account.createdAtMs)}
          </Text>
        </Stack>
        <Group gap="xs">
          {(['roles', 'grant'] as const).map((what) => (
            <Button
              key={what}
              variant="default"
              size="compact-sm"
              aria-expanded={opened === what}
              onClick={() => setOpened(opened === what ? null : what)}
              data-testid={`open-${what}`}
            >
              {what === 'roles' ? 'Roles' : 'Grant credits'}
            </Button>
          ))}
        </Group>
      </Group>
      {opened === 'roles' && <RolesForm account={account} onDone={done} />}
      {opened === 'grant' && <GrantForm account={account} onDone={done} />}
    </Paper>
  )
}

interface FormProps {
  readonly account: ListedAccountState
  readonly onDone: (changed: ListedAccountState) => void
}

function RolesForm({ account, onDone }: FormProps) {
  const { runtime } = useServices()
  const call = useCall()
  const [roles, setRoles] = useState<readonly AccountRole[]>(account.roles)
  const save = () => call.run(async () => onDone(await runtime.operator.changeRoles(account.id, roles)))
  return (
    <Stack gap="sm" mt="md">
      <Checkbox.Group
        label="What this account may be"
        value={[...roles]}
        onChange={(chosen) => setRoles(ROLES.map(({ role }) => role).filter((role) => chosen.includes(role)))}
      >
        <Group gap="md" mt={6}>
          {ROLES.map(({ role, label }) => (
            <Checkbox key={role} value={role} label={label} data-testid={`role-${role}`} />
          ))}
        </Group>
      </Checkbox.Group>
      <Group>
        <Button variant="default" onClick={save} disabled={call.isRunning} data-testid="save-roles">
          {call.isRunning ? 'Saving …' : 'Save the roles'}
        </Button>
      </Group>
      {call.error !== null && <ErrorNote title="The roles are as before" error={call.error} />}
    </Stack>
  )
}

function GrantForm({ account, onDone }: FormProps) {
  const { runtime } = useServices()
  const call = useCall()
  const [reference] = useState(() => runtime.operator.newReference())
  const [credits, setCredits] = useState('')
  const [days, setDays] = useState(DAYS_DEFAULT)
  const [note, setNote] = useState('')
  const amount = typedCredits(credits)
  const grant = () => {
    if (typeof amount === 'bigint')
      call.run(async () => onDone(await runtime.operator.grant(account.id, { amount, days, note: note.trim(), reference })))
  }
  return (
    <ActionForm onSubmit={grant}>
      <Stack gap="sm" mt="md">
        <Group gap="sm" align="start">
          <CreditsInput label="Credits" value={credits} onChange={setCredits} testId="grant-credits" />
          <NumberInput
            label="Days until the rest goes back"
            min={1}
            max={GRANT_DAYS_MAX}
            allowDecimal={false}
            value={days}
            onChange={(value) => typeof value === 'number' && value >= 1 && value <= GRANT_DAYS_MAX && setDays(value)}
          />
        </Group>
        <TextInput
          label="Why, for the record"
          value={note}
          onChange={(event) => setNote(event.currentTarget.value)}
          maxLength={NOTE_CHARACTERS_MAX}
          maw={560}
          autoComplete="off"
        />
        <Text size="sm" c="dimmed">
          New credits, which can be spent and not transferred. A grant cannot be taken back.
        </Text>
        <Group>
          <Button type="submit" variant="default" disabled={typeof amount !== 'bigint' || call.isRunning} data-testid="grant">
            {call.isRunning ? 'Granting …' : 'Grant them'}
          </Button>
        </Group>
        {call.error !== null && (
          <ErrorNote title="It was not granted, or nobody knows; pressed again, it is granted once" error={call.error} />
        )}
      </Stack>
    </ActionForm>
  )
}

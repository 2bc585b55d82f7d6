/** What a team is called, and what all its keys may use: of a new team, or of one that there is. */

import { Button, Group, Stack, TextInput } from '@mantine/core'
import { useState } from 'react'
import type { TeamScope, TeamState } from '../../peer/index.ts'
import { ACCOUNT_NAME_CHARACTERS_MAX } from '../../shared/index.ts'
import { ActionForm } from '../actionForm.tsx'
import { ErrorNote } from '../errorNote.tsx'
import { useCall } from '../useCall.ts'
import { ALL_SCOPE, draftOf, ScopeFields, typedScope } from './scopeFields.tsx'

interface TeamFormProps {
  /** Null: a new one. */
  readonly team: TeamState | null
  readonly save: (name: string, scope: TeamScope) => Promise<void>
  readonly onLeft: () => void
}

export function TeamForm({ team, save, onLeft }: TeamFormProps) {
  const call = useCall()
  const [name, setName] = useState(team?.name ?? '')
  const [scope, setScope] = useState(team === null ? ALL_SCOPE : draftOf(team))
  const isReady = name.trim() !== '' && !call.isRunning
  return (
    <ActionForm onSubmit={() => isReady && call.run(() => save(name.trim(), typedScope(scope)))}>
      <Stack gap="sm">
        <TextInput
          label="What the team is called"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          maxLength={ACCOUNT_NAME_CHARACTERS_MAX}
          maw={420}
          autoComplete="off"
          data-testid="team-name"
        />
        <ScopeFields scope={scope} onChange={setScope} />
        <Group gap="sm">
          <Button type="submit" variant="default" disabled={!isReady} data-testid="save-team">
            {call.isRunning ? 'Saving …' : team === null ? 'Make the team' : 'Save'}
          </Button>
          <Button variant="default" onClick={onLeft} disabled={call.isRunning}>
            Leave it
          </Button>
        </Group>
        {call.error !== null && <ErrorNote title={team === null ? 'There is no new team' : 'It is as before'} error={call.error} />}
      </Stack>
    </ActionForm>
  )
}

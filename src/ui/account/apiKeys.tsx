/** API keys of an account or a team: those that open something, each with what it may and has spent, and a form that makes another. */

import { Button, Group, Paper, Stack, Text } from '@mantine/core'
import { useCallback, useState } from 'react'
import type { ApiKeyState } from '../../peer/index.ts'
import { formatCredits } from '../../shared/index.ts'
import { ActionForm } from '../actionForm.tsx'
import { CreditsInput, typedCredits } from '../creditsInput.tsx'
import { ErrorNote } from '../errorNote.tsx'
import { useServices } from '../runtimeContext.ts'
import { useCall } from '../useCall.ts'
import { type Reading, useRead } from '../useRead.ts'
import { describeScope, describeSpending, describeUse } from './apiKeyWords.ts'
import { NewKeyForm } from './newKeyForm.tsx'

interface ApiKeysProps {
  /** The account that asks: another's keys are never shown. */
  readonly of: string
  /** Null: the account's own. */
  readonly teamId: string | null
}

export function ApiKeys({ of, teamId }: ApiKeysProps) {
  const { runtime } = useServices()
  const read = useCallback(() => runtime.account.apiKeys(teamId), [runtime, teamId])
  const { state, again, change } = useRead(read, of)
  return (
    <>
      <KeyList
        teamId={teamId}
        listed={state}
        onRetry={again}
        onRevoked={(id) => change((before) => before.filter((key) => key.id !== id))}
        onBudget={(id, budget) => change((before) => before.map((key) => (key.id === id ? { ...key, budget } : key)))}
      />
      <NewKeyForm teamId={teamId} onCreated={(key) => change((before) => [...before, key])} />
    </>
  )
}

interface KeyListProps {
  readonly teamId: string | null
  readonly listed: Reading<readonly ApiKeyState[]>
  readonly onRetry: () => void
  readonly onRevoked: (id: string) => void
  readonly onBudget: (id: string, budget: bigint | null) => void
}

function KeyList({ teamId, listed, onRetry, onRevoked, onBudget }: KeyListProps) {
  if (listed.kind === 'reading') return <Text c="dimmed">Asking the coordinator for the keys …</Text>
  if (listed.kind === 'failed')
    return (
      <ErrorNote title="The keys could not be read" error={listed.error}>
        <Button variant="default" size="compact-sm" onClick={onRetry}>
          Try again
        </Button>
      </ErrorNote>
    )
  if (listed.value.length === 0) return <Text c="dimmed">There is none yet.</Text>
  return listed.value.map((key) => (
    <KeyRow key={key.id} teamId={teamId} apiKey={key} onRevoked={() => onRevoked(key.id)} onBudget={(budget) => onBudget(key.id, budget)} />
  ))
}

interface KeyRowProps {
  readonly teamId: string | null
  readonly apiKey: ApiKeyState
  readonly onRevoked: () => void
  readonly onBudget: (budget: bigint | null) => void
}

function KeyRow({ teamId, apiKey, onRevoked, onBudget }: KeyRowProps) {
  const [opened, setOpened] = useState<'revoke' | 'budget' | null>(null)
  const close = () => setOpened(null)
  return (
    <Paper withBorder p="md" data-testid="api-key">
      <Group justify="space-between" align="start" gap="sm">
        <Stack gap={2} flex={1} miw={220}>
          <Text fw={600} style={{ overflowWrap: 'anywhere' }}>
            {apiKey.name}
          </Text>
          <Text size="sm">{describeScope(apiKey)}</Text>
          <Text size="sm" c="dimmed">
            {describeSpending(apiKey)} {describeUse(apiKey)}
          </Text>
        </Stack>
        {opened === null && (
          <Group gap="xs">
            {teamId !== null && (
              <Button variant="default" size="compact-sm" onClick={() => setOpened('budget')} data-testid="open-budget">
                Budget
              </Button>
            )}
            <Button variant="default" size="compact-sm" onClick={() => setOpened('revoke')} data-testid="revoke-key">
              Revoke
            </Button>
          </Group>
        )}
      </Group>
      {opened === 'revoke' && <Revocation teamId={teamId} keyId={apiKey.id} onRevoked={onRevoked} onLeft={close} />}
      {opened === 'budget' && teamId !== null && (
        <BudgetForm
          teamId={teamId}
          apiKey={apiKey}
          onLeft={close}
          onSaved={(budget) => {
            close()
            onBudget(budget)
          }}
        />
      )}
    </Paper>
  )
}

interface RevocationProps {
  readonly teamId: string | null
  readonly keyId: string
  readonly onRevoked: () => void
  readonly onLeft: () => void
}

function Revocation({ teamId, keyId, onRevoked, onLeft }: RevocationProps) {
  const { runtime } = useServices()
  const call = useCall()
  const revoke = () =>
    call.run(async () => {
      await runtime.account.revokeApiKey(teamId, keyId)
      onRevoked()
    })
  return (
    <>
      <Group gap="sm" mt="sm">
        <Text size="sm">Whoever uses it is refused from then on, for good.</Text>
        <Button size="compact-sm" onClick={revoke} disabled={call.isRunning} data-testid="revoke-key-really">
          {call.isRunning ? 'Revoking …' : 'Revoke it'}
        </Button>
        <Button variant="default" size="compact-sm" onClick={onLeft} disabled={call.isRunning}>
          Keep it
        </Button>
      </Group>
      {call.error !== null && <ErrorNote title="It could not be revoked" error={call.error} />}
    </>
  )
}

interface BudgetFormProps {
  readonly teamId: string
  readonly apiKey: ApiKeyState
  readonly onSaved: (budget: bigint | null) => void
  readonly onLeft: () => void
}

function BudgetForm({ teamId, apiKey, onSaved, onLeft }: BudgetFormProps) {
  const { runtime } = useServices()
  const call = useCall()
  const [typed, setTyped] = useState(apiKey.budget === null ? '' : formatCredits(apiKey.budget))
  const amount = typedCredits(typed)
  const save = () => {
    if (amount === 'wrong') return
    const budget = amount === 'empty' ? null : amount
    call.run(async () => {
      await runtime.teams.setKeyBudget(teamId, apiKey.id, budget)
      onSaved(budget)
    })
  }
  return (
    <ActionForm onSubmit={save}>
      <Group gap="sm" align="end" mt="sm">
        <CreditsInput
          label="Credits that it may spend in all"
          description="Empty: as much as the team has. What it has spent counts."
          value={typed}
          onChange={setTyped}
          testId="key-new-budget"
        />
        <Button type="submit" variant="default" disabled={amount === 'wrong' || call.isRunning} data-testid="save-budget">
          {call.isRunning ? 'Saving …' : 'Save'}
        </Button>
        <Button variant="default" onClick={onLeft} disabled={call.isRunning}>
          Leave it
        </Button>
      </Group>
      {call.error !== null && <ErrorNote title="Its budget is as before" error={call.error} />}
    </ActionForm>
  )
}

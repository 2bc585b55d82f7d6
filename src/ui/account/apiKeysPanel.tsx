/** The account's API keys: those that open something, each with what it may and has spent, and a form that makes another. */

import { Button, Group, Paper, Stack, Text, Title } from '@mantine/core'
import { useCallback, useState } from 'react'
import type { ApiKeyState } from '../../peer/index.ts'
import { ErrorNote } from '../errorNote.tsx'
import { usePeer, useServices } from '../runtimeContext.ts'
import { useCall } from '../useCall.ts'
import { type Reading, useRead } from '../useRead.ts'
import { describeScope, describeSpending, describeUse } from './apiKeyWords.ts'
import { NewKeyForm } from './newKeyForm.tsx'

export function ApiKeysPanel() {
  const { runtime } = useServices()
  const accountId = usePeer((state) => state.account?.accountId)
  const read = useCallback(() => runtime.account.apiKeys(), [runtime])
  const { state, again, change } = useRead(read, accountId)
  if (accountId === undefined) return null
  return (
    <Stack component="section" gap="md" aria-labelledby="keys-title" data-testid="api-keys">
      <Title order={2} id="keys-title">
        API keys
      </Title>
      <Text maw="66ch">
        A key lets a program ask for answers that this account pays for, within the limits that you set. This coordinator has no HTTP API
        for them yet; keys that you make now will work with it.
      </Text>
      <KeyList listed={state} onRetry={again} onRevoked={(id) => change((before) => before.filter((key) => key.id !== id))} />
      <NewKeyForm onCreated={(key) => change((before) => [...before, key])} />
    </Stack>
  )
}

interface KeyListProps {
  readonly listed: Reading<readonly ApiKeyState[]>
  readonly onRetry: () => void
  readonly onRevoked: (id: string) => void
}

function KeyList({ listed, onRetry, onRevoked }: KeyListProps) {
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
  return listed.value.map((key) => <KeyRow key={key.id} apiKey={key} onRevoked={() => onRevoked(key.id)} />)
}

function KeyRow({ apiKey, onRevoked }: { readonly apiKey: ApiKeyState; readonly onRevoked: () => void }) {
  const { runtime } = useServices()
  const call = useCall()
  const [isAsking, setAsking] = useState(false)
  const revoke = () =>
    call.run(async () => {
      await runtime.account.revokeApiKey(apiKey.id)
      onRevoked()
    })
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
        {!isAsking && (
          <Button variant="default" size="compact-sm" onClick={() => setAsking(true)} data-testid="revoke-key">
            Revoke
          </Button>
        )}
      </Group>
      {isAsking && (
        <Group gap="sm" mt="sm">
          <Text size="sm">Whoever uses it is refused from then on, for good.</Text>
          <Button size="compact-sm" onClick={revoke} disabled={call.isRunning} data-testid="revoke-key-really">
            {call.isRunning ? 'Revoking …' : 'Revoke it'}
          </Button>
          <Button variant="default" size="compact-sm" onClick={() => setAsking(false)} disabled={call.isRunning}>
            Keep it
          </Button>
        </Group>
      )}
      {call.error !== null && <ErrorNote title="It could not be revoked" error={call.error} />}
    </Paper>
  )
}

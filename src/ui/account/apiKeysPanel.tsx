/** The account's API keys: a program asks with one, and the account pays. */

import { Stack, Text, Title } from '@mantine/core'
import { usePeer } from '../runtimeContext.ts'
import { ApiKeys } from './apiKeys.tsx'

export function ApiKeysPanel() {
  const accountId = usePeer((state) => state.account?.accountId)
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
      <ApiKeys of={accountId} teamId={null} />
    </Stack>
  )
}

/** The account's API keys: a program asks with one, and the account pays. */

import { Anchor, Code, Stack, Text, Title } from '@mantine/core'
import { Link } from 'wouter'
import { readBrowser } from '../browser.ts'
import { usePeer } from '../runtimeContext.ts'
import { ApiKeys } from './apiKeys.tsx'

export function ApiKeysPanel() {
  const accountId = usePeer((state) => state.account?.accountId)
  if (accountId === undefined) return null
  const { origin } = readBrowser()
  return (
    <Stack component="section" gap="md" aria-labelledby="keys-title" data-testid="api-keys">
      <Title order={2} id="keys-title">
        API keys
      </Title>
      <Text maw="66ch">
        A key lets a program that speaks OpenAI’s API ask for answers that this account pays for, within the limits that you set. Its base
        URL is <Code data-testid="api-url">{`${origin}/v1`}</Code>; what it may ask is in the{' '}
        <Anchor component={Link} href="/reference" underline="always">
          reference
        </Anchor>
        .
      </Text>
      <Text maw="66ch" size="sm" c="dimmed">
        What a program sends there passes through the memory of whoever runs this coordinator, and is kept nowhere; the chat here, or a
        coordinator of your own, avoids even that.
      </Text>
      <ApiKeys of={accountId} teamId={null} />
    </Stack>
  )
}

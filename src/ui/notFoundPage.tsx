/** An address that leads nowhere. */

import { Anchor, Text } from '@mantine/core'
import { Link } from 'wouter'
import { Page } from './page.tsx'

export function NotFoundPage() {
  return (
    <Page title="There is no such page">
      <Text>
        The address may have been mistyped.{' '}
        <Anchor component={Link} href="/" underline="always">
          Go home
        </Anchor>
      </Text>
    </Page>
  )
}

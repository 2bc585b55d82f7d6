/** Benchmark: not there yet, and says so. */

import { Anchor, Text } from '@mantine/core'
import { Link } from 'wouter'
import { Page } from './page.tsx'

export function BenchmarkPage() {
  return (
    <Page
      title="Benchmark"
      lead="Soon: measure in this tab how fast your GPU runs the kernels of a real model, and see what that is worth in layers."
    >
      <Text maw="62ch">
        Until then,{' '}
        <Anchor component={Link} href="/contribute" underline="always">
          Contribute
        </Anchor>{' '}
        measures your GPU before it pledges anything and shows the result, and the side panel of{' '}
        <Anchor component={Link} href="/chat" underline="always">
          Chat
        </Anchor>{' '}
        shows the time each tab takes for each token.
      </Text>
    </Page>
  )
}

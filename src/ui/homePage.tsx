/** Home: what this is in three sentences, the network as it is now, three doors. */

import { Paper, SimpleGrid, Text, Title } from '@mantine/core'
import { Link } from 'wouter'
import styles from './homePage.module.css'
import { Page } from './page.tsx'
import { NetworkCard } from './swarm/networkCard.tsx'

const DOORS = [
  { path: '/contribute', name: 'Contribute', text: 'Lend this tab’s GPU. One button starts it, one button ends it.' },
  { path: '/chat', name: 'Chat', text: 'Ask the swarm, and watch which tab computes which layers.' },
  { path: '/bench', name: 'Benchmark', text: 'Measure what your GPU reaches in the programs of real models, and compare.' },
] as const

export function HomePage() {
  return (
    <Page
      title="A language model, made of open tabs"
      lead="Each contributing tab holds a few layers of a model and computes them on its own GPU. A question travels from tab to tab until it has become an answer. Nothing is installed, and nothing runs in your tab until you press the button."
    >
      <NetworkCard title="This network, now" />
      <SimpleGrid component="nav" aria-label="Where to go" cols={{ base: 1, sm: 3 }} spacing="md">
        {DOORS.map(({ path, name, text }) => (
          <Paper key={path} component={Link} href={path} withBorder p="lg" className={styles.door ?? ''}>
            <Title order={3} component="span" className={styles.name ?? ''}>
              {name}
            </Title>
            <Text size="sm" c="dimmed" mt={4} component="span" display="block">
              {text}
            </Text>
          </Paper>
        ))}
      </SimpleGrid>
    </Page>
  )
}

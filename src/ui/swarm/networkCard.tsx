/** The live picture of this network with its sentence, and where a legend is needed, that too. */

import { Group, Paper, Stack, Text, Title } from '@mantine/core'
import { formatBytes } from '../format.ts'
import { usePeer } from '../runtimeContext.ts'
import { describeSwarm, type SwarmSummary } from './swarmLayout.ts'
import { SwarmPicture } from './swarmPicture.tsx'

/** So that the first answer of the coordinator does not push the page around. */
const HEIGHT_RESERVED = 236

/** The coordinator names no STUN server. */
const REACH_WORDS = {
  relayed:
    'Only tabs of one network connect directly here. Others go through the coordinator, which passes on sealed bytes that it cannot read.',
  'one-network': 'Only tabs of one network reach each other here: the coordinator names no STUN server.',
} as const

export function NetworkCard({ title }: { readonly title: string }) {
  const network = usePeer((state) => state.network)
  const reach = usePeer((state) => state.reach)
  const ownShortId = usePeer((state) => state.contributingAs)?.slice(0, 8) ?? null
  return (
    <Paper component="section" aria-labelledby="network-title" withBorder p={{ base: 'md', sm: 'xl' }} mih={HEIGHT_RESERVED}>
      <Stack gap="md">
        <Title order={2} id="network-title">
          {title}
        </Title>
        {network === null && <Text c="dimmed">Asking the coordinator who is here …</Text>}
        {network?.swarms.length === 0 && <Text c="dimmed">The coordinator serves no model. Start it with one: npm start.</Text>}
        {network?.swarms.map((swarm) => (
          <Swarm key={swarm.manifestHash} swarm={swarm} ownShortId={ownShortId} />
        ))}
        {network !== null && reach !== null && reach !== 'everywhere' && (
          <Text size="sm" c="dimmed" data-testid="network-reach">
            {REACH_WORDS[reach]}
          </Text>
        )}
      </Stack>
    </Paper>
  )
}

function Swarm({ swarm, ownShortId }: { readonly swarm: SwarmSummary; readonly ownShortId: string | null }) {
  return (
    <Stack gap="sm">
      <Group justify="space-between" gap={4}>
        <Text fw={600}>{swarm.name}</Text>
        <Text size="sm" c="dimmed">
          {swarm.layerCount} layers, {formatBytes(swarm.weightBytes)}
        </Text>
      </Group>
      <SwarmPicture swarm={swarm} ownShortId={ownShortId} />
      <Text size="sm">
        {describeSwarm(swarm)} {readiness(swarm)}
      </Text>
    </Stack>
  )
}

function readiness({ state, missingBytes, sessions }: SwarmSummary): string {
  if (state !== 'ready') return missingBytes > 0 ? `It answers once ${formatBytes(missingBytes)} more are pledged.` : 'It answers soon.'
  return sessions === 0 ? 'It is ready to answer.' : `It is answering ${sessions === 1 ? 'one question' : `${sessions} questions`} now.`
}

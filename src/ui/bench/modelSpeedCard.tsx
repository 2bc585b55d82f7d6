/** A whole model in this tab alone: tokens a second while it reads and while it writes. Optional: it downloads the model. */

import { Button, Group, Progress, Stack, Text, Title } from '@mantine/core'
import { useStore } from 'zustand'
import type { ModelSpeed, ModelSpeedProgress } from '../../peer/index.ts'
import { ErrorNote } from '../errorNote.tsx'
import { FigureList } from '../figureList.tsx'
import { formatBytes, formatPercent } from '../format.ts'
import { usePeer } from '../runtimeContext.ts'
import { Explain } from './explain.tsx'
import { formatTime, formatTokensPerSecond } from './figures.ts'
import type { ModelSpeedStore } from './modelSpeedStore.ts'

interface ModelSpeedCardProps {
  readonly store: ModelSpeedStore
  readonly disabled: boolean
}

export function ModelSpeedCard({ store, disabled }: ModelSpeedCardProps) {
  const run = useStore(store, (state) => state.run)
  const network = usePeer((state) => state.network)
  const defaultModelId = usePeer((state) => state.defaultModelId)
  const swarm = network?.swarms.find(({ modelId }) => modelId === defaultModelId) ?? network?.swarms[0]
  const { start, stop } = store.getState()
  return (
    <Stack gap="md" component="section" aria-labelledby="model-title" data-testid="bench-model" data-state={run.kind}>
      <Group gap={8}>
        <Title order={2} id="model-title">
          A whole model
        </Title>
        <Explain term="tokens a second">
          A token is about three quarters of a word. Reading: the tokens of a question, all at once. Writing: one token after the other;
          eight answers together share each look at the weights.
        </Explain>
      </Group>
      {swarm === undefined ? (
        <Text c="dimmed">{network === null ? 'Asking the coordinator which models it serves …' : 'This coordinator serves no model.'}</Text>
      ) : (
        <Group justify="space-between" gap="md">
          <Text maw="60ch" flex={1} miw={240}>
            How fast this tab alone reads and writes with {swarm.name}. It downloads {formatBytes(swarm.weightBytes)} once, and keeps them
            in this browser.
          </Text>
          {run.kind === 'running' ? (
            <Button variant="default" onClick={stop} data-testid="bench-model-stop">
              Cancel
            </Button>
          ) : (
            <Button variant="default" onClick={() => start(swarm.modelId)} disabled={disabled} data-testid="bench-model-run">
              {run.kind === 'done' ? 'Measure again' : 'Download and measure'}
            </Button>
          )}
        </Group>
      )}
      {run.kind === 'running' && <Steps progress={run.progress} />}
      {run.kind === 'failed' && <ErrorNote title="The model could not be measured" error={run.error} />}
      {run.kind === 'done' && <Speeds result={run.result} />}
    </Stack>
  )
}

function Steps({ progress }: { readonly progress: ModelSpeedProgress }) {
  return (
    <Stack gap={6}>
      {progress.kind === 'loading' && (
        <Progress.Root size="lg">
          <Progress.Section value={(100 * progress.bytesLoaded) / Math.max(1, progress.bytesTotal)} aria-label="Loaded" />
        </Progress.Root>
      )}
      <Text size="sm" role="status">
        {words(progress)}
      </Text>
    </Stack>
  )
}

function words(progress: ModelSpeedProgress): string {
  switch (progress.kind) {
    case 'starting':
      return 'Looking for the GPU …'
    case 'loading':
      return `Loading ${formatBytes(progress.bytesLoaded)} of ${formatBytes(progress.bytesTotal)}, ${formatPercent(progress.bytesLoaded, progress.bytesTotal)}`
    case 'measuring':
      return progress.step.kind === 'prefill'
        ? `Timing a question of ${progress.step.count} tokens …`
        : `Timing ${progress.step.count === 1 ? 'one answer' : `${progress.step.count} answers together`} …`
  }
}

function Speeds({ result: { speed, adapter } }: { readonly result: ModelSpeed }) {
  const figures = [
    ...speed.prefill.map((each) => ({ name: `reading a question of ${each.tokens}`, ...each })),
    ...speed.decode.map((each) => ({
      name: each.sessions === 1 ? 'writing one answer' : `writing ${each.sessions} answers together`,
      ...each,
    })),
  ]
  return (
    <>
      <FigureList
        columns={4}
        figures={figures.map(({ name, tokensPerSecond, medianMs, runs }) => ({
          name,
          value: formatTokensPerSecond(tokensPerSecond),
          note: `${formatTime(medianMs)} a pass, median of ${runs}`,
        }))}
      />
      <Text size="sm" c="dimmed">
        On {adapter}.
      </Text>
    </>
  )
}

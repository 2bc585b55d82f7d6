/** What the run does now, in words; how far it is; how long it still takes; the button that ends it. */

import { Button, Group, Progress, Stack, Text, Title } from '@mantine/core'
import { useStore } from 'zustand'
import { ErrorNote } from '../errorNote.tsx'
import { formatCount, formatSeconds } from '../format.ts'
import type { BenchStore, RunState } from './benchStore.ts'
import { nameCase, PHASE_WORDS } from './words.ts'

type Running = Extract<RunState, { kind: 'running' }>

export function RunPanel({ store }: { readonly store: BenchStore }) {
  const run = useStore(store, (state) => state.run)
  if (run.kind === 'idle') return null
  if (run.kind === 'failed') return <ErrorNote title="The run ended early" error={run.error} />
  return (
    <Stack gap="sm" component="section" aria-label="Run" data-testid="bench-state" data-state={run.kind}>
      <Group justify="space-between" gap="md">
        <div role="status">
          <Title order={2}>{headline(run)}</Title>
        </div>
        {run.kind === 'running' && (
          <Button variant="default" onClick={() => store.getState().cancel()} disabled={run.cancelling} data-testid="bench-cancel">
            Cancel
          </Button>
        )}
      </Group>
      {run.kind === 'running' ? <Steps run={run} /> : <Ended store={store} run={run} />}
    </Stack>
  )
}

function headline(run: Exclude<RunState, { kind: 'idle' | 'failed' }>): string {
  switch (run.kind) {
    case 'running':
      return run.cancelling ? 'Cancelling' : `Measuring ${formatCount(run.cases.length, 'case')}`
    case 'finished':
      return 'Finished'
    case 'cancelled':
      return 'Cancelled'
  }
}

function Steps({ run: { cases, progress, left } }: { readonly run: Running }) {
  const current = progress === null || progress.phase === 'adapter' ? undefined : cases[progress.caseIndex]
  return (
    <>
      <Progress.Root size="lg">
        <Progress.Section value={100 * left.partDone} aria-label="Run done" />
      </Progress.Root>
      <Group justify="space-between" gap={4}>
        <Text size="sm">
          {current !== undefined && (
            <>
              Case {(progress?.caseIndex ?? 0) + 1} of {cases.length}: <b>{nameCase(current)}</b>.{' '}
            </>
          )}
          {progress === null ? 'Starting the worker' : PHASE_WORDS[progress.phase]} …
        </Text>
        <Text size="sm" c="dimmed">
          {left.secondsLeft === null ? 'Estimating the time left' : `About ${formatSeconds(left.secondsLeft)} left`}
        </Text>
      </Group>
    </>
  )
}

function Ended({ store, run }: { readonly store: BenchStore; readonly run: Extract<RunState, { kind: 'finished' | 'cancelled' }> }) {
  const measured = useStore(store, (state) => state.results.length)
  const failed = useStore(store, (state) => state.failures.length)
  return (
    <Text>
      {measured} of {formatCount(run.caseCount, 'case')} measured
      {failed > 0 && `, ${failed} failed and ${failed === 1 ? 'is' : 'are'} listed below`}.
      {run.kind === 'cancelled' && ' What was measured stays.'}
    </Text>
  )
}

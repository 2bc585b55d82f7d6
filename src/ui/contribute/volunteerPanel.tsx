/** What this tab is doing, in words, for each state after the button. */

import { Badge, Button, Group, Progress, Stack, Text, Title } from '@mantine/core'
import { useInterval } from '@mantine/hooks'
import { useEffect, useRef, useState } from 'react'
import type { GpuSummary, PressureReason, VolunteerState } from '../../peer/index.ts'
import { ErrorNote } from '../errorNote.tsx'
import { formatBytes, formatPercent, formatSeconds, formatSpan, formatSpeed } from '../format.ts'
import { usePeer } from '../runtimeContext.ts'
import { ServingFigures } from './servingFigures.tsx'
import { addSample, secondsLeft } from './timeLeft.ts'

type Active = Exclude<VolunteerState, { kind: 'off' }>
type LoadingState = Extract<VolunteerState, { kind: 'loading' }>

/** Why a tab leaves the machine to its owner. */
const PRESSED: Readonly<Record<PressureReason, string>> = {
  battery: 'this computer is on battery',
  busy: 'this computer is busy',
  memory: 'this computer is short of memory',
  user: 'you are using this computer',
}

const RESUMES: Readonly<Record<PressureReason, string>> = {
  battery: 'It goes on by itself once the computer is plugged in.',
  busy: 'It looks again from time to time, and goes on by itself when the other programs have calmed down.',
  memory: 'It looks again from time to time, and goes on by itself when there is room.',
  user: 'It goes on by itself when you have been away for a minute.',
}

interface VolunteerPanelProps {
  readonly volunteer: Active
  readonly pledgeMb: number
  readonly onRetry: () => void
  readonly onResume: () => void
  readonly onStop: () => void
}

export function VolunteerPanel({ volunteer, pledgeMb, onRetry, onResume, onStop }: VolunteerPanelProps) {
  if (volunteer.kind === 'failed') {
    return (
      <ErrorNote
        title={volunteer.error.reason === 'no-webgpu' ? 'This browser offers no GPU' : 'This tab cannot contribute'}
        error={volunteer.error}
      >
        <Button variant="default" onClick={onRetry} data-testid="start-contributing">
          Try again
        </Button>
      </ErrorNote>
    )
  }
  return (
    <>
      <Group justify="space-between" align="start" gap="md">
        <Stack gap={4} flex={1} miw={240}>
          <div role="status">
            <Title order={2}>{headline(volunteer)}</Title>
          </div>
          <Detail volunteer={volunteer} pledgeMb={pledgeMb} />
        </Stack>
        <Group gap="xs">
          {volunteer.kind === 'paused' && (
            <Button onClick={onResume} data-testid="resume-contributing">
              Resume now
            </Button>
          )}
          <Button variant="default" onClick={onStop} disabled={volunteer.kind === 'stopping'} data-testid="stop-contributing">
            Stop
          </Button>
        </Group>
      </Group>
      {volunteer.kind === 'loading' && <LoadingBar volunteer={volunteer} />}
      {volunteer.kind === 'serving' && <ServingFigures work={volunteer.work} />}
      {'gpu' in volunteer && <Gpu gpu={volunteer.gpu} />}
    </>
  )
}

function headline(volunteer: Exclude<Active, { kind: 'failed' }>): string {
  switch (volunteer.kind) {
    case 'starting':
      return volunteer.step === 'detect' ? 'Looking for your GPU' : 'Measuring your GPU'
    case 'waiting':
      return 'Waiting for layers'
    case 'loading':
      return `Loading ${formatSpan(volunteer.span)}`
    case 'serving':
      return `Serving ${formatSpan(volunteer.span)} of ${volunteer.layerCount}`
    case 'recovering':
      return 'Getting your GPU back'
    case 'draining':
      return `Finishing: ${PRESSED[volunteer.reason]}`
    case 'paused':
      return `Paused: ${PRESSED[volunteer.reason]}`
    case 'stopping':
      return 'Giving everything back'
  }
}

function Detail({ volunteer, pledgeMb }: { readonly volunteer: Active; readonly pledgeMb: number }) {
  const swarm = usePeer((state) => state.network?.swarms[0])
  return (
    <Text c="dimmed" maw="62ch">
      {detail(volunteer, pledgeMb, swarm?.missingBytes ?? null)}
    </Text>
  )
}

function waitingFor(missingBytes: number | null): string {
  if (missingBytes === null) return 'The coordinator has not answered yet.'
  if (missingBytes === 0) return 'Every layer has a home already; the coordinator gives you some when it needs you.'
  return `The model still needs ${formatBytes(missingBytes)} from other tabs; open another one, here or on another machine.`
}

/** `missingBytes`: null until the coordinator has told. */
function detail(volunteer: Active, pledgeMb: number, missingBytes: number | null): string {
  switch (volunteer.kind) {
    case 'starting':
      return volunteer.step === 'detect'
        ? 'Asking the browser for a GPU, and measuring what computes fastest here. This takes a few seconds.'
        : 'A short run of a real kernel, so that your share matches your speed. A few seconds.'
    case 'waiting':
      return `You pledged ${pledgeMb.toLocaleString('en-US')} MB. ${waitingFor(missingBytes)}`
    case 'loading':
      return `${volunteer.modelId}. Each part is checked against its hash before it is used.`
    case 'serving':
      return volunteer.alone
        ? `${volunteer.modelId}. You hold the whole model alone. A second tab would take half of it.`
        : `${volunteer.modelId}. Other tabs hold the rest. Keep this tab open; it may be in the background.`
    case 'recovering':
      return `The browser took the GPU away (${volunteer.reason.replace(/\.$/, '')}). The layers come back from this browser’s storage, nothing is downloaded again.`
    case 'draining':
      return `${volunteer.sessionsOpen === 1 ? 'One answer is' : `${volunteer.sessionsOpen} answers are`} still open here; other tabs take over. This tab stops within half a minute in any case.`
    case 'paused':
      return `The memory that this tab used is free again; what it downloaded stays in this browser. ${RESUMES[volunteer.reason]}`
    case 'stopping':
      return 'Freeing memory and telling the coordinator.'
    case 'failed':
      return volunteer.error.message
  }
}

function LoadingBar({ volunteer }: { readonly volunteer: LoadingState }) {
  const { bytesLoaded, bytesTotal, bytesFromCache } = volunteer
  const left = useSecondsLeft(bytesLoaded, bytesTotal)
  return (
    <Stack gap={6}>
      <Progress.Root size="lg">
        <Progress.Section value={bytesTotal === 0 ? 0 : (100 * bytesLoaded) / bytesTotal} aria-label="Loaded" />
      </Progress.Root>
      <Group justify="space-between" gap="xs">
        <Text size="sm">
          {formatBytes(bytesLoaded)} of {formatBytes(bytesTotal)}, {formatPercent(bytesLoaded, bytesTotal)}
          {bytesFromCache > 0 && `, ${formatBytes(bytesFromCache)} of it already in this browser`}
        </Text>
        <Text size="sm" c="dimmed">
          {bytesLoaded >= bytesTotal
            ? 'Preparing to compute'
            : left === null
              ? 'Estimating the time left'
              : `About ${formatSeconds(left)} left`}
        </Text>
      </Group>
    </Stack>
  )
}

function useSecondsLeft(bytesLoaded: number, bytesTotal: number): number | null {
  const newest = useRef(bytesLoaded)
  useEffect(() => {
    newest.current = bytesLoaded
  }, [bytesLoaded])
  const [samples, setSamples] = useState<readonly number[]>([])
  useInterval(() => setSamples((old) => addSample(old, newest.current)), 1000, { autoInvoke: true })
  return secondsLeft(samples, bytesTotal)
}

function Gpu({ gpu }: { readonly gpu: GpuSummary }) {
  return (
    <Group gap="sm">
      <Text size="sm">
        <b>{gpu.adapter}</b>, {formatSpeed(gpu.macsPerSecond)}
      </Text>
      {gpu.software && (
        <Badge color="honey" variant="filled" tt="none">
          {gpu.engine === 'webgpu' ? 'software adapter: slow' : 'no GPU: on the processor'}
        </Badge>
      )}
    </Group>
  )
}

/** Benchmark: choose cases, run them in a worker, see what this adapter reaches, keep it, compare it. Nothing runs before the button. */

import { Paper, Stack, Text } from '@mantine/core'
import { useEffect } from 'react'
import { useStore } from 'zustand'
import { readBrowser } from '../browser.ts'
import { Page } from '../page.tsx'
import { RedNote } from '../redNote.tsx'
import { type UiServices, useServices } from '../runtimeContext.ts'
import { AdapterCard } from './adapterCard.tsx'
import type { BenchHost } from './benchHost.ts'
import { type BenchStore, createBenchStore, measuredRun } from './benchStore.ts'
import { CaseChooser } from './caseChooser.tsx'
import { Exchange } from './exchange.tsx'
import { ModelSpeedCard } from './modelSpeedCard.tsx'
import { createModelSpeedStore, type ModelSpeedStore } from './modelSpeedStore.ts'
import { Results } from './results.tsx'
import { RunPanel } from './runPanel.tsx'

/** Made with the page's scripts, kept for as long as the app: a run goes on while another route is shown. */
const kept = new WeakMap<UiServices, { readonly suite: BenchStore; readonly model: ModelSpeedStore }>()

function storesOf(services: UiServices) {
  const known = kept.get(services)
  if (known !== undefined) return known
  const made = { suite: createBenchStore(services.bench), model: createModelSpeedStore(services.runtime) }
  kept.set(services, made)
  return made
}

export function BenchPage() {
  const services = useServices()
  const host = services.bench
  const { suite: store, model } = storesOf(services)
  const busy = useStore(store, (state) => state.run.kind === 'running')
  const modelBusy = useStore(model, (state) => state.run.kind === 'running')
  useEffect(() => {
    const { search } = readBrowser()
    if (search !== '' && store.getState().run.kind !== 'running') store.getState().openLink(search)
  }, [store])
  return (
    <Page
      width="wide"
      title="Benchmark"
      lead="This measures how fast your GPU runs the programs that answer in Chat: each is first checked against exact arithmetic, then timed. Nothing runs before you press the button, and no result leaves this browser."
    >
      <Obstacle obstacle={host.obstacle} />
      <Card>
        <CaseChooser store={store} blocked={host.obstacle !== null || modelBusy} />
      </Card>
      <RunCard store={store} />
      <Measured store={store} host={host} />
      <Card>
        <ModelSpeedCard store={model} disabled={busy || host.obstacle === 'insecure'} />
      </Card>
    </Page>
  )
}

function Card({ children }: { readonly children: React.ReactNode }) {
  return (
    <Paper withBorder p={{ base: 'md', sm: 'xl' }}>
      <Stack gap="xl">{children}</Stack>
    </Paper>
  )
}

function RunCard({ store }: { readonly store: BenchStore }) {
  const shown = useStore(store, (state) => state.run.kind !== 'idle')
  return shown ? (
    <Card>
      <RunPanel store={store} />
    </Card>
  ) : null
}

function Measured({ store, host }: { readonly store: BenchStore; readonly host: BenchHost }) {
  // One by one: progress comes many times a second, and must not draw the results again.
  const adapter = useStore(store, (state) => state.adapter)
  const results = useStore(store, (state) => state.results)
  const failures = useStore(store, (state) => state.failures)
  const compared = useStore(store, (state) => state.comparedWithOrt)
  const imported = useStore(store, (state) => state.imported)
  const running = useStore(store, (state) => state.run.kind === 'running')
  const measured = running ? null : measuredRun({ adapter, results, failures }, host.kernelVersion)
  const anything = results.length > 0 || failures.length > 0
  return (
    <>
      {adapter !== null && (
        <Card>
          <AdapterCard adapter={adapter} />
          {anything && (
            <Results adapter={adapter} results={results} failures={failures} caption="Measured in this tab" compared={compared} />
          )}
        </Card>
      )}
      {adapter === null && imported !== null && !running && (
        <Card>
          <AdapterCard adapter={imported.run.adapter} />
          <Results
            adapter={imported.run.adapter}
            results={imported.run.cases}
            failures={imported.run.failures}
            caption={`From the file ${imported.fileName}`}
            compared={imported.run.cases.some(({ baseline }) => baseline !== null)}
          />
        </Card>
      )}
      <Card>
        <Exchange store={store} measured={measured} />
      </Card>
    </>
  )
}

function Obstacle({ obstacle }: { readonly obstacle: BenchHost['obstacle'] }) {
  if (obstacle === null) return null
  const [title, text] =
    obstacle === 'no-webgpu'
      ? [
          'This browser offers no GPU to web pages',
          'Use a current Chrome, Edge, Firefox or Safari, check in its settings that hardware acceleration is on, and update the graphics driver. Saved runs can be opened and looked at all the same.',
        ]
      : [
          'This address is not secure',
          'Browsers give a page the GPU only over https, or on the machine that serves it. Ask whoever runs this coordinator for its https address.',
        ]
  return (
    <RedNote title={title} testId="bench-obstacle">
      <Text size="sm">{text}</Text>
    </RedNote>
  )
}

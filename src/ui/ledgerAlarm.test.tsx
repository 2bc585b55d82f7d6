import { MantineProvider } from '@mantine/core'
import { renderToStaticMarkup } from 'react-dom/server'
import { expect, it } from 'vitest'
import type { HeadAlarm } from '../peer/index.ts'
import { createChatStore } from './chatStore.ts'
import { LedgerAlarm } from './ledgerAlarm.tsx'
import { UiContext } from './runtimeContext.ts'
import { FakeBenchHost } from './testing/fakeBench.ts'
import { FakeRuntime } from './testing/fakeRuntime.ts'

const head = { size: 9, root: 'a'.repeat(64), atMs: 0, publicKey: 'k', signature: 's' }

function show(ledgerAlarm: HeadAlarm | null): string {
  const runtime = new FakeRuntime({ ledgerAlarm })
  const services = { runtime, bench: new FakeBenchHost(), chat: createChatStore({ runtime, randomSeed: () => 1 }) }
  return renderToStaticMarkup(
    <MantineProvider>
      <UiContext value={services}>
        <LedgerAlarm />
      </UiContext>
    </MantineProvider>,
  )
}

it('[V32] a fork of the ledger is said on every page, with what to do about it; else nothing is', () => {
  expect(show(null)).not.toContain('ledger')
  const what = 'The coordinator tells another tab of a ledger that has 9 events as this tab’s, and not the same ones.'
  const page = show({ what, seen: head, head: { ...head, root: 'b'.repeat(64) } })
  for (const words of ['There is more than one ledger', what, 'Keep both heads', 'Download both heads']) expect(page).toContain(words)
})

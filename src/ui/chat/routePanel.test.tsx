import { MantineProvider } from '@mantine/core'
import { renderToStaticMarkup } from 'react-dom/server'
import { describe, expect, it } from 'vitest'
import type { PeerState, RouteStage, StageAudit } from '../../peer/index.ts'
import type { PeerId, SessionId } from '../../shared/index.ts'
import { createChatStore } from '../chatStore.ts'
import { UiContext } from '../runtimeContext.ts'
import { FakeBenchHost } from '../testing/fakeBench.ts'
import { FakeRuntime } from '../testing/fakeRuntime.ts'
import { RoutePanel } from './routePanel.tsx'

const SESSION = '5'.repeat(32) as SessionId
const [STAGE, OTHER, AUDITOR] = ['a', 'b', 'c'].map((digit) => digit.repeat(32)) as [PeerId, PeerId, PeerId]
const span = { firstLayer: 0, endLayer: 15 }
const stage: RouteStage = {
  peerId: STAGE,
  ...span,
  engine: 'webgpu',
  adapter: 'a GPU',
  computeMsPerLap: 4,
  link: { kind: 'webrtc', bytesSent: 1 },
}

function show(audits: PeerState['audits'], sessionId: SessionId | null = SESSION): string {
  const runtime = new FakeRuntime({ audits })
  const services = { runtime, bench: new FakeBenchHost(), chat: createChatStore({ runtime, randomSeed: () => 1 }) }
  const figures = {
    sessionId,
    stages: [stage],
    firstLink: null,
    lapMs: null,
    timeToFirstTokenMs: null,
    tokensPerSecond: null,
    tokens: 1,
  }
  return renderToStaticMarkup(
    <MantineProvider>
      <UiContext value={services}>
        <RoutePanel figures={figures} />
      </UiContext>
    </MantineProvider>,
  )
}

const audit = (change: Partial<StageAudit>): PeerState['audits'] =>
  new Map([[SESSION, [{ peerId: STAGE, span, auditors: [{ kind: 'loaded', peerId: AUDITOR }], verdict: 'valid', ...change }]]])

describe('[V27] the route of an answer', () => {
  it('says who computed a stage again, and what was found', () => {
    expect(show(audit({}))).toContain('Was audited by tab cccc, and is right.')
    const both = [
      { kind: 'loaded', peerId: AUDITOR },
      { kind: 'coordinator', peerId: null },
    ] as const
    expect(show(audit({ auditors: both, verdict: 'failed' }))).toContain('Was audited by tab cccc and the coordinator, and is wrong')
    expect(show(audit({ auditors: [], verdict: 'undecided' }))).toContain('Was audited, in vain')
  })

  it('says nothing of other sessions and other stages', () => {
    expect(show(new Map())).not.toContain('audited')
    expect(show(audit({ peerId: OTHER }))).not.toContain('audited')
    expect(show(audit({}), null)).not.toContain('audited')
  })
})

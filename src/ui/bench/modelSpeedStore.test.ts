import { describe, expect, it } from 'vitest'
import { TabswarmError } from '../../shared/index.ts'
import type { EngineSpeed } from '../../worker/index.ts'
import { FakeRuntime, MODEL_ID } from '../testing/fakeRuntime.ts'
import { createModelSpeedStore } from './modelSpeedStore.ts'

const settled = () => new Promise((resolve) => setImmediate(resolve))
const speed: EngineSpeed = {
  prefill: [{ tokens: 64, tokensPerSecond: 900, medianMs: 71, runs: 21 }],
  decode: [{ sessions: 1, tokensPerSecond: 90, medianMs: 11, runs: 21 }],
}
const result = { modelId: MODEL_ID, engine: 'webgpu', adapter: 'Apple M3', software: false, speed } as const

describe('whole-model speed', () => {
  it('shows each step, then what came out', async () => {
    const runtime = new FakeRuntime()
    const store = createModelSpeedStore(runtime)
    store.getState().start(MODEL_ID)
    const [measurement] = runtime.measurements
    measurement?.progress({ kind: 'measuring', step: { kind: 'decode', count: 8 } })
    expect(store.getState().run).toMatchObject({ kind: 'running', progress: { step: { count: 8 } } })
    store.getState().start(MODEL_ID)
    expect(runtime.measurements).toHaveLength(1)
    measurement?.resolve(result)
    await settled()
    expect(store.getState().run).toEqual({ kind: 'done', result })
  })

  it('stops at once, and hears nothing more of what was stopped', async () => {
    const runtime = new FakeRuntime()
    const store = createModelSpeedStore(runtime)
    store.getState().start(MODEL_ID)
    store.getState().stop()
    const [measurement] = runtime.measurements
    expect(measurement?.stopped).toBe(true)
    measurement?.progress({ kind: 'starting' })
    measurement?.reject(new TabswarmError('cancelled', 'stopped'))
    await settled()
    expect(store.getState().run).toEqual({ kind: 'idle' })
  })

  it('keeps the reason of a failure', async () => {
    const runtime = new FakeRuntime()
    const store = createModelSpeedStore(runtime)
    store.getState().start(MODEL_ID)
    runtime.measurements[0]?.reject(new TabswarmError('no-adapter', 'no GPU'))
    await settled()
    expect(store.getState().run).toEqual({ kind: 'failed', error: { reason: 'no-adapter', message: 'no GPU' } })
  })
})

import { describe, expect, it } from 'vitest'
import { casesOf, encodeChoice, RUN_BYTES_MAX, runToJson } from '../../kernels/suite/index.ts'
import { required } from '../../shared/index.ts'
import { FAKE_ADAPTER, FakeBenchHost, fakeResult, fakeRun } from '../testing/fakeBench.ts'
import { createBenchStore, measuredRun } from './benchStore.ts'

const settled = () => new Promise((resolve) => setImmediate(resolve))

function start() {
  const host = new FakeBenchHost()
  const store = createBenchStore(host)
  return { host, store, suite: (at = 0) => required(host.suites[at], `suite ${at}`) }
}

describe('benchmark store', () => {
  it('starts no worker before the button, not even for a link', () => {
    const { host, store } = start()
    store.getState().openLink('?kernels=matvec&rows=4')
    store.getState().choose({ formats: ['q8_0'] })
    store.getState().setAgainstOrt(true)
    expect(host.suites).toHaveLength(0)
    expect(store.getState()).toMatchObject({ choice: { kernels: ['matvec'], decodeRows: [4], formats: ['q8_0'] }, run: { kind: 'idle' } })
  })

  it('runs the chosen cases, collects what the worker says, and ends the worker', async () => {
    const { host, store, suite } = start()
    store.getState().start()
    const { request, say, resolve } = suite()
    expect(request).toEqual({ cases: casesOf(store.getState().choice), baseline: null })
    say({ kind: 'adapter', adapter: FAKE_ADAPTER })
    const [first, second] = [required(request.cases[0], 'case'), required(request.cases[1], 'case')]
    say({ kind: 'measured', result: fakeResult(first, 0.5, null) })
    say({ kind: 'failed', failure: { ...second, error: { reason: 'wrong-result', message: 'off' } } })
    resolve({ ok: true, value: 'done' })
    await settled()
    host.advance(1_000)
    const state = store.getState()
    expect(state.run).toEqual({ kind: 'finished', caseCount: request.cases.length })
    expect(suite().terminated).toBe(true)
    expect(measuredRun(state, 'wgsl-2')).toMatchObject({
      kernelVersion: 'wgsl-2',
      adapter: FAKE_ADAPTER,
      cases: [first],
      failures: [second],
    })
  })

  it('takes the last messages, which may come after the answer, and none of an ended worker', async () => {
    const { host, store, suite } = start()
    store.getState().start()
    const { request, say, resolve } = suite()
    const entry = required(request.cases[0], 'case')
    say({ kind: 'adapter', adapter: FAKE_ADAPTER })
    resolve({ ok: true, value: 'done' })
    await settled()
    say({ kind: 'measured', result: fakeResult(entry, 0.5, 2) })
    host.advance(1_000)
    say({ kind: 'measured', result: fakeResult(entry, 0.6, 2) })
    expect(store.getState().results.map(({ ratio }) => ratio)).toEqual([2])
  })

  it('estimates the time left from the pace of the cases, not from the measuring of the adapter', () => {
    const { host, store, suite } = start()
    store.getState().start()
    const { request, say } = suite()
    const caseCount = request.cases.length
    const left = () => {
      const { run } = store.getState()
      return run.kind === 'running' ? run.left : null
    }
    say({ kind: 'progress', progress: { caseIndex: 0, caseCount, phase: 'adapter', part: 0 } })
    host.advance(30_000)
    say({ kind: 'adapter', adapter: FAKE_ADAPTER })
    say({ kind: 'progress', progress: { caseIndex: 0, caseCount, phase: 'preparing', part: 0 } })
    expect(left()).toEqual({ partDone: 0, secondsLeft: null })
    host.advance(4_000)
    say({ kind: 'progress', progress: { caseIndex: 2, caseCount, phase: 'preparing', part: 0 } })
    const { partDone, secondsLeft } = required(left(), 'a run')
    expect(secondsLeft).toBeCloseTo((4 * (1 - partDone)) / partDone, 6)
  })

  it('cancels: what was measured stays, and a worker that does not answer is ended', () => {
    const { host, store, suite } = start()
    store.getState().start()
    const { request, say } = suite()
    say({ kind: 'adapter', adapter: FAKE_ADAPTER })
    say({ kind: 'measured', result: fakeResult(required(request.cases[0], 'case'), 0.5, null) })
    store.getState().cancel()
    expect(suite().cancelled).toBe(true)
    expect(store.getState().run).toMatchObject({ kind: 'running', cancelling: true })
    host.advance(10_000)
    expect(suite().terminated).toBe(true)
    expect(store.getState()).toMatchObject({ run: { kind: 'cancelled' }, results: [{ kernel: 'matvec' }] })
    store.getState().start()
    expect(host.suites).toHaveLength(2)
    expect(store.getState().results).toEqual([])
  })

  it('shows why a run could not begin', async () => {
    const { host, store, suite } = start()
    store.getState().start()
    suite().resolve({ ok: false, error: { reason: 'no-adapter', message: 'update the graphics driver' } })
    await settled()
    host.advance(1_000)
    expect(store.getState().run).toEqual({ kind: 'failed', error: { reason: 'no-adapter', message: 'update the graphics driver' } })
  })

  it('opens a saved run, refuses what is none, and keeps the earlier one then', async () => {
    const { store } = start()
    const run = fakeRun()
    await store.getState().importFile(new File([runToJson(run)], 'laptop.json'))
    expect(store.getState().imported).toEqual({ fileName: 'laptop.json', run })
    await store.getState().importFile(new File(['{"format":"else"}'], 'other.json'))
    expect(store.getState()).toMatchObject({ imported: { fileName: 'laptop.json' }, importError: { reason: 'bad-file' } })
    await store.getState().importFile(new File(['x'.repeat(RUN_BYTES_MAX + 1)], 'large.json'))
    expect(store.getState().importError?.message).toContain('large.json is too large')
    store.getState().removeImport()
    expect(store.getState()).toMatchObject({ imported: null, importError: null })
  })

  it('opens a link as it was made', () => {
    const { store } = start()
    const choice = { ...store.getState().choice, presets: ['qwen3-8b'], promptRows: [512] }
    const parameters = encodeChoice(choice)
    parameters.set('against', 'ort')
    store.getState().openLink(`?${parameters}`)
    expect(store.getState()).toMatchObject({ choice, againstOrt: true })
  })
})

/** The runner on the process's adapter: what it measures is right and complete, and what goes wrong stays with its case. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { nodeClock, openNodeGpu, readShader } from '../../node/index.ts'
import { tuningFor } from '../../worker/index.ts'
import { KernelDevice } from '../index.ts'
import type { Baseline } from './baseline.ts'
import { measureAdapter } from './measureAdapter.ts'
import { runSuite, type SuiteRequest } from './runSuite.ts'
import type { CaseResult, SuiteAdapter, SuiteCase, SuiteEvent } from './types.ts'

let kernels: KernelDevice
let adapter: SuiteAdapter
let request: Omit<SuiteRequest, 'cases' | 'signal'>

beforeAll(async () => {
  const { device, info, description, software } = await openNodeGpu()
  kernels = new KernelDevice(device, readShader)
  adapter = await measureAdapter({ kernels, info, description, software, runtime: 'test', clock: nodeClock })
  request = { kernels, adapter, tuning: tuningFor(info, device.features), baseline: null, clock: nodeClock, onProgress: () => undefined }
})
afterAll(() => kernels.device.destroy())

const small: SuiteCase = { kernel: 'matvec', format: 'q4_1', shape: [96, 64], rows: 1 }

async function run(cases: readonly SuiteCase[], changes: Partial<SuiteRequest> = {}): Promise<SuiteEvent[]> {
  const events: SuiteEvent[] = []
  const signal = new AbortController().signal
  for await (const event of runSuite({ ...request, signal, cases, ...changes })) events.push(event)
  return events
}

const measured = (events: readonly SuiteEvent[]): CaseResult[] =>
  events.map((event) => {
    if (event.kind !== 'measured') throw new Error(`not measured: ${JSON.stringify(event)}`)
    return event.result
  })

describe('measureAdapter', () => {
  it('finds a copy bandwidth and a multiply-add rate that a machine can have', () => {
    expect(adapter.copyGbPerSecond).toBeGreaterThan(0.05)
    expect(adapter.copyGbPerSecond).toBeLessThan(1e5)
    expect(adapter.multiplyAddGflops).toBeGreaterThan(0.1)
    expect(adapter.multiplyAddGflops).toBeLessThan(1e6)
  })
})

describe('runSuite', () => {
  const cases: readonly SuiteCase[] = [
    small,
    { kernel: 'matvec', format: 'q8_0', shape: [70, 64], rows: 3 },
    { kernel: 'matmul', format: 'q4_1', shape: [70, 64], rows: 20 },
    { kernel: 'attention_decode', format: 'f32', shape: [600, 6, 2, 32], rows: 1 },
    { kernel: 'attention_decode', format: 'f16', shape: [33, 4, 4, 64], rows: 1 },
  ]

  it('checks each case against its reference and times it', async () => {
    const results = measured(await run(cases))
    expect(results.map(({ kernel, shape }) => ({ kernel, shape }))).toEqual(cases.map(({ kernel, shape }) => ({ kernel, shape })))
    for (const result of results) {
      expect(result.nmse).toBeLessThanOrEqual(result.nmseMax)
      expect(result.samples).toBeGreaterThanOrEqual(20)
      expect(result.checkedOutputs).toBe(result.outputs)
      const [low, high] = result.msQuartiles
      expect(low > 0 && low <= result.ms && result.ms <= high).toBe(true)
      expect(result.shareOfCopy).toBeCloseTo(result.gbPerSecond / adapter.copyGbPerSecond)
      expect(result).toMatchObject({ baseline: null, ratio: null, baselineReason: 'none was asked for' })
    }
  })

  it('reads the GPU’s own clock where there is one that says more than the wall’s', async () => {
    const [result] = measured(await run([{ ...small, shape: [1024, 1024] }], { adapter: { ...adapter, software: false } }))
    if (!adapter.features.includes('timestamp-query')) return expect(result?.gpuMs).toBeNull()
    const { gpuMs = null, ms = 0, gflops = 0 } = result ?? {}
    expect(gpuMs).toBeGreaterThan(0)
    expect(gpuMs).toBeLessThan(20 * ms)
    expect(gflops).toBeCloseTo((2 * 1024 * 1024) / (gpuMs ?? 0) / 1e6)
  })

  it('takes as many samples of a baseline as of ours, and the median of the pairs', async () => {
    let samples = 0
    const baseline = fakeBaseline(() => ++samples)
    const [result] = measured(await run([small], { baseline }))
    expect(result?.baseline).toMatchObject({ name: 'a library', nmse: expect.closeTo(0, 10) })
    // Two to warm up, then as many as ours; it says 1, 2, 3 … ms, so the median is that of the counted ones.
    expect(samples).toBe((result?.samples ?? 0) + 2)
    expect(result?.baseline?.ms).toBe((3 + samples) / 2)
    const [low = 0, high = 0] = result?.ratioQuartiles ?? []
    expect(low > 0 && low <= (result?.ratio ?? 0) && (result?.ratio ?? 0) <= high).toBe(true)
  })

  it('does not compare with a baseline that computes something else, nor with one that fails', async () => {
    const wrong: Baseline = fakeBaseline(() => 1, 0)
    expect(measured(await run([small], { baseline: wrong }))[0]).toMatchObject({ baseline: null, ratio: null })
    const failing: Baseline = { prepare: () => Promise.reject(new Error('no such operator')) }
    expect(measured(await run([small], { baseline: failing }))[0]?.baselineReason).toContain('no such operator')
  })

  it('tells a case that cannot be, and goes on with the others', async () => {
    const events = await run([{ ...small, rows: 9 }, small])
    expect(events.map(({ kind }) => kind)).toEqual(['failed', 'measured'])
    expect(events[0]).toMatchObject({ failure: { error: { reason: 'bad-case' } } })
  })

  it('refuses what the adapter cannot bind', async () => {
    const limits = { ...request.kernels.device.limits, maxBufferSize: 2 ** 20, maxStorageBufferBindingSize: 4096 }
    const device = new Proxy(request.kernels.device, {
      get(target, name) {
        if (name === 'limits') return limits
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const [event] = await run([small], { kernels: new KernelDevice(device, readShader) })
    expect(event).toMatchObject({ kind: 'failed', failure: { error: { reason: 'does-not-fit' } } })
  })

  it('stops at a cancel and keeps what was measured', async () => {
    const controller = new AbortController()
    const onProgress: SuiteRequest['onProgress'] = ({ caseIndex, phase }) => {
      if (caseIndex === 1 && phase === 'timing') controller.abort()
    }
    const events = await run([small, { ...small, rows: 2 }, small], { signal: controller.signal, onProgress })
    expect(events.map(({ kind }) => kind)).toEqual(['measured'])
  })
})

/** Answers `small`'s reference times `scale`. */
function fakeBaseline(sample: () => number, scale = 1): Baseline {
  return {
    async prepare(_entry, data) {
      const first = Float32Array.from(data.expected.values, (value) => scale * value)
      return {
        subject: {
          name: 'a library',
          accuracyLevel: null,
          sample: async () => sample(),
          firstRow: () => first,
          destroy: async () => undefined,
        },
      }
    },
  }
}

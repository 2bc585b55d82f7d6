import { describe, expect, it } from 'vitest'
import type { SuiteCase, SuiteProgress } from '../../kernels/suite/index.ts'
import { FAKE_ADAPTER, fakeResult } from '../testing/fakeBench.ts'
import { runLeft } from './timeLeft.ts'

const small: SuiteCase = { kernel: 'matvec', format: 'q4_1', shape: [576, 576], rows: 1 }
const large: SuiteCase = { kernel: 'matmul', format: 'q4_1', shape: [28_672, 4_096], rows: 512 }
/** A processor: the large case takes 13 s a call at best. */
const slow = { ...FAKE_ADAPTER, copyGbPerSecond: 6, multiplyAddGflops: 9 }
const at = (caseIndex: number, phase: SuiteProgress['phase'] = 'preparing', part = 0) => ({ caseIndex, caseCount: 0, phase, part })

describe('the time left of a run', () => {
  it('is the pace of what is done, where all cases cost the same', () => {
    const work = { cases: Array.from({ length: 9 }, () => small), adapter: FAKE_ADAPTER, results: [], compared: false }
    expect(runLeft(work, at(2), 4_000)).toEqual({ partDone: expect.closeTo(2 / 9, 6), secondsLeft: expect.closeTo(14, 6) })
  })

  it('knows that a large case remains', () => {
    const work = { cases: [small, small, small, large], adapter: slow, results: [], compared: false }
    // Three small ones at the pace that was guessed: 1.8 s each.
    const { partDone, secondsLeft } = runLeft(work, at(3), 3 * 1_800)
    expect(partDone).toBeLessThan(0.02)
    expect(secondsLeft).toBeGreaterThan(20 * 13)
    // Control: where the adapter is fast it is a case like the others.
    expect(runLeft({ ...work, adapter: FAKE_ADAPTER }, at(3), 3 * 1_800).partDone).toBeCloseTo(0.75, 2)
  })

  it('learns from each result what share of the roofline its kernel reaches', () => {
    const work = { cases: [large, large], adapter: slow, compared: false }
    const left = (share: number) =>
      runLeft({ ...work, cases: [small, large], results: [fakeResult(large, share, null, slow)] }, at(1), 1_800)
    expect((left(0.25).secondsLeft ?? 0) / (left(0.5).secondsLeft ?? 1)).toBeCloseTo(2, 1)
  })

  it('counts the baseline of a case that is bound by its arithmetic', () => {
    const work = { cases: [small, large], adapter: slow, results: [] }
    const left = (compared: boolean) => runLeft({ ...work, compared }, at(1), 1_800).secondsLeft ?? 0
    expect(left(true) / left(false)).toBeCloseTo(2, 1)
  })

  it('grows with the parts of a case, and says nothing of the seconds before there is a pace', () => {
    const work = { cases: [small, small, small], adapter: FAKE_ADAPTER, results: [], compared: false }
    expect(runLeft(work, at(0), 500)).toEqual({ partDone: 0, secondsLeft: null })
    expect(runLeft(work, at(0, 'checking'), 500).secondsLeft).toBeNull()
    const parts = [at(0, 'timing', 0.3), at(0, 'timing', 0.9), at(1), at(1, 'warming-up'), at(1, 'timing', 0.1)]
    const found = parts.map((progress) => runLeft(work, progress, 2_000))
    expect(found.map(({ partDone }) => partDone)).toEqual(found.map(({ partDone }) => partDone).toSorted((a, b) => a - b))
    for (const { secondsLeft } of found) expect(secondsLeft).toBeGreaterThan(0)
    expect(runLeft(work, at(2, 'timing', 1), 6_000)).toEqual({ partDone: 1, secondsLeft: 0 })
  })
})

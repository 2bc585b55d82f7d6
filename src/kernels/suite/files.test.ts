import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareRuns, parseRun, RUN_BYTES_MAX, runToCsv, runToJson } from './files.ts'
import type { CaseResult, SuiteRun } from './types.ts'

const result: CaseResult = {
  kernel: 'matvec',
  format: 'q4_1',
  shape: [1536, 576],
  rows: 1,
  ms: 2,
  msQuartiles: [1.5, 2.5],
  gpuMs: null,
  samples: 20,
  calls: 4,
  gbPerSecond: 0.3,
  gflops: 0.9,
  shareOfCopy: 0.2,
  shareOfMultiplyAdd: 0.1,
  nmse: 1e-13,
  nmseMax: 1e-10,
  checkedOutputs: 1536,
  outputs: 1536,
  baseline: { name: 'library 1, "quoted"', ms: 4, msQuartiles: [3, 5], accuracyLevel: 0, nmse: 2e-13 },
  baselineReason: null,
  ratio: 2,
  ratioQuartiles: [1.8, 2.2],
}

const alone: CaseResult = { ...result, rows: 8, baseline: null, baselineReason: 'none, was asked for', ratio: null, ratioQuartiles: null }

const run: SuiteRun = {
  format: 'tabswarm-bench-1',
  adapter: {
    description: 'an adapter',
    vendor: 'v',
    architecture: 'a',
    software: true,
    runtime: 'node 20',
    features: ['subgroups'],
    limits: {
      maxBufferSize: 1,
      maxStorageBufferBindingSize: 1,
      maxComputeInvocationsPerWorkgroup: 256,
      maxComputeWorkgroupStorageSize: 16_384,
    },
    copyGbPerSecond: 1.5,
    multiplyAddGflops: 20,
  },
  kernelVersion: '1',
  cases: [result, alone],
  failures: [{ kernel: 'matmul', format: 'q4_k', shape: [64, 256], rows: 4, error: { reason: 'wrong-result', message: 'off' } }],
}

describe('a file', () => {
  it('reads what the terminal prints as what the page saves', () => {
    const printed = { ...run, adapter: run.adapter.description, device: run.adapter }
    expect(parseRun(JSON.stringify(printed))).toEqual(run)
  })

  it('holds a run whole', () => {
    expect(parseRun(runToJson(run))).toEqual(run)
  })

  it('says in words what is wrong with it, and where', () => {
    expect(() => parseRun('{')).toThrow('not JSON')
    expect(() => parseRun('{}')).toThrow('no exported run of this suite')
    const broken = { ...run, cases: [{ ...result, ms: 'fast' }] }
    expect(() => parseRun(JSON.stringify(broken))).toThrow('cases.0.ms')
    expect(() => parseRun(JSON.stringify({ ...run, cases: [{ ...result, ms: -1 }] }))).toThrow('cases.0.ms')
  })

  it('is bounded: bytes, cases, lengths of texts', () => {
    expect(() => parseRun(' '.repeat(RUN_BYTES_MAX + 1))).toThrow('at most')
    const named = (name: string) => JSON.stringify({ ...run, adapter: { ...run.adapter, description: name } })
    expect(() => parseRun(named('x'.repeat(500)))).not.toThrow()
    expect(() => parseRun(named('x'.repeat(501)))).toThrow('adapter.description')
  })

  it('drops what it does not know, and never fails in any other way', () => {
    expect(parseRun(JSON.stringify({ ...run, script: 'alert(1)' }))).toEqual(run)
    fc.assert(
      fc.property(fc.json(), (json) => {
        expect(() => parseRun(json)).toThrow(expect.objectContaining({ reason: 'bad-file' }))
      }),
    )
  })
})

describe('runToCsv', () => {
  it('quotes what needs it and leaves cells without a value empty', () => {
    const [header, first, second] = runToCsv(run).split('\r\n')
    expect(header).toContain('kernel,format,shape,rows,ms')
    expect(first).toContain('matvec,q4_1,1536x576,1,2,1.5,2.5,,0.3')
    expect(first).toContain('"library 1, ""quoted"""')
    expect(second).toContain('"none, was asked for",,,')
  })
})

describe('compareRuns', () => {
  it('pairs equal cases, names the others', () => {
    const faster = { ...result, ms: 1 }
    const { both, onlyBefore, onlyAfter } = compareRuns(run, { ...run, cases: [{ ...alone, rows: 4 }, faster] })
    expect(both).toEqual([{ before: result, after: faster, speedup: 2 }])
    expect(onlyBefore).toEqual([alone])
    expect(onlyAfter.map(({ rows }) => rows)).toEqual([4])
  })
})

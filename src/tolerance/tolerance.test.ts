/** From recorded sessions to a tolerance, with two engines of different arithmetic over a small random model. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadRequest, model, tokens } from '../../test/support/engineRuns.ts'
import { createTestSimdEngine } from '../../test/support/simdEngine.ts'
import { cheatingEngine } from '../cheats/index.ts'
import { DATA_CHEATS, parseDistanceTable } from '../coordinator/verification/index.ts'
import type { RowEncoding } from '../protocol/index.ts'
import { required } from '../shared/index.ts'
import { createCpuEngine, type Engine } from '../worker/index.ts'
import { compareOutputs } from './distances.ts'
import { type EngineRows, measureEngine, record } from './measureEngine.ts'
import { cutSpans, type RecordedSession } from './recording.ts'
import { replay } from './replay.ts'
import { distanceTable, distanceTableText } from './table.ts'
import { tailBound } from './tail.ts'
import { type Measured, type ToleranceReport, toleranceReport } from './tolerance.ts'

const { config } = model.manifest
const { kvPositions: _, ...load } = loadRequest(model, { firstLayer: 0, endLayer: config.layerCount })
const spans = cutSpans(config, 2)
const places = { spans, width: config.width, sliceRows: 8 }
const ANSWER = 9
const PROMPTS = [11, 20]
const encodings: readonly RowEncoding[] = ['f16e', 'i8b']

let sessions: readonly RecordedSession[]
let measured: Measured
let report: ToleranceReport
const engines: Engine[] = []

beforeAll(async () => {
  const open = (engine: Engine) => {
    engines.push(engine)
    return engine
  }
  const simd = open(await createTestSimdEngine())
  const requests = encodings.flatMap((encoding) =>
    PROMPTS.map((count, index) => ({ promptIds: [...tokens(count, index)], answerTokens: ANSWER, encoding, endIds: [] })),
  )
  sessions = await record(simd, load, spans, requests)
  let draw = 0
  const all = sessions.map((_, index) => index)
  const request = { spans, sessions, honestSessions: all, random: () => (draw++ * 0.618_033_988_749) % 1, onProgress: () => undefined }
  const rows: EngineRows[] = [
    await measureEngine(simd, load, { ...request, cheatSessions: all }),
    await measureEngine(open(createCpuEngine({ nowMs: () => 0 })), load, { ...request, cheatSessions: [] }),
  ]
  measured = { places, sessions, engines: rows }
  report = toleranceReport(measured)
})
afterAll(() => {
  for (const engine of engines) engine.dispose()
})

describe('a recording', () => {
  it('has a row into each later span for every position, and the last token unsubmitted', () => {
    for (const [index, { tokenIds, promptTokens, rows, encoding }] of sessions.entries()) {
      expect(promptTokens).toBe(PROMPTS[index % PROMPTS.length])
      expect(tokenIds).toHaveLength(promptTokens + ANSWER - 1)
      expect([...rows.keys()]).toEqual([2])
      expect(encoding).toBe(encodings[index < PROMPTS.length ? 0 : 1])
    }
  })

  it('ends behind a token that ends answers', async () => {
    const [engine] = engines
    const first = required(sessions[0]?.tokenIds[PROMPTS[0] ?? 0], 'the first answer token')
    const request = { promptIds: [...tokens(PROMPTS[0] ?? 0, 0)], answerTokens: ANSWER, encoding: 'f16e', endIds: [first] } as const
    const [session] = await record(required(engine, 'an engine'), load, spans, [request])
    expect(session?.tokenIds).toHaveLength(PROMPTS[0] ?? 0)
  })

  it('is replayed to the bit by the engine that made it, whatever the passes', () => {
    const simd = required(measured.engines[0], 'the recorder')
    for (const [index, session] of sessions.entries()) {
      const [first] = required(simd.honest.get(index), 'its outputs')
      expect(first?.kind === 'rows' && first.bytes).toEqual(session.rows.get(2))
    }
    expect(report.again).toMatchObject({ most: 0 })
    expect(report.again.rows).toBe(report.again.equalRows)
  })
})

describe('a cheat that only sends something else', () => {
  it('needs no second computation: over what was sent before, and over the engine itself, it sends the same', async () => {
    const [simd] = engines
    const honest = required(measured.engines[0], 'simd')
    const found = required(
      honest.cheats.find(({ cheat }) => cheat === 'repeat-row'),
      'repeat-row',
    )
    const cheater = await cheatingEngine('repeat-row', required(simd, 'simd'), {
      random: () => 0,
      openAnother: async () => createCpuEngine({ nowMs: () => 0 }),
    })
    await cheater.load({ ...load, kvPositions: 512 })
    for (const [index, session] of sessions.entries())
      for (const [at, span] of spans.entries())
        expect(await replay(cheater, config, session, span, 64)).toEqual(found.outputs.get(index)?.[at])
  })
})

describe('a report', () => {
  it('tells each pair, encoding and boundary, and every row is in one of them', () => {
    const parts = report.honest.filter(({ boundary }) => boundary !== null)
    expect(parts.map(({ boundary }) => `${boundary?.encoding} ${boundary?.after}`)).toEqual([
      'f16e layer 1',
      'f16e results',
      'i8b layer 1',
      'i8b results',
    ])
    expect(parts.reduce((sum, { rows }) => sum + rows, 0)).toBe(report.all.rows)
    for (const { median, p99, p999, most } of report.honest) {
      expect(most).toBeGreaterThan(0)
      expect([median, p99, p999, most]).toEqual([median, p99, p999, most].toSorted((a, b) => a - b))
    }
  })

  it('has a tolerance between honest rows and every cheat, none of whose slices pass', () => {
    expect(report.all.most).toBeLessThan(report.tolerance)
    expect(report.audits.falsePositives).toBe(0)
    expect(report.tails?.map(({ encoding }) => encoding)).toEqual(encodings)
    expect(report.margin.least).toBeGreaterThan(report.tolerance)
    expect(report.cheats.map(({ missed }) => missed)).toEqual([0, 0, 0, 0, 0, 0])
    for (const { least, p1, median } of report.cheats) expect([least, p1, median]).toEqual([least, p1, median].toSorted((a, b) => a - b))
  })

  it('leaves out slices that a cheat has computed after all', () => {
    const lazy = { ...measured, places: { ...places, sliceRows: 1 } }
    const slicesOf = (cheat: string) => toleranceReport(lazy).cheats.find((entry) => entry.cheat === cheat)
    const rows = required(slicesOf('noise'), 'noise').slices
    expect(slicesOf('lazy')?.slices).toBeLessThan(rows / 6)
    expect(slicesOf('lazy')?.slices).toBeGreaterThan(rows / 10)
    expect(slicesOf('lazy')?.missed).toBe(0)
  })

  it('says so where no tolerance lies between: a cheat that is nearer than honest engines are', () => {
    const [simd, cpu] = measured.engines.map((rows) => required(rows, 'rows'))
    const [one, other] = [required(simd, 'simd'), required(cpu, 'cpu')]
    // Who sends another honest engine's rows is as near as can be.
    const near = { ...one, cheats: [{ cheat: 'noise' as const, outputs: other.honest }] }
    const { tails, margin } = toleranceReport({ ...measured, engines: [near, other] })
    expect(tails).toBeNull()
    expect(margin.overMost).toBeLessThan(1)
  })

  it('makes a table that verification reads, of the engines that tabs run', () => {
    const table = distanceTable(measured, report, 'a test')
    expect(parseDistanceTable(distanceTableText(table))).toEqual({ ok: true, value: table })
    expect(new Set(table.cheats.map(({ cheat }) => cheat))).toEqual(new Set(DATA_CHEATS))
    const own = required(measured.engines[0], 'simd').numericClass
    expect(table.honest.map(({ classes }) => classes)).toEqual([[own, own]])
    expect(table.tolerance.default).toBe(report.tolerance)
  })
})

describe('slices', () => {
  it('are told by their worst row; what is left at the end belongs to the last', () => {
    const [simd, cpu] = measured.engines.map((rows) => required(rows, 'rows').honest)
    const compared = compareOutputs({ ...places, sliceRows: 9 }, sessions, required(simd, 'simd'), required(cpu, 'cpu'))
    const first = required(compared[0], 'a comparison')
    expect(first.rows).toHaveLength(11 + ANSWER - 1)
    expect(first.slices).toEqual([Math.max(...first.rows.slice(0, 9)), Math.max(...first.rows.slice(9))])
  })
})

describe('tailBound', () => {
  // P(x > d) = d^−3 from 1 on.
  const pareto = Array.from({ length: 5_000 }, (_, index) => ((index + 0.5) / 5_000) ** (-1 / 3))

  it('takes a tail’s index from the sample, and stays on the safe side of it', () => {
    const { index, perRowByTail } = tailBound(pareto, 100)
    expect(index).toBeGreaterThan(2)
    expect(index).toBeLessThan(3)
    expect(perRowByTail).toBeGreaterThan(100 ** -3)
    expect(perRowByTail).toBeLessThan(100 * 100 ** -3)
  })

  it('is three of so many rows where the tail’s form is not believed', () => {
    expect(tailBound(pareto, 100).perRowByCount).toBe(3 / 5_000)
  })

  it('refuses a threshold that a row has passed', () => {
    expect(() => tailBound(pareto, 2)).toThrow(/under 2/)
  })
})

import { describe, expect, it } from 'vitest'
import { type Condition, type Run, type Runs, type SwarmRow, swarmRow } from './swarmRows.ts'

const subject = { tabs: 3, task: 'story', engine: 'wasm', adapter: 'CPU', modelMs: 100 } as const

function run(tokensPerSecond: number): Run {
  const parts = { driverMs: 1, transportMs: 8, pageMs: 0.5, portMs: 2, stageMs: 4 }
  return {
    tokensPerSecond,
    timeToFirstTokenMs: 900,
    computeMsPerLap: 20,
    idealTokensPerSecond: 12,
    overheadPercent: 20,
    wireBytesPerToken: 2_500,
    hopFixedMs: 2,
    parts,
    modelMs: null,
  }
}

const condition: Condition = { latencyMs: 35, sessions: 1, speculation: 'off' }
const crowd: Condition = { ...condition, sessions: 10 }
const drafting: Condition = { ...condition, speculation: 'on' }

/** Rounds in which the machine was faster and faster. */
const runs: Runs = new Map([
  [condition, [run(2), run(4), run(6)]],
  [crowd, [run(24), run(27), run(45)]],
  [drafting, [run(4), run(6), run(12)]],
])

function rowOf(of: Condition, modelMs: number | null = subject.modelMs): SwarmRow {
  return swarmRow({ ...subject, modelMs }, of, runs)
}

describe('a row', () => {
  it('has the promised fields as JSON', () => {
    const row: unknown = JSON.parse(JSON.stringify(rowOf(condition)))
    expect(row).toMatchObject({
      tabs: 3,
      latencyMs: 35,
      sessions: 1,
      speculation: 'off',
      tokensPerSecond: 4,
      timeToFirstTokenMs: 900,
      computeMsPerLap: 20,
      idealTokensPerSecond: 12,
      overheadPercent: 20,
      wireBytesPerToken: 2_500,
      hopFixedMs: 2,
    })
  })

  it('tells where the time goes by the hop: three stages are four hops', () => {
    expect(rowOf(condition).hopPartsMs).toEqual({ driver: 0.25, transport: 2, page: 0.125, port: 0.5, stage: 1 })
  })

  it('[law] compares several sessions with one of the same run: 10 at 4 tokens/s, or 3 stages that take 100 ms', () => {
    expect(rowOf(crowd)).toMatchObject({ tokenMs: 250, modelMs: 100, lawTokensPerSecond: 30, lawRatio: 0.9 })
    expect(rowOf(crowd, null)).toMatchObject({ tokenMs: 250, lawTokensPerSecond: null, lawRatio: null })
    expect(rowOf(condition)).toMatchObject({ tokenMs: null, modelMs: null, lawTokensPerSecond: null, lawRatio: null })
  })

  it('compares drafts with none round by round, so that a faster machine is not taken for drafts', () => {
    expect(rowOf(drafting).speculationRatio).toBe(2)
    expect(rowOf(condition).speculationRatio).toBeNull()
  })
})

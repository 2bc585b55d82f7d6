/**
 * Planning while peers come and go: nobody's layers stop being served but by a loss, and a loss moves hardly anybody. Prints what
 * it costs; CHURN_PEERS=1000 makes it the measurement of docs/benchmarks/placement-5.md.
 */

import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { describe, expect, it } from 'vitest'
import { loadScenario } from '../../../src/sim/scenario.ts'
import { Churn, type Cost } from '../../sim/churn.ts'

const PEERS = Number(process.env.CHURN_PEERS ?? 120)
const CHANGES = Number(process.env.CHURN_CHANGES ?? 60)

function seeded(seed: number): () => number {
  const generator = xoroshiro128plus(seed)
  return () => (generator.next() >>> 0) / 2 ** 32
}

/** Of this process: on a busy machine the wall clock tells more of the others. */
function computedMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

function figures(costs: Record<string, Cost>): string {
  return Object.entries(costs)
    .map(
      ([name, { count, ms, mostMs }]) => `${name} ${(ms / Math.max(1, count)).toFixed(2)} ms (most ${mostMs.toFixed(1)}, ${count} times)`,
    )
    .join(', ')
}

describe('peers that come and go', () => {
  const random = seeded(7)
  const three = loadScenario('three-models', 'many').models
  const one = loadScenario('uniform', 'few').models
  const crowds = [
    {
      name: 'of three kinds',
      models: three,
      peers: PEERS,
      pledgeOf: (index: number) => ({
        macsPerSecond: [5e10, 2e11, 1e12][index % 3] ?? 0,
        memoryBytes: [5e8, 7e8, 15e8][index % 3] ?? 0,
      }),
    },
    {
      name: 'all different',
      models: three,
      peers: PEERS,
      pledgeOf: () => ({ macsPerSecond: Math.round(3e10 * 30 ** random()), memoryBytes: Math.round(2e8 + 15e8 * random()) }),
    },
    { name: 'just enough', models: one, peers: 5, pledgeOf: () => ({ macsPerSecond: 9e10, memoryBytes: 6e8 }) },
  ]

  it.each(crowds)('$name: models stay served, and a loss moves only who fills the hole', ({ name, models, peers, pledgeOf }) => {
    const churn = new Churn({ models, pledgeOf, random: seeded(11), clockMs: computedMs })
    const served = new Set<string>()
    /** A model that was served is served still. */
    const check = () => {
      for (const { swarm } of models) {
        const whole = churn.missing(swarm.modelId).length === 0
        if (served.has(swarm.modelId)) expect(whole, `${swarm.modelId} with ${churn.size} peers`).toBe(true)
        if (whole) served.add(swarm.modelId)
      }
    }
    while (churn.size < peers) {
      churn.join()
      check()
      if (churn.size % 5 > 0) continue
      churn.wait()
      check()
    }
    churn.wait(100)
    check()
    expect([...served].sort()).toEqual(models.map(({ swarm }) => swarm.modelId).sort())
    let leaveMoves = 0
    const before = churn.moves
    for (let change = 0; change < CHANGES; change++) {
      const movesBefore = churn.moves
      const wasMissedByNobody = churn.leave()
      const moved = churn.moves - movesBefore
      leaveMoves += moved
      expect(moved).toBeLessThanOrEqual(wasMissedByNobody ? 0 : 1)
      if (wasMissedByNobody) check()
      else for (const { swarm } of models) if (churn.missing(swarm.modelId).length > 0) served.delete(swarm.modelId)
      churn.wait()
      churn.join()
      churn.wait()
      check()
    }
    expect(served.size).toBe(models.length)
    const { join, leave, serving, tick } = churn.costs
    const moves = churn.moves - before
    console.log(
      `${name}, ${peers} peers: ${figures({ join, leave, serving, tick })}; ${CHANGES} losses moved ${leaveMoves} peers, balance ${moves - leaveMoves}`,
    )
  })
})

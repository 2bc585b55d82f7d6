/** What sessions got against the most they could: never more, in whatever scenario. */

import { describe, expect, it } from 'vitest'
import { lapsServedBy, mostLaps } from '../../../src/sim/bound.ts'
import { longRun } from '../../../src/sim/presets.ts'
import { loadScenario, scenarioNames } from '../../../src/sim/scenario.ts'
import { simulate } from '../../../src/sim/simulate.ts'
import { throughputOf } from '../../../src/sim/throughput.ts'

const drain = (callback: () => void) => setImmediate(callback)

describe('shares of the bound', { timeout: 60_000 }, () => {
  it.each(scenarioNames)('are at most 1: %s', async (scenario) => {
    const options = longRun({ scenario, peers: 40, hours: 1, seed: 777, stagesMin: 2, drain })
    const measures = await simulate(options)
    expect(measures.broken).toBeNull()
    const throughput = throughputOf(measures, options)
    if (throughput === null) throw new Error('nobody was answered')
    const { placementShare, sessionShare, lapsPerSecond, boundLapsPerSecond } = throughput
    expect(placementShare).toBeLessThanOrEqual(1)
    expect(placementShare).toBeGreaterThan(0.8)
    expect(sessionShare).toBeLessThanOrEqual(1)
    expect(sessionShare).toBeGreaterThan(0.2)
    expect(lapsPerSecond / boundLapsPerSecond).toBeCloseTo(sessionShare, 2)
  })

  it('are at most 1 where there are fewer tabs than a chain should have stages', async () => {
    const options = longRun({ scenario: 'uniform', peers: 9, hours: 0.3, seed: 5, stagesMin: 8, drain })
    const throughput = throughputOf(await simulate(options), options)
    expect(throughput?.sessionShare).toBeLessThanOrEqual(1)
    expect(throughput?.sessionShare).toBeGreaterThan(0.8)
  })
})

describe('the most laps', () => {
  const laps = { stagesMin: 2, hopSeconds: 0.002, rowShare: 1 }
  const uniform = loadScenario('uniform', 'few')
  const { swarm } = uniform.models[0] ?? {}
  if (swarm === undefined) throw new Error('a scenario without a model')
  const { layerCount, macsPerLayer, headMacs } = swarm.costs
  const tokenSeconds = (layerCount * macsPerLayer + headMacs) / 9e10
  const whole = [{ group: 0, model: 0, span: { firstLayer: 0, endLayer: layerCount }, peers: 5 }]

  it('are the time of a token, with a hop for each stage there has to be', () => {
    const flows = { scenario: uniform, sessions: [new Map([['one', 1]])] }
    const seconds = (stages: number) => tokenSeconds + stages * (0.01 + 0.002) + 0.01
    expect(lapsServedBy(flows, whole, { ...laps, stagesMin: 1 })).toBeCloseTo(1 / seconds(1), 6)
    expect(lapsServedBy(flows, whole, laps)).toBeCloseTo(1 / seconds(2), 6)
    // Three tabs are needed to hold the model.
    expect(mostLaps(flows, laps)).toBeCloseTo(1 / seconds(3), 1)
  })

  it('are of all models together, so that one that is quick may make up for one that is not', () => {
    const three = loadScenario('three-models', 'many')
    const of = (...sessions: number[]) =>
      mostLaps({ scenario: three, sessions: sessions.map((count) => new Map([['one', count]])) }, { ...laps, rowShare: 0.1 })
    const alone = [of(1, 0, 0), of(0, 1, 0), of(0, 0, 1)]
    expect(of(1, 1, 1)).toBeCloseTo(
      alone.reduce((sum, one) => sum + one),
      3,
    )
    expect(Math.max(...alone)).toBeGreaterThan(1.1 * Math.min(...alone))
  })

  it('are what peers can compute, where sessions are many', () => {
    const flows = { scenario: uniform, sessions: [new Map([['one', 1e5]])] }
    expect(lapsServedBy(flows, whole, laps)).toBeCloseTo(5 / tokenSeconds, 3)
    expect(lapsServedBy(flows, whole, { ...laps, rowShare: 0.1 })).toBeCloseTo(50 / tokenSeconds, 2)
  })
})

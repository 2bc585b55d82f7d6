/** Simulated swarms: invariants hold, equal seeds give equal runs, and what breaks a rule is caught. More runs with `npm run test:long`. */

import { describe, expect, it } from 'vitest'
import { CoordinatorCore, type CoreEffect, type CoreOptions } from '../../../src/coordinator/core/index.ts'
import type { PeerId } from '../../../src/shared/index.ts'
import { ModelEngine, type ModelEngineOptions } from '../../../src/sim/modelEngine.ts'
import { longRun, longSessionsRun, shortRun } from '../../../src/sim/presets.ts'
import { scenarioNames } from '../../../src/sim/scenario.ts'
import { type SimulationOptions, simulate } from '../../../src/sim/simulate.ts'

const drain = (callback: () => void) => {
  void Promise.resolve().then(() => process.nextTick(callback))
}

/** Each takes a tenth of a second on a quiet machine. */
const RUNS = process.env.TABSWARM_LONG === '1' ? 600 : scenarioNames.length

const short = (seed: number) => shortRun({ seed, scenario: null, stagesMin: 2, drain })

/** The first broken invariant of so many seeds, with some sabotage. */
async function firstBroken(sabotage: SimulationOptions['sabotage'] & object, seeds: number): Promise<string | null> {
  for (let seed = 0; seed < seeds; seed++) {
    const { broken } = await simulate({ ...short(seed), sabotage })
    if (broken !== null) return broken.kind
  }
  return null
}

/** Forgets nothing when it is told to. */
class StubbornEngine extends ModelEngine {
  override truncate(): void {}
}

/** Forgets one position more than it is told to. */
class ForgetfulEngine extends ModelEngine {
  override truncate(slot: number, length: number): void {
    super.truncate(slot, Math.max(0, length - 1))
  }
}

/** Never gives a slot back. */
class GreedyEngine extends ModelEngine {
  override close(): void {}
}

/** Puts who is gone into every later grant, as if nobody had told. */
class BlindCore extends CoordinatorCore {
  #gone: PeerId | null = null

  override handle(...args: Parameters<CoordinatorCore['handle']>): CoreEffect[] {
    const [event] = args
    if (event.kind === 'disconnected') this.#gone = event.peerId
    return super.handle(...args).map((effect) => {
      const gone = this.#gone
      if (effect.kind !== 'admit' || gone === null) return effect
      const stages = effect.grant.stages.map((stage, index) => (index === 0 ? { ...stage, peerId: gone } : stage))
      return { ...effect, grant: { ...effect.grant, stages } }
    })
  }
}

/** Loses what it sends: one kind of message, or its grants. */
function losingCore(lost: (effect: CoreEffect) => boolean): typeof CoordinatorCore {
  return class extends CoordinatorCore {
    override handle(...args: Parameters<CoordinatorCore['handle']>): CoreEffect[] {
      return super.handle(...args).filter((effect) => !lost(effect))
    }
  }
}

describe('a simulated swarm', { timeout: 600_000 }, () => {
  it(`keeps its invariants in ${RUNS} runs of at least 8 tabs, 50 sessions served to an end, and 20 faults`, async () => {
    for (let seed = 1; seed <= RUNS; seed++) {
      const measures = await simulate(short(seed))
      expect(measures.broken, `tabswarm sim --runs 1 --seed ${seed}`).toBeNull()
      expect(measures.counts.sessions).toBeGreaterThanOrEqual(50)
      expect(measures.counts.faults).toBeGreaterThanOrEqual(20)
      expect(measures.counts.peers).toBeGreaterThanOrEqual(8)
    }
  })

  it('lets nobody leave without whom a run proves nothing (seed 570)', async () => {
    const { broken, counts } = await simulate(short(570))
    expect(broken).toBeNull()
    expect(counts.peers).toBe(8)
  })

  it(`[V9] [V10] proves what was done in ${RUNS / 2} runs of sessions over checkpoints, and nobody waits for a receipt that does not come`, async () => {
    for (let seed = 1; seed <= RUNS / 2; seed++) {
      const measures = await simulate(longSessionsRun({ seed, stagesMin: 2 + (seed % 3), drain }))
      expect(measures.broken, `seed ${seed}`).toBeNull()
      const { receipts, sessions, undisturbed, workPaid, workSubmitted } = measures.receipts
      expect(receipts).toBeGreaterThan(5 * sessions)
      expect(undisturbed).toBeGreaterThan(0)
      expect(workPaid).toBeGreaterThan(0.9 * workSubmitted)
    }
  })

  it('answers what is asked, though tabs go in mid-answer', async () => {
    const measures = await simulate(short(scenarioNames.indexOf('uniform') + scenarioNames.length))
    const { answered, asked, repairs } = measures.summary()
    expect(answered).toBeGreaterThan(0.9 * asked)
    expect(repairs.count).toBeGreaterThan(0)
  })

  it('is the same for the same seed, and another for another', async () => {
    const run = async (seed: number) => {
      const options = longRun({ scenario: 'mixed-gpus', peers: 40, hours: 0.25, seed, stagesMin: 2, drain })
      const measures = await simulate({ ...options, sessions: 12, leaves: 10, faults: 12, answer: { least: 10, most: 30 } })
      return JSON.stringify([measures.summary(), measures.held, measures.broken])
    }
    const first = await run(7)
    expect(await run(7)).toBe(first)
    expect(await run(8)).not.toBe(first)
  })
})

describe('an invariant breaks', { timeout: 600_000 }, () => {
  const engine = (make: typeof ModelEngine) => ({ makeEngine: (options: ModelEngineOptions) => new make(options) })
  const core = (make: typeof CoordinatorCore) => ({ makeCore: (options: CoreOptions) => new make(options) })

  it('when an engine ignores truncations: rows come to the wrong position', async () => {
    expect(await firstBroken(engine(StubbornEngine), 6)).toBe('positions')
  })

  it('when an engine forgets too much', async () => {
    expect(await firstBroken(engine(ForgetfulEngine), 6)).toBe('positions')
  })

  it('when slots are not given back', async () => {
    // Whoever has no room any more refuses.
    expect(['left-behind', 'unjustified-error']).toContain(await firstBroken(engine(GreedyEngine), 6))
  })

  it('when the coordinator grants somebody who is gone', async () => {
    expect(await firstBroken(core(BlindCore), 6)).toBe('bad-grant')
  })

  it('when requests are not answered, though nothing has happened', async () => {
    const lost = losingCore(({ kind }) => kind === 'admit')
    const { broken } = await simulate({ ...short(0), sessions: 1, leaves: 0, faults: 0, sabotage: core(lost) })
    expect(broken?.kind).toBe('unjustified-error')
  })

  it('when a run has too few sessions, faults or tabs to prove anything', async () => {
    const { broken } = await simulate({ ...short(0), sessions: 40, crowdSize: 0 })
    expect(broken?.kind).toBe('too-little')
    expect(broken?.what).toContain('"sessions":50')
  })

  it('when nobody is told to load what is missing', async () => {
    const lost = losingCore((effect) => effect.kind === 'send' && effect.message.type === 'assign')
    const quiet = { ...short(0), durationMs: 900_000, sessions: 0, leaves: 0, faults: 0 }
    const { broken } = await simulate({ ...quiet, sabotage: core(lost) })
    expect(broken?.kind).toBe('uncovered')
  })
})

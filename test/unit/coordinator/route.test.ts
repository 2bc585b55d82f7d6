/** The chain of one session: cheapest by passes, queues and ways; with stages kept; against trying every chain there is. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Candidate, chooseChain, type RouteOptions } from '../../../src/coordinator/core/route.ts'
import type { Span } from '../../../src/model/index.ts'
import { peerId } from './world.ts'

const LAYERS = 12
const DRIVER = peerId(99)

function candidate(index: number, firstLayer: number, endLayer: number, rest: Partial<Candidate> = {}): Candidate {
  const defaults = { msPerLayer: 1, headMs: 2, sessions: 0, kvShare: 0, numericClass: 'a', lastResort: false }
  return { peerId: peerId(index), span: { firstLayer, endLayer }, ...defaults, ...rest }
}

function route(candidates: readonly Candidate[], options: Partial<RouteOptions> = {}): [number, number, number][] | null {
  const stages = chooseChain(LAYERS, candidates, { stagesMin: 1, driver: DRIVER, rttMs: () => 10, ...options })
  return stages?.map(({ peerId: id, span }) => [Number.parseInt(id, 16), span.firstLayer, span.endLayer]) ?? null
}

describe('chooseChain', () => {
  it('takes the faster of two, until its queue makes it the slower', () => {
    const chosen = (sessions: number) => route([candidate(1, 0, 12, { sessions }), candidate(2, 0, 12, { msPerLayer: 3, headMs: 6 })])
    expect([0, 1, 2, 3].map((sessions) => chosen(sessions)?.[0]?.[0])).toEqual([1, 1, 1, 2])
  })

  it('spreads sessions over peers as their speeds are', () => {
    const open = [0, 0, 0]
    const msPerLayer = [1, 2, 10]
    for (let session = 0; session < 160; session++) {
      const peers = open.map((sessions, index) =>
        candidate(index, 0, 12, { sessions, msPerLayer: msPerLayer[index] ?? 1, headMs: 2 * (msPerLayer[index] ?? 1) }),
      )
      const [first] = route(peers) ?? []
      open[first?.[0] ?? -1] = (open[first?.[0] ?? -1] ?? 0) + 1
    }
    expect(open).toEqual([100, 50, 10])
  })

  it('stays in the region of the driver, and of the stage before', () => {
    const far = (index: number) => index % 2 === 0
    const rttMs = (a: string, b: string) => (far(Number.parseInt(a, 16)) === far(Number.parseInt(b, 16)) ? 5 : 100)
    const peers = [1, 2, 3, 4].map((index) => candidate(index, index < 3 ? 0 : 6, index < 3 ? 6 : 12))
    expect(route(peers, { rttMs })).toEqual([
      [1, 0, 6],
      [3, 6, 12],
    ])
    expect(route(peers, { rttMs, driver: peerId(98) })).toEqual([
      [2, 0, 6],
      [4, 6, 12],
    ])
  })

  it('leaves the room for long sessions where it is', () => {
    expect(route([candidate(1, 0, 12, { kvShare: 1 }), candidate(2, 0, 12, { kvShare: 0.25 })])).toEqual([[2, 0, 12]])
  })

  it('divides layers that two peers hold, where more stages are asked for', () => {
    expect(route([candidate(1, 0, 12), candidate(2, 0, 12)], { stagesMin: 2 })).toHaveLength(2)
    expect(route([candidate(1, 0, 12)], { stagesMin: 2 })).toEqual([[1, 0, 12]])
  })

  it('says when layers are missing', () => {
    expect(route([candidate(1, 0, 6), candidate(2, 7, 12)])).toBe(null)
    expect(route([])).toBe(null)
  })

  it('finds a chain among many peers of many spans', () => {
    const peers = Array.from({ length: 1_000 }, (_, index) => candidate(index, index % 10, Math.min(12, (index % 10) + 2 + (index % 3))))
    const stages = route(peers, { stagesMin: 4 })
    expect(stages?.[0]?.[1]).toBe(0)
    expect(stages?.at(-1)?.[2]).toBe(12)
  })
})

describe('a chain that keeps stages', () => {
  const keep = (...stages: [number, number, number][]) => ({
    keep: stages.map(([index, firstLayer, endLayer]) => ({ peerId: peerId(index), span: { firstLayer, endLayer } })),
  })

  it('fills the hole of a lost stage, with exactly the layers that are missing', () => {
    expect(route([candidate(5, 0, 12), candidate(6, 3, 9)], keep([1, 0, 4], [3, 8, 12]))?.[1]?.slice(1)).toEqual([4, 8])
    expect(route([candidate(5, 0, 4)], keep([2, 4, 8], [3, 8, 12]))).toEqual([
      [5, 0, 4],
      [2, 4, 8],
      [3, 8, 12],
    ])
  })

  it('fills several holes, each peer once, with more than one stage where no peer has all the layers', () => {
    expect(route([candidate(5, 0, 4), candidate(6, 8, 10), candidate(7, 10, 12)], keep([2, 4, 8]))).toEqual([
      [5, 0, 4],
      [2, 4, 8],
      [6, 8, 10],
      [7, 10, 12],
    ])
    expect(route([candidate(5, 0, 12)], keep([2, 4, 8]))).toBe(null)
  })

  it('asks no kept peer to fill a hole as well', () => {
    expect(route([candidate(1, 0, 12), candidate(2, 0, 12)], keep([1, 0, 4]))).toEqual([
      [1, 0, 4],
      [2, 4, 12],
    ])
  })

  it('prefers engines of the class that was lost, however busy, and takes others where there are none', () => {
    const lost = [{ span: { firstLayer: 4, endLayer: 12 }, numericClass: 'b' }]
    const busy = candidate(6, 4, 12, { numericClass: 'b', sessions: 50 })
    expect(route([candidate(5, 4, 12), busy], { ...keep([1, 0, 4]), lost })?.[1]?.[0]).toBe(6)
    expect(route([candidate(5, 4, 12)], { ...keep([1, 0, 4]), lost })?.[1]?.[0]).toBe(5)
    const crowd = Array.from({ length: 40 }, (_, index) => candidate(10 + index, 4, 12))
    expect(route([...crowd, busy], { ...keep([1, 0, 4]), lost })?.[1]?.[0]).toBe(6)
  })
})

/** Lap times of all chains over `candidates`, by trying them. */
function lapTimes(candidates: readonly Candidate[], rttMs: RouteOptions['rttMs']): number[] {
  const times: number[] = []
  const walk = (border: number, used: readonly string[], ms: number) => {
    if (border === LAYERS) times.push(ms + rttMs((used.at(-1) ?? DRIVER) as never, DRIVER) / 2)
    for (const { peerId: id, span, msPerLayer, headMs, sessions } of candidates) {
      if (span.firstLayer > border || used.includes(id)) continue
      const passMs = ({ firstLayer, endLayer }: Span) => (endLayer - firstLayer) * msPerLayer + (endLayer === LAYERS ? headMs : 0)
      for (let endLayer = border + 1; endLayer <= span.endLayer; endLayer++) {
        const hopMs = 3 + rttMs((used.at(-1) ?? DRIVER) as never, id) / 2
        walk(endLayer, [...used, id], ms + hopMs + passMs({ firstLayer: border, endLayer }) + sessions * passMs(span))
      }
    }
  }
  walk(0, [], 0)
  return times
}

describe('any few candidates', () => {
  const some = fc.array(
    fc.record({
      border: fc.integer({ min: 0, max: 3 }),
      quarters: fc.integer({ min: 1, max: 4 }),
      msPerLayer: fc.integer({ min: 1, max: 20 }),
      sessions: fc.integer({ min: 0, max: 3 }),
      place: fc.integer({ min: 0, max: 60 }),
    }),
    { minLength: 1, maxLength: 5 },
  )

  // A way to a layer is forgotten for a cheaper one that ends at the same peer, though that may have used who is needed later: one case in 13,000.
  const MISSED_MAX = 3

  it('give the chain with the least lap time of all, but for a few, or none where there is none', () => {
    let missed = 0
    fc.assert(
      fc.property(some, (list) => {
        const candidates = list.map(({ border, quarters, msPerLayer, sessions }, index) =>
          candidate(index, 3 * border, Math.min(LAYERS, 3 * (border + quarters)), { msPerLayer, headMs: msPerLayer, sessions }),
        )
        const place = (id: string) => list[Number.parseInt(id, 16)]?.place ?? 0
        const rttMs = (a: string, b: string) => 2 * Math.abs(place(a) - place(b))
        const all = lapTimes(candidates, rttMs)
        const stages = chooseChain(LAYERS, candidates, { stagesMin: 1, driver: DRIVER, rttMs })
        expect(stages === null).toBe(all.length === 0)
        if (stages === null) return
        const chosen = stages.map(({ peerId: id, span }) => ({ ...required(candidates, id), part: span }))
        const lapMs = chosen.reduce((ms, { peerId: id, span, part, msPerLayer, headMs, sessions }, index) => {
          const passMs = ({ firstLayer, endLayer }: Span) => (endLayer - firstLayer) * msPerLayer + (endLayer === LAYERS ? headMs : 0)
          return ms + 3 + rttMs(chosen[index - 1]?.peerId ?? DRIVER, id) / 2 + passMs(part) + sessions * passMs(span)
        }, 0)
        const least = Math.min(...all)
        const chosenMs = lapMs + rttMs(chosen.at(-1)?.peerId ?? DRIVER, DRIVER) / 2
        expect(chosenMs).toBeGreaterThan(least - 1e-6)
        if (chosenMs > least + 1e-6) missed++
      }),
      { numRuns: 300 },
    )
    expect(missed).toBeLessThanOrEqual(MISSED_MAX)
  })
})

function required(candidates: readonly Candidate[], id: string): Candidate {
  const found = candidates.find((one) => one.peerId === id)
  if (found === undefined) throw new Error(`a stage of ${id}, who is no candidate`)
  return found
}

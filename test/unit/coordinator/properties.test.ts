/** Any history of joins, loads, failures, silences, sessions and departures: what must hold after each step of it. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { placeChain } from '../../../src/coordinator/core/placement.ts'
import { COSTS, spanMemory, type Tab, WHOLE_BYTES, World } from './world.ts'

const TABS = 8
const index = fc.integer({ min: 1, max: TABS })

type Step =
  | { kind: 'pledge'; index: number; memoryBytes: number; macsPerSecond: number }
  | { kind: 'serve' | 'fail' | 'misfit' | 'disconnect' | 'drain' | 'leave' | 'away'; index: number }
  | { kind: 'admit'; index: number; promptTokens: number; maxTokens: number }
  | { kind: 'end'; nth: number; accuse: boolean }
  | { kind: 'wait'; durationMs: number; silent: number[] }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('pledge' as const),
      index,
      memoryBytes: fc.integer({ min: 200, max: WHOLE_BYTES + 500 }),
      macsPerSecond: fc.integer({ min: 0, max: 1_000 }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('serve' as const), index }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom<'fail' | 'misfit' | 'disconnect' | 'drain' | 'leave' | 'away'>(
        'fail',
        'misfit',
        'disconnect',
        'drain',
        'leave',
        'away',
      ),
      index,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('admit' as const),
      index: fc.integer({ min: 1, max: TABS + 3 }),
      promptTokens: fc.integer({ min: 0, max: 600 }),
      maxTokens: fc.integer({ min: 0, max: 600 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('end' as const), nth: fc.nat(10), accuse: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('wait' as const),
      durationMs: fc.integer({ min: 1, max: 12_000 }),
      silent: fc.array(index, { maxLength: 2 }),
    }),
  },
)

function perform(world: World, event: Step): void {
  switch (event.kind) {
    case 'pledge':
      return void world.pledge(event.index, event.memoryBytes, event.macsPerSecond)
    case 'serve':
      return void world.serve(event.index)
    case 'fail':
      return void world.fail(event.index)
    case 'misfit':
      return void world.fail(event.index, 'does-not-fit')
    case 'disconnect':
      return world.disconnect(event.index)
    case 'drain':
      return world.drain(event.index)
    case 'leave':
      return world.leave(event.index)
    case 'away':
      Object.assign(world.tab(event.index), { pledgeBytes: null, order: null, served: null, loaded: null, isDraining: false })
      return world.say(event.index, { type: 'away', reason: 'device-lost' })
    case 'admit': {
      const answer = world.admit(event.index, event.promptTokens, event.maxTokens)
      if ('stages' in answer) checkGrant(world, answer)
      return
    }
    case 'end': {
      const grants = [...world.grants.values()]
      const grant = grants[event.nth % Math.max(1, grants.length)]
      if (grant !== undefined && world.tabs.has(grant.driver)) world.end(grant, event.accuse ? (grant.stages[0]?.peerId ?? null) : null)
      return
    }
    case 'wait':
      return world.wait(event.durationMs, event.silent)
  }
}

type Granted = Extract<ReturnType<World['admit']>, { stages: unknown }>

/** [G3] [G4] [C18], and every stage serves what it is asked for, with room for all that was granted. */
function checkGrant(world: World, grant: Granted): void {
  let next = 0
  for (const { peerId: id, firstLayer, endLayer } of grant.stages) {
    expect(firstLayer).toBe(next)
    expect(endLayer).toBeGreaterThan(firstLayer)
    next = endLayer
    const served = world.tabs.get(id)?.served
    expect(served, `${id} serves`).not.toBe(null)
    expect(world.tabs.get(id)?.isDraining, `${id} drains`).toBe(false)
    expect(served?.span.firstLayer).toBeLessThanOrEqual(firstLayer)
    expect(served?.span.endLayer).toBeGreaterThanOrEqual(endLayer)
  }
  expect(next).toBe(COSTS.layerCount)
  expect(new Set(grant.stages.map((stage) => stage.peerId)).size).toBe(grant.stages.length)
}

/** Orders fit, and go to nobody who drains [C18]. */
function checkOrders(world: World, from: number): void {
  for (const { peerId: id, assignment } of world.assignments.slice(from)) {
    expect(world.tabs.get(id)?.isDraining, `${id} drains`).not.toBe(true)
    const { span, kvPositions, memoryBytesMax } = assignment
    expect(span.firstLayer).toBeGreaterThanOrEqual(0)
    expect(span.endLayer).toBeLessThanOrEqual(COSTS.layerCount)
    expect(span.endLayer).toBeGreaterThan(span.firstLayer)
    expect(spanMemory(COSTS, span, kvPositions)).toBeLessThanOrEqual(memoryBytesMax)
    const pledged = world.tabs.get(id)?.pledgeBytes
    if (pledged !== undefined && pledged !== null) expect(memoryBytesMax).toBeLessThanOrEqual(pledged)
  }
  const ids = world.assignments.map(({ assignment }) => assignment.assignmentId)
  expect(new Set(ids).size).toBe(ids.length)
}

function isCovered(tabs: Iterable<Tab>): boolean {
  const layers = new Set<number>()
  for (const { served } of tabs)
    if (served !== null) for (let layer = served.span.firstLayer; layer < served.span.endLayer; layer++) layers.add(layer)
  return layers.size === COSTS.layerCount
}

describe('any history', () => {
  it('gives only orders that fit, and only grants that hold', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 4 }), (steps, stagesMin) => {
        const world = new World({ stagesMin })
        for (const event of steps) {
          const from = world.assignments.length
          perform(world, event)
          checkOrders(world, from)
        }
        world.core.summary(world.nowMs)
      }),
      { numRuns: 400 },
    )
  })

  it('ends with every layer served, once it is quiet, wherever the pledges can hold the model', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 4 }), (steps, stagesMin) => {
        const world = new World({ stagesMin })
        for (const event of steps) perform(world, event)
        // Everybody pledges anew, so that earlier failures do not count.
        for (const [id, tab] of [...world.tabs]) if (tab.pledgeBytes !== null) world.pledge(Number.parseInt(id, 16), tab.pledgeBytes)
        for (let round = 0; round < 8; round++) {
          world.wait(2_000)
          world.serveAll()
        }
        const capacities = [...world.tabs.values()].flatMap(({ peerId: id, pledgeBytes }) =>
          pledgeBytes === null ? [] : [{ peerId: id, memoryBytes: pledgeBytes, weightForm: 'blocks' as const, macsPerSecond: 1_000 }],
        )
        const possible = placeChain(COSTS, capacities, 1) !== null
        expect(isCovered(world.tabs.values())).toBe(possible)
        for (const grant of world.grants.values()) if (world.tabs.has(grant.driver)) world.end(grant)
        world.grants.clear()
        world.wait(31_000)
        expect('stages' in world.admit(100, 1, 1)).toBe(possible)
      }),
      { numRuns: 300 },
    )
  })

  it('never stops a swarm that is served because a tab joins', () => {
    const pledge = fc.record({ memoryBytes: fc.integer({ min: 200, max: WHOLE_BYTES + 500 }), serves: fc.array(index, { maxLength: 6 }) })
    fc.assert(
      fc.property(fc.array(pledge, { maxLength: TABS }), fc.integer({ min: 1, max: 4 }), (pledges, stagesMin) => {
        const world = new World({ stagesMin })
        let served = false
        const check = () => {
          const now = isCovered(world.tabs.values())
          if (served) expect(now).toBe(true)
          served = now
          if (!served) return
          const grant = world.admit(1_000, 1, 0)
          expect(grant).toHaveProperty('stages')
          if ('stages' in grant) world.end(grant)
        }
        pledges.forEach(({ memoryBytes, serves }, at) => {
          world.pledge(at + 1, memoryBytes)
          check()
          for (const tab of serves) {
            world.serve(tab)
            check()
          }
        })
      }),
      { numRuns: 300 },
    )
  })

  it('never stops a swarm that is served while tabs move for a better balance, one load after the other', () => {
    const pledge = fc.record({
      memoryBytes: fc.integer({ min: 400, max: WHOLE_BYTES + 500 }),
      macsPerSecond: fc.constantFrom(20, 60, 180, 1_000),
    })
    let moves = 0
    fc.assert(
      fc.property(fc.array(pledge, { minLength: 3, maxLength: TABS }), fc.integer({ min: 1, max: 2 }), (pledges, stagesMin) => {
        const world = new World({ stagesMin })
        pledges.forEach(({ memoryBytes, macsPerSecond }, at) => {
          world.pledge(at + 1, memoryBytes, macsPerSecond)
          world.serveAll()
        })
        if (!isCovered(world.tabs.values())) return
        const before = world.assignments.length
        for (let round = 0; round < 24; round++) {
          world.wait(5_000)
          expect(isCovered(world.tabs.values())).toBe(true)
          world.serve(1 + (round % pledges.length))
          expect(isCovered(world.tabs.values())).toBe(true)
        }
        moves += world.assignments.length - before
      }),
      { numRuns: 150 },
    )
    expect(moves).toBeGreaterThan(0)
  })

  it('moves at most one healthy tab when another goes, and only one that nobody needs where it is', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 0, max: 6 }), fc.nat(6), (stagesMin, more, lost) => {
        const world = new World({ stagesMin })
        const count = stagesMin + 1 + more
        for (let tab = 1; tab <= count; tab++) world.pledge(tab)
        world.serveAll()
        const [gone, before] = [1 + (lost % count), world.assignments.length]
        const held = { ...world.spans() }
        world.disconnect(gone)
        const moved = world.assignments.slice(before)
        expect(moved.length).toBeLessThanOrEqual(1)
        for (const { peerId: id, assignment } of moved) {
          const index = Number.parseInt(id, 16)
          const { [gone]: _, [index]: own, ...rest } = held
          for (let layer = own?.[0] ?? 0; layer < (own?.[1] ?? 0); layer++) {
            const elsewhere = Object.values(rest).some(([first, end]) => first <= layer && layer < end)
            const kept = assignment.span.firstLayer <= layer && layer < assignment.span.endLayer
            expect(elsewhere || kept, `layer ${layer} is served while tab ${index} moves`).toBe(true)
          }
        }
        world.serveAll()
        expect(isCovered(world.tabs.values())).toBe(true)
      }),
    )
  })
})

/** Who gets which layers: as volunteers come, leave, fail and come back. */

import { describe, expect, it } from 'vitest'
import type { ModelId } from '../../../src/shared/index.ts'
import { COSTS, MODEL, peerId, spanMemory, WHOLE_BYTES, World } from './world.ts'

/** Holds a half, and with its KV not one layer more. */
const HALF_BYTES = Math.ceil(spanMemory(COSTS, { firstLayer: 6, endLayer: 12 }, 1_024))

describe('placement of volunteers', () => {
  it('lets one tab alone serve the whole model', () => {
    const world = new World()
    world.pledge(1)
    world.serveAll()
    expect(world.spans()).toEqual({ 1: [0, 12] })
    expect(world.core.summary(world.nowMs).swarms[0]).toMatchObject({ state: 'ready', missingBytes: 0 })
  })

  it('shares it with a second, and never stops meanwhile: the first gives layers up once the second serves them', () => {
    const world = new World()
    world.pledge(1)
    world.serveAll()
    world.pledge(2)
    expect(world.assignments.map(({ assignment }) => [assignment.span.firstLayer, assignment.span.endLayer])).toEqual([
      [0, 12],
      [7, 12],
    ])
    expect(world.admit(9)).toMatchObject({ stages: [{ peerId: peerId(1), firstLayer: 0, endLayer: 12 }] })
    world.serve(2)
    expect(world.assignments.at(-1)).toMatchObject({ peerId: peerId(1), assignment: { span: { firstLayer: 0, endLayer: 7 } } })
    // Before the first has answered, its part is used already.
    expect(world.admit(9)).toMatchObject({
      stages: [
        { peerId: peerId(1), firstLayer: 0, endLayer: 7 },
        { peerId: peerId(2), firstLayer: 7, endLayer: 12 },
      ],
    })
    world.serveAll()
    expect(world.spans()).toEqual({ 1: [0, 7], 2: [7, 12] })
  })

  it('divides at once where nobody has loaded yet', () => {
    const world = new World()
    world.pledge(1)
    world.pledge(2)
    world.serveAll()
    expect(world.spans()).toEqual({ 1: [0, 7], 2: [7, 12] })
  })

  it('waits for enough memory, says how much is missing, and then places as many stages as there are tabs', () => {
    const world = new World({ stagesMin: 3 })
    const third = Math.ceil(spanMemory(COSTS, { firstLayer: 0, endLayer: 4 }, 1_024)) + 10
    world.pledge(1, third)
    world.pledge(2, third)
    expect(world.assignments).toEqual([])
    const [swarm] = world.core.summary(world.nowMs).swarms
    expect(swarm).toMatchObject({ state: 'incomplete' })
    expect(swarm?.missingBytes).toBeGreaterThan(0)
    world.pledge(3, third)
    world.serveAll()
    expect(Object.values(world.spans())).toHaveLength(3)
    expect(world.core.summary(world.nowMs).swarms[0]).toMatchObject({ state: 'ready', missingBytes: 0 })
  })

  it('lets nobody idle: a third tab holds layers that another has too, and sessions use all four of four', () => {
    const world = new World()
    for (const index of [1, 2, 3]) world.pledge(index)
    world.serveAll()
    expect(world.spans()).toEqual({ 1: [0, 7], 2: [7, 12], 3: [0, 7] })
    world.pledge(4)
    world.serveAll()
    expect(world.spans()).toEqual({ 1: [0, 7], 2: [7, 12], 3: [0, 7], 4: [7, 12] })
    const used = [world.admit(9), world.admit(9)].map((grant) => ('stages' in grant ? grant.stages.map((stage) => stage.peerId) : []))
    expect(new Set(used.flat()).size).toBe(4)
  })

  it('needs nobody in the place of a tab whose layers another holds', () => {
    const world = new World()
    for (const index of [1, 2, 3]) world.pledge(index)
    world.serveAll()
    const before = world.assignments.length
    world.disconnect(1)
    expect(world.assignments).toHaveLength(before)
    expect(world.admit(9)).toHaveProperty('stages')
  })

  it('puts a tab that others can do without in the place of one that left, the last that came, and disturbs nobody else', () => {
    const world = new World()
    for (const index of [1, 2, 3]) world.pledge(index)
    world.serveAll()
    const before = world.assignments.length
    world.disconnect(2)
    expect(world.assignments.slice(before)).toMatchObject([{ peerId: peerId(3), assignment: { span: { firstLayer: 7, endLayer: 12 } } }])
  })

  it('asks a neighbor that still has the layers in its memory, at once', () => {
    const world = new World()
    world.pledge(1)
    world.serveAll()
    world.pledge(2)
    world.serveAll()
    world.disconnect(2)
    expect(world.assignments.at(-1)).toMatchObject({ peerId: peerId(1), assignment: { span: { firstLayer: 0, endLayer: 12 } } })
    // Nothing has to be loaded: it goes on with its part meanwhile.
    expect(world.spans()).toEqual({ 1: [0, 7] })
    world.serveAll()
    expect(world.spans()).toEqual({ 1: [0, 12] })
  })

  it('lets a neighbor load the layers of a lost tab only after it had time to come back', () => {
    const world = new World()
    world.pledge(1)
    world.pledge(2)
    world.serveAll()
    const before = world.assignments.length
    world.disconnect(2)
    world.wait(4_750)
    expect(world.assignments).toHaveLength(before)
    world.wait(500)
    expect(world.assignments.slice(before)).toMatchObject([{ peerId: peerId(1), assignment: { span: { firstLayer: 0, endLayer: 12 } } }])
  })

  it('does not wait for a tab that left of its own will', () => {
    const world = new World()
    world.pledge(1)
    world.pledge(2)
    world.serveAll()
    world.leave(2)
    expect(world.assignments.at(-1)).toMatchObject({ peerId: peerId(1), assignment: { span: { firstLayer: 0, endLayer: 12 } } })
  })

  it('gives a tab that comes back its place', () => {
    const world = new World()
    world.pledge(1, HALF_BYTES + 200)
    world.pledge(2, HALF_BYTES + 200)
    world.serveAll()
    const spans = world.spans()
    world.disconnect(2)
    world.wait(1_000)
    world.pledge(2, HALF_BYTES + 200)
    world.serveAll()
    expect(world.spans()).toEqual(spans)
  })

  it('tries a tab that failed again after a pause, and no more after the third time', () => {
    const world = new World({ stagesMin: 1 })
    world.pledge(1)
    for (const pauseMs of [2_000, 4_000]) {
      world.fail(1)
      const before = world.assignments.length
      world.wait(pauseMs - 250)
      expect(world.assignments).toHaveLength(before)
      world.wait(500)
      expect(world.assignments).toHaveLength(before + 1)
    }
    world.fail(1)
    world.wait(120_000)
    expect(world.assignments).toHaveLength(3)
    world.pledge(1)
    expect(world.assignments).toHaveLength(4)
  })

  it('gives less to a tab whose load did not fit', () => {
    const world = new World({ stagesMin: 1 })
    world.pledge(1, 4 * WHOLE_BYTES)
    const [first] = world.assignments
    world.fail(1, 'does-not-fit')
    world.wait(3_000)
    const last = world.assignments.at(-1)
    expect(last?.assignment.memoryBytesMax).toBe(Math.floor((first?.assignment.memoryBytesMax ?? 0) * 0.8))
  })

  it('gives up on a load without news', () => {
    const world = new World({ stagesMin: 1 })
    world.pledge(1)
    world.wait(170_000)
    expect(world.assignments).toHaveLength(1)
    world.wait(15_000)
    expect(world.assignments).toHaveLength(2)
  })

  it('waits on while a load makes progress', () => {
    const world = new World({ stagesMin: 1 })
    const tab = world.pledge(1)
    for (let megabytes = 1; megabytes <= 5; megabytes++) {
      world.wait(100_000)
      world.say(1, { type: 'progress', assignmentId: tab.order?.assignmentId ?? -1, bytesLoaded: megabytes, bytesTotal: 10 })
    }
    expect(world.assignments).toHaveLength(1)
    expect(world.core.summary(world.nowMs).swarms[0]?.volunteers[0]).toMatchObject({ state: 'loading', progress: 0.5 })
  })

  it('refuses kernels of another version by name', () => {
    const world = new World()
    world.pledge(1, WHOLE_BYTES, 1, 'wgsl-1')
    world.pledge(2, WHOLE_BYTES, 1, 'wgsl-2')
    expect(world.closed).toMatchObject([
      { peerId: peerId(2), reason: 'kernel-version', message: expect.stringMatching(/wgsl-2.*wgsl-1.*reload/) },
    ])
    const strict = new World({ kernelVersion: 'wgsl-2' })
    strict.pledge(1, WHOLE_BYTES, 1, 'wgsl-1')
    expect(strict.closed).toMatchObject([{ reason: 'kernel-version' }])
  })

  it('serves several models, each from tabs of its own', () => {
    const other = { ...MODEL, modelId: 'other' as ModelId }
    const world = new World({ models: [MODEL, other], stagesMin: 1 })
    world.pledge(1)
    world.pledge(2)
    world.serveAll()
    expect(world.assignments.map(({ assignment }) => assignment.modelId)).toEqual(['model', 'other'])
  })
})

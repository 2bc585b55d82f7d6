/** The coordinator's decisions, one at a time: who gets which layers, who is chosen, what a refused requester is told. */

import { describe, expect, it } from 'vitest'
import type { ModelId } from '../../../src/shared/index.ts'
import { required } from '../../../src/shared/index.ts'
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

  it('makes a further chain of surplus tabs once they can hold a whole one, and uses both', () => {
    const world = new World()
    for (const index of [1, 2, 3]) world.pledge(index)
    world.serveAll()
    expect(world.spans()).toEqual({ 1: [0, 7], 2: [7, 12] })
    world.pledge(4)
    world.serveAll()
    expect(Object.keys(world.spans())).toHaveLength(4)
    const used = [world.admit(9), world.admit(9)].map((grant) => ('stages' in grant ? grant.stages.map((stage) => stage.peerId) : []))
    expect(new Set(used.flat()).size).toBe(4)
  })

  it('puts a spare in the place of a tab that left, and disturbs nobody', () => {
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

describe('heartbeats', () => {
  function served() {
    const world = new World()
    for (const index of [1, 2]) world.pledge(index)
    world.serveAll()
    return world
  }

  it('pings every tab every 2 s', () => {
    const world = new World()
    world.connect(1)
    const pings: number[] = []
    for (let tick = 0; tick < 40; tick++) {
      world.nowMs += 250
      for (const effect of world.feed({ kind: 'tick' }))
        if (effect.kind === 'send' && effect.message.type === 'ping') pings.push(world.nowMs)
    }
    expect(pings).toEqual([3_000, 5_000, 7_000, 9_000, 11_000])
  })

  it('does not choose a tab that was silent for 6 s, and chooses it again when it answers', () => {
    const world = served()
    world.wait(5_500, [2])
    expect(world.admit(9)).toHaveProperty('stages')
    world.wait(1_000, [2])
    expect(world.admit(9)).toMatchObject({ reason: 'incomplete', message: expect.stringMatching(/7–11.*does not answer/) })
    world.wait(4_000)
    expect(world.admit(9)).toHaveProperty('stages')
  })

  it('drops a tab that was silent for 30 s, and says so', () => {
    const world = served()
    world.wait(29_500, [2])
    expect(world.closed).toEqual([])
    world.wait(1_000, [2])
    expect(world.closed).toMatchObject([{ peerId: peerId(2), reason: 'silent' }])
    expect(world.core.summary(world.nowMs).tabs).toBe(1)
  })

  it('does not choose a tab that a session accused before it has answered a new ping', () => {
    const world = served()
    const grant = world.admit(9)
    if (!('stages' in grant)) throw new Error('refused')
    world.end(grant, peerId(2))
    expect(world.admit(9)).toMatchObject({ reason: 'incomplete' })
    world.wait(250)
    expect(world.admit(9)).toHaveProperty('stages')
  })

  it('takes no accusation from strangers, nor of tabs outside the chain', () => {
    const world = served()
    world.pledge(3)
    const grant = world.admit(9)
    if (!('stages' in grant)) throw new Error('refused')
    world.connect(8)
    world.say(8, { type: 'ended', sessionId: grant.sessionId, outcome: 'failed', failedPeerId: peerId(2) })
    expect(world.core.summary(world.nowMs).swarms[0]?.sessions).toBe(1)
    world.end(grant, peerId(3))
    expect(world.admit(9)).toHaveProperty('stages')
  })

  it('does not choose a tab that gets its GPU back, and keeps its layers for it', () => {
    const world = served()
    const before = world.core.summary(world.nowMs).swarms[0]?.volunteers
    world.say(2, { type: 'away', reason: 'recovering' })
    expect(world.admit(9)).toMatchObject({ reason: 'incomplete' })
    const orders = world.assignments.length
    const { assignmentId, span, kvPositions } = required(
      world.assignments.filter((order) => order.peerId === peerId(2)).at(-1)?.assignment,
      'the order of tab 2',
    )
    world.say(2, { type: 'serving', assignmentId, span, kvPositions })
    expect(world.admit(9)).toHaveProperty('stages')
    expect(world.assignments).toHaveLength(orders)
    expect(world.core.summary(world.nowMs).swarms[0]?.volunteers).toEqual(before)
  })

  it('counts a tab that is away as gone until it pledges anew', () => {
    const world = served()
    world.say(2, { type: 'away', reason: 'device-lost' })
    expect(world.admit(9)).toMatchObject({ reason: 'incomplete' })
    world.pledge(2)
    world.serveAll()
    expect(world.admit(9)).toHaveProperty('stages')
  })
})

describe('admission', () => {
  function served(stagesMin = 2) {
    const world = new World({ stagesMin })
    for (const index of [1, 2]) world.pledge(index)
    world.serveAll()
    return world
  }

  it('grants what was asked for, to whoever asked, for a limited time', () => {
    const world = served()
    expect(world.admit(9, 100, 28)).toEqual({
      version: 1,
      sessionId: expect.stringMatching(/^[0-9a-f]{32}$/),
      modelId: MODEL.modelId,
      manifestHash: MODEL.manifestHash,
      driver: peerId(9),
      stages: [
        { peerId: peerId(1), firstLayer: 0, endLayer: 7 },
        { peerId: peerId(2), firstLayer: 7, endLayer: 12 },
      ],
      maxPositions: 128,
      topK: 128,
      rowEncoding: 'f16e',
      issuedAtMs: world.nowMs,
      expiresAtMs: world.nowMs + 7_200_000,
    })
  })

  it('says when nobody contributes', () => {
    expect(new World().admit(9)).toMatchObject({
      reason: 'no-volunteers',
      message: expect.stringMatching(/nobody is contributing.*open Contribute/),
    })
  })

  it('says which layers are missing, and whether waiting helps', () => {
    const world = new World()
    world.pledge(1)
    world.pledge(2)
    world.serve(1)
    expect(world.admit(9)).toMatchObject({
      reason: 'incomplete',
      retryAfterMs: 5_000,
      message: expect.stringMatching(/layers 7–11.*loading/),
    })
    const small = new World()
    small.pledge(1, 100)
    expect(small.admit(9)).toMatchObject({
      reason: 'incomplete',
      retryAfterMs: null,
      message: expect.stringMatching(/layers 0–11.*pledge more/),
    })
  })

  it('refuses by name what can never be', () => {
    const world = served()
    expect(world.admit(9, 1_025, 0)).toMatchObject({ reason: 'prompt-too-long', message: expect.stringMatching(/1025 tokens.*1024/) })
    expect(world.admit(9, 1_000, 25)).toMatchObject({ reason: 'too-large', message: expect.stringMatching(/room for 24/) })
    expect(world.admit(9, 1_000, 24)).toHaveProperty('stages')
    expect(world.admit(8, 0, 10)).toMatchObject({ reason: 'bad-request' })
    const modelId = 'nothing' as ModelId
    world.say(9, { type: 'admit', requestId: 'x', modelId, promptTokens: 1, maxTokens: 1 })
    expect(world.refusals.at(-1)).toMatchObject({ requestId: 'x', reason: 'unknown-model', message: expect.stringMatching(/"nothing"/) })
  })

  it('never grants more KV than a stage has, and grants again what was given back', () => {
    const world = served()
    const first = world.admit(9, 500, 12)
    const second = world.admit(8, 500, 12)
    expect(first).toHaveProperty('stages')
    expect(second).toHaveProperty('stages')
    expect(world.admit(7, 1, 0)).toMatchObject({ reason: 'busy', retryAfterMs: 2_000 })
    if ('stages' in first) world.end(first)
    expect(world.admit(7, 500, 12)).toHaveProperty('stages')
  })

  it('believes a fresh report of less room, and forgets it when sessions change', () => {
    const world = served()
    world.wait(4_000)
    world.connect(9)
    const pong = { type: 'pong', sequence: 1, sessions: 1, kvPositionsFree: 64 } as const
    world.say(2, pong)
    expect(world.admit(9, 65, 0)).toMatchObject({ reason: 'busy' })
    const grant = world.admit(9, 64, 0)
    expect(grant).toHaveProperty('stages')
    expect(world.admit(9, 65, 0)).toHaveProperty('stages')
  })

  it('lets a requester have four sessions open', () => {
    const world = served()
    const grants = Array.from({ length: 4 }, () => world.admit(9))
    expect(world.admit(9)).toMatchObject({ reason: 'too-many-sessions' })
    expect(world.admit(8)).toHaveProperty('stages')
    if (grants[0] !== undefined && 'stages' in grants[0]) world.end(grants[0])
    expect(world.admit(9)).toHaveProperty('stages')
  })

  it('frees the sessions of a requester that does not come back, and keeps those of one that does', () => {
    const world = served()
    world.admit(9, 500, 12)
    world.admit(8, 500, 12)
    world.disconnect(9)
    world.disconnect(8)
    world.wait(20_000)
    world.connect(8)
    expect(world.admit(7)).toMatchObject({ reason: 'busy' })
    world.wait(11_000)
    expect(world.core.summary(world.nowMs).swarms[0]?.sessions).toBe(1)
    expect(world.admit(7)).toHaveProperty('stages')
  })

  it('frees an expired session', () => {
    const world = served()
    world.admit(9)
    world.wait(7_199_000)
    expect(world.core.summary(world.nowMs).swarms[0]?.sessions).toBe(1)
    world.wait(1_000)
    expect(world.core.summary(world.nowMs).swarms[0]?.sessions).toBe(0)
  })

  it('takes the requester itself as a stage only where nobody else serves', () => {
    const world = new World({ stagesMin: 1 })
    for (const index of [1, 2]) world.pledge(index)
    world.serveAll()
    expect(world.spans()).toEqual({ 1: [0, 12], 2: [0, 12] })
    for (let session = 0; session < 3; session++) expect(world.admit(1)).toMatchObject({ stages: [{ peerId: peerId(2) }] })
    world.disconnect(2)
    expect(world.admit(1)).toMatchObject({ stages: [{ peerId: peerId(1) }] })
  })
})

describe('watchers', () => {
  it('get a summary at once, then what has changed, at most twice a second', () => {
    const world = new World()
    world.connect(9)
    world.say(9, { type: 'watch' })
    expect(world.summaries).toHaveLength(1)
    world.wait(250)
    const settled = world.summaries.length
    world.wait(5_000)
    expect(world.summaries).toHaveLength(settled)
    world.pledge(1)
    world.serveAll()
    world.wait(500)
    expect(world.summaries).toHaveLength(settled + 1)
  })

  it('are told what a volunteer is, and no more of its id than 8 digits', () => {
    const world = new World()
    world.pledge(1)
    world.serveAll()
    const { swarms, tabs } = world.core.summary(world.nowMs)
    expect(tabs).toBe(1)
    expect(swarms[0]?.volunteers).toEqual([
      { shortId: '00000000', engine: 'webgpu', adapter: 'GPU 1', state: 'serving', span: { firstLayer: 0, endLayer: 12 }, progress: 1 },
    ])
  })
})

/** Who is granted a chain of stages, for how much, and what a refused requester is told. */

import { describe, expect, it } from 'vitest'
import { DROP_AFTER_MS, ORPHAN_MS } from '../../../src/coordinator/core/limits.ts'
import type { ModelId } from '../../../src/shared/index.ts'
import { MODEL, peerId, servedWorld, World } from './world.ts'

describe('admission', () => {
  it('grants what was asked for, to whoever asked, for a limited time', () => {
    const world = servedWorld()
    expect(world.admit(9, 100, 28)).toEqual({
      version: 1,
      revision: 0,
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

  it('[C22] ends with the socket what was granted after the last word of a requester, and keeps the rest for one that comes back', () => {
    const sessionsAfter = (heardMs: number) => {
      const world = servedWorld()
      world.admit(9)
      world.wait(heardMs)
      world.wait(DROP_AFTER_MS + 2_000, [9])
      expect(world.closed).toMatchObject([{ peerId: peerId(9), reason: 'silent' }])
      world.connect(9)
      world.wait(ORPHAN_MS)
      return world.core.summary(world.nowMs).swarms[0]?.sessions
    }
    expect(sessionsAfter(0)).toBe(0)
    expect(sessionsAfter(5_000)).toBe(1)
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
    const world = servedWorld()
    expect(world.admit(9, 1_025, 0)).toMatchObject({ reason: 'prompt-too-long', message: expect.stringMatching(/1025 tokens.*1024/) })
    expect(world.admit(9, 1_000, 25)).toMatchObject({ reason: 'too-large', message: expect.stringMatching(/room for 24/) })
    expect(world.admit(9, 1_000, 24)).toHaveProperty('stages')
    expect(world.admit(8, 0, 10)).toMatchObject({ reason: 'bad-request' })
    const modelId = 'nothing' as ModelId
    world.say(9, { type: 'admit', requestId: 'x', modelId, promptTokens: 1, maxTokens: 1 })
    expect(world.refusals.at(-1)).toMatchObject({ requestId: 'x', reason: 'unknown-model', message: expect.stringMatching(/"nothing"/) })
  })

  it('never grants more KV than a stage has, and grants again what was given back', () => {
    const world = servedWorld()
    const first = world.admit(9, 500, 12)
    const second = world.admit(8, 500, 12)
    expect(first).toHaveProperty('stages')
    expect(second).toHaveProperty('stages')
    expect(world.admit(7, 1, 0)).toMatchObject({ reason: 'busy', retryAfterMs: 2_000 })
    if ('stages' in first) world.end(first)
    expect(world.admit(7, 500, 12)).toHaveProperty('stages')
  })

  it('believes a report of less room than was granted: a stage may hold what nobody here knows of', () => {
    const world = servedWorld()
    world.wait(4_000)
    world.connect(9)
    const pong = { type: 'pong', sequence: 1, sessions: 1, kvPositionsFree: 64 } as const
    world.say(2, pong)
    expect(world.admit(9, 65, 0)).toMatchObject({ reason: 'busy' })
    const grant = world.admit(9, 64, 0)
    if (!('stages' in grant)) throw new Error(grant.message)
    expect(world.admit(9, 65, 0)).toMatchObject({ reason: 'busy' })
    world.end(grant)
    expect(world.admit(9, 65, 0)).toMatchObject({ reason: 'busy' })
    expect(world.admit(9, 64, 0)).toHaveProperty('stages')
  })

  it('reckons from a report on: what its driver has ended is free, what was granted since is not', () => {
    const world = servedWorld()
    const grant = world.admit(9, 400, 0)
    if (!('stages' in grant)) throw new Error(grant.message)
    world.wait(4_000)
    // Of 1,024 positions 416 are granted; who holds the other 544 is not known here.
    world.say(2, { type: 'pong', sequence: 2, sessions: 2, kvPositionsFree: 64 })
    world.end(grant)
    expect(world.admit(9, 480, 0)).toHaveProperty('stages')
    expect(world.admit(8, 1, 0)).toMatchObject({ reason: 'busy' })
  })

  it('does not take for free what a requester had that is gone, before the stages say so', () => {
    const world = servedWorld()
    const grant = world.admit(9, 1_000, 24)
    if (!('stages' in grant)) throw new Error(grant.message)
    world.wait(4_000)
    world.disconnect(9)
    world.wait(34_000)
    expect(world.core.summary(world.nowMs).swarms[0]?.sessions).toBe(0)
    expect(world.admit(8)).toMatchObject({ reason: 'busy' })
    world.unheld.add(grant.sessionId)
    world.wait(2_000)
    expect(world.admit(8)).toHaveProperty('stages')
  })

  it('lets a requester have four sessions open', () => {
    const world = servedWorld()
    const grants = Array.from({ length: 4 }, () => world.admit(9))
    expect(world.admit(9)).toMatchObject({ reason: 'too-many-sessions' })
    expect(world.admit(8)).toHaveProperty('stages')
    if (grants[0] !== undefined && 'stages' in grants[0]) world.end(grants[0])
    expect(world.admit(9)).toHaveProperty('stages')
  })

  it('frees the sessions of a requester that does not come back, and keeps those of one that does', () => {
    const world = servedWorld()
    const left = world.admit(9, 500, 12)
    world.admit(8, 500, 12)
    // Both have answered a ping since.
    world.wait(4_000)
    world.disconnect(9)
    world.disconnect(8)
    world.wait(20_000)
    world.connect(8)
    expect(world.admit(7)).toMatchObject({ reason: 'busy' })
    world.wait(11_000)
    expect(world.core.summary(world.nowMs).swarms[0]?.sessions).toBe(1)
    // Its stages have waited for it as long, and told so since.
    if ('stages' in left) world.unheld.add(left.sessionId)
    world.wait(2_000)
    expect(world.admit(7)).toHaveProperty('stages')
  })

  it('frees an expired session', () => {
    const world = servedWorld()
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

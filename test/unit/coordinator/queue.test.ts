/** Requests that wait for a chain: whose turn it is, what they are told, and that each is answered once. */

import { describe, expect, it } from 'vitest'
import type { Grant } from '../../../src/protocol/index.ts'
import { required, type SessionId, type Tier } from '../../../src/shared/index.ts'
import { MODEL, peerId, servedWorld, type World } from './world.ts'

const WAIT_MS = 30_000

/** Positions of a session of which few have room. */
const LARGE = 256

/** Large sessions, until there is room for none. */
function fullWorld(): { world: World; open: Grant[] } {
  const world = servedWorld()
  const open: Grant[] = []
  for (let index = 100; ; index++) {
    const answer = world.admit(index, 10, LARGE - 10)
    if (!('stages' in answer)) break
    open.push(answer)
  }
  world.refusals.length = 0
  expect(open.length).toBeGreaterThan(2)
  return { world, open }
}

interface Asked {
  readonly tier?: Tier
  readonly tokens?: number
  readonly waitMs?: number
  readonly sessionId?: SessionId
}

function ask(world: World, index: number, { tier = 'standard', tokens = LARGE, waitMs = WAIT_MS, sessionId }: Asked = {}): void {
  if (!world.tabs.has(peerId(index))) world.connect(index)
  const message = {
    type: 'admit',
    requestId: `of ${index}`,
    modelId: MODEL.modelId,
    promptTokens: 10,
    maxTokens: tokens - 10,
    tier,
    waitMs,
  } as const
  world.feed({ kind: 'message', peerId: peerId(index), message, ...(sessionId !== undefined && { sessionId }) })
}

const driversOf = (world: World) => [...world.grants.values()].map(({ driver }) => Number.parseInt(driver, 16))
const first = (grants: Grant[]) => required(grants.shift(), 'an open session')

describe('a request that finds no room', () => {
  it('[C34] waits where it says so, and is refused at once where it does not', () => {
    const { world, open } = fullWorld()
    ask(world, 9, { waitMs: 0 })
    expect(world.refusals).toMatchObject([{ requestId: 'of 9', reason: 'busy' }])
    ask(world, 8)
    expect(world.refusals).toHaveLength(1)
    expect(world.places).toEqual([['of 8', 0]])
    world.end(first(open))
    world.wait(1_000)
    expect(driversOf(world)).toContain(8)
    expect(world.refusals).toHaveLength(1)
  })

  it('[C34] is refused when it has waited for as long as it would, with what is missing still', () => {
    const { world } = fullWorld()
    ask(world, 8, { waitMs: 5_000 })
    world.wait(4_000)
    expect(world.refusals).toEqual([])
    world.wait(2_000)
    expect(world.refusals).toMatchObject([{ requestId: 'of 8', reason: 'busy', retryAfterMs: 2_000 }])
    world.wait(60_000)
    expect(world.refusals).toHaveLength(1)
  })

  it('[C34] is refused at once for what no waiting mends', () => {
    const { world } = fullWorld()
    ask(world, 8, { tokens: 1_025 })
    expect(world.refusals).toMatchObject([{ reason: 'too-large' }])
    ask(world, 7)
    for (const index of [1, 2]) world.disconnect(index)
    world.wait(1_000)
    expect(world.refusals.at(-1)).toMatchObject({ requestId: 'of 7', reason: 'no-volunteers' })
  })

  it('[C35] has its turn by its tier, and among equals by when it came', () => {
    const { world, open } = fullWorld()
    for (const [index, tier] of [
      [11, 'spot'],
      [12, 'standard'],
      [13, 'priority'],
      [14, 'priority'],
    ] as const)
      ask(world, index, { tier, waitMs: 60_000 })
    const order: number[] = []
    for (const grant of open) {
      world.end(grant)
      world.wait(2_000)
      order.push(...driversOf(world).filter((driver) => driver < 100 && !order.includes(driver)))
    }
    expect(order).toEqual([13, 14, 12, 11])
  })

  it('[C35] keeps its turn from who comes when there is room again', () => {
    const { world, open } = fullWorld()
    ask(world, 8)
    world.end(first(open))
    // In the same moment: what has ended is known, and nobody has been tried again.
    ask(world, 9)
    expect(driversOf(world)).not.toContain(9)
    world.wait(1_000)
    expect(driversOf(world)).toContain(8)
    expect(world.places.filter(([requestId]) => requestId === 'of 9').at(-1)).toEqual(['of 9', 0])
  })

  it('[C35] gets no room that stages may not have heard of, but for half a second', () => {
    const { world, open } = fullWorld()
    ask(world, 8)
    world.wait(1_000)
    world.end(first(open))
    world.wait(250)
    expect(driversOf(world)).not.toContain(8)
    world.wait(500)
    expect(driversOf(world)).toContain(8)
  })

  it('[C35] keeps no smaller one from the room that is too small for it', () => {
    const { world, open } = fullWorld()
    // Some of a large session's room goes to a small one.
    world.end(first(open))
    world.wait(2_000)
    ask(world, 7, { tokens: 64, waitMs: 0 })
    expect(driversOf(world)).toContain(7)
    ask(world, 8, { tier: 'priority' })
    expect(driversOf(world)).not.toContain(8)
    ask(world, 9, { tier: 'spot', tokens: 64 })
    expect(driversOf(world)).toContain(9)
  })

  it('[C34] hears its place, and again when that has changed, once a second at most', () => {
    const { world } = fullWorld()
    for (const index of [5, 6, 7]) ask(world, index)
    expect(world.places).toEqual([
      ['of 5', 0],
      ['of 6', 1],
      ['of 7', 2],
    ])
    world.say(5, { type: 'withdraw', requestId: 'of 5' })
    world.wait(2_000)
    expect(world.places.slice(3)).toEqual([
      ['of 6', 0],
      ['of 7', 1],
    ])
  })

  it('[C34] may be taken back, by its own requester alone, and goes with its socket', () => {
    const { world, open } = fullWorld()
    const id = (digit: string) => digit.repeat(32) as SessionId
    ask(world, 5, { sessionId: id('5') })
    ask(world, 6, { sessionId: id('6') })
    world.sessionEvents.length = 0
    world.say(6, { type: 'withdraw', requestId: 'of 5' })
    expect(world.refusals).toEqual([])
    world.say(5, { type: 'withdraw', requestId: 'of 5' })
    world.say(5, { type: 'withdraw', requestId: 'of 5' })
    expect(world.refusals).toMatchObject([{ requestId: 'of 5', reason: 'cancelled' }])
    world.disconnect(6)
    expect(world.sessionEvents).toEqual([
      { kind: 'refused', sessionId: id('5') },
      { kind: 'refused', sessionId: id('6') },
    ])
    world.end(first(open))
    world.wait(2_000)
    expect(driversOf(world).filter((driver) => driver < 100)).toEqual([])
  })

  it('[C34] may not wait in any number for one requester', () => {
    const { world } = fullWorld()
    world.connect(8)
    const message = { type: 'admit', modelId: MODEL.modelId, promptTokens: 10, maxTokens: 1_000, waitMs: WAIT_MS } as const
    for (let request = 0; request < 20; request++) world.say(8, { ...message, requestId: `${request}` })
    expect(world.refusals.map(({ requestId }) => requestId)).toEqual(['16', '17', '18', '19'])
  })

  it('[C34] for tabs that it may not have waits, and keeps nobody from those that others may', () => {
    const { world, open } = fullWorld()
    world.connect(8)
    const message = {
      type: 'admit',
      requestId: 'of 8',
      modelId: MODEL.modelId,
      promptTokens: 10,
      maxTokens: LARGE - 10,
      waitMs: WAIT_MS,
    } as const
    world.feed({ kind: 'message', peerId: peerId(8), message, mayServe: () => false })
    expect(world.refusals).toMatchObject([{ requestId: 'of 8', reason: 'no-volunteers' }])
    // Some of those that it may have serve each layer, and have no room.
    world.feed({ kind: 'message', peerId: peerId(8), message: { ...message, requestId: 'again' }, mayServe: () => true })
    ask(world, 9)
    world.end(first(open))
    world.end(first(open))
    world.wait(1_000)
    expect(driversOf(world)).toEqual(expect.arrayContaining([8, 9]))
  })

  it('[E2] is one that may be held for, as one that gets a chain is, and no other', () => {
    const { world } = fullWorld()
    world.connect(8)
    const message = { type: 'admit', requestId: 'r', modelId: MODEL.modelId, promptTokens: 10, maxTokens: 1_000 } as const
    const mayAdmit = (waitMs: number, maxTokens = 1_000) => world.core.mayAdmit(peerId(8), { ...message, maxTokens, waitMs }, world.nowMs)
    expect([mayAdmit(0), mayAdmit(1), mayAdmit(1, 2_000)]).toEqual([false, true, false])
  })
})

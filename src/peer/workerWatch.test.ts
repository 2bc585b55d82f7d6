import { describe, expect, it } from 'vitest'
import type { Load } from '../network/index.ts'
import { ManualClock } from '../shared/index.ts'
import { WorkerWatch } from './workerWatch.ts'

const PING_MS = 2_000
const FIRST: Load = { sessions: 1, kvPositionsFree: 64 }

/** A page whose worker answers when the test says so; `pings` are answers in the order of their pings, `?` for one that is pending. */
function setUp() {
  const clock = new ManualClock()
  const asked: ((load: Load) => void)[] = []
  let hangs = 0
  const watch = new WorkerWatch({ ask: () => new Promise((resolve) => asked.push(resolve)), onHung: () => hangs++, clock })
  const pings: (Load | null | '?')[] = []
  const ping = async (afterMs = PING_MS) => {
    clock.advance(afterMs)
    const index = pings.push('?') - 1
    void watch.load().then((load) => {
      pings[index] = load
    })
    for (let turn = 0; turn < 5; turn++) await Promise.resolve()
  }
  const answer = async (load: Load) => {
    asked.shift()?.(load)
    for (let turn = 0; turn < 5; turn++) await Promise.resolve()
  }
  return { ping, answer, pings, asked, hangs: () => hangs }
}

/** Of a worker that has answered one ping and hangs since. */
async function hanging() {
  const page = setUp()
  await page.ping()
  await page.answer(FIRST)
  await page.ping()
  return page
}

describe('WorkerWatch', () => {
  it('[C27] answers each ping with what the worker says then', async () => {
    const { ping, answer, pings } = setUp()
    await ping()
    expect(pings).toEqual(['?'])
    await answer(FIRST)
    await ping()
    await answer({ sessions: 0, kvPositionsFree: 96 })
    expect(pings).toEqual([FIRST, { sessions: 0, kvPositionsFree: 96 }])
  })

  it('[C27] answers for a worker that computes for a few seconds, and for none that is silent for longer', async () => {
    const { ping, pings } = await hanging()
    await ping()
    await ping()
    expect(pings.slice(1)).toEqual(['?', FIRST, null])
  })

  it('[C27] gives a worker up that answers nothing for eight seconds, once, and no sooner', async () => {
    const { ping, hangs } = await hanging()
    for (let count = 0; count < 3; count++) await ping()
    expect(hangs()).toBe(0)
    await ping()
    expect(hangs()).toBe(1)
    await ping()
    expect(hangs()).toBe(1)
  })

  it('[C27] has patience anew with a worker that answered at last', async () => {
    const { ping, answer, pings, hangs } = await hanging()
    for (let count = 0; count < 3; count++) await ping()
    await answer({ sessions: 3, kvPositionsFree: 32 })
    expect(pings.at(1)).toEqual({ sessions: 3, kvPositionsFree: 32 })
    for (let count = 0; count < 4; count++) await ping()
    expect(hangs()).toBe(0)
  })

  it('[C27] takes a heap of pings after a sleep for one', async () => {
    const { ping, hangs, asked } = await hanging()
    await ping(600_000)
    for (let count = 0; count < 50; count++) await ping(1)
    expect(hangs()).toBe(0)
    expect(asked).toHaveLength(1)
  })
})

/** What a driver's word is worth: who is lost is noticed by it, and whoever lies with it takes nobody's volunteers away. */

import { describe, expect, it } from 'vitest'
import type { Grant } from '../../../src/protocol/index.ts'
import { peerId, servedWorld, World } from './world.ts'

const STEP_MS = 10
const DURATION_MS = 20_000

function grantOf(world: World, driver: number): Grant {
  const grant = world.admit(driver)
  if (!('stages' in grant)) throw new Error(grant.message)
  return grant
}

const now = (world: World, { sessionId }: Grant) => world.grants.get(sessionId) as Grant

/** Drivers that call every stage of their chains lost, each `everyMs`; all tabs answer pings after `roundTripMs`. */
function accuse(options: { everyMs: number; roundTripMs: number; volunteers: number; drivers: number }) {
  const { everyMs, roundTripMs, volunteers, drivers } = options
  const world = new World()
  for (let index = 1; index <= volunteers; index++) world.pledge(index)
  world.serveAll()
  const grants = Array.from({ length: drivers }, (_, index) => grantOf(world, 20 + index))
  let pings: { atMs: number; tab: Grant['driver']; sequence: number }[] = []
  const carry: typeof world.feed = (event) => {
    const effects = world.feed(event)
    for (const effect of effects)
      if (effect.kind === 'send' && effect.message.type === 'ping')
        pings.push({ atMs: world.nowMs + roundTripMs, tab: effect.peerId, sequence: effect.message.sequence })
    return effects
  }
  let [asked, served] = [0, 0]
  for (let ms = 0; ms < DURATION_MS; ms += STEP_MS) {
    world.nowMs += STEP_MS
    if (ms % 250 === 0) carry({ kind: 'tick' })
    if (ms % everyMs === 0)
      for (const grant of grants) {
        const { sessionId, driver, revision, stages } = now(world, grant)
        const lostPeerIds = stages.map((stage) => stage.peerId)
        const message = { type: 'repair', requestId: `${driver} ${ms}`, sessionId, revision, lostPeerIds } as const
        carry({ kind: 'message', peerId: driver, message })
      }
    const due = pings.filter(({ atMs }) => atMs <= world.nowMs)
    pings = pings.filter(({ atMs }) => atMs > world.nowMs)
    for (const { tab, sequence } of due)
      carry({ kind: 'message', peerId: tab, message: { type: 'pong', sequence, sessions: 0, kvPositionsFree: 1_000 } })
    if (ms % 100 !== 0) continue
    const other = world.admit(8)
    asked++
    if (!('stages' in other)) continue
    served++
    world.end(other)
  }
  return { world, servedShare: served / asked }
}

describe('a driver that accuses who answers', () => {
  it.each([
    { everyMs: 20, roundTripMs: 50, volunteers: 2, drivers: 1 },
    { everyMs: 20, roundTripMs: 50, volunteers: 6, drivers: 1 },
    { everyMs: 100, roundTripMs: 150, volunteers: 2, drivers: 1 },
    { everyMs: 20, roundTripMs: 150, volunteers: 6, drivers: 2 },
    { everyMs: 100, roundTripMs: 150, volunteers: 2, drivers: 20 },
  ])(
    '[C15][C23] has nobody closed and leaves the volunteers to others: $drivers, each $everyMs ms, against $volunteers of $roundTripMs ms',
    (attack) => {
      const { world, servedShare } = accuse(attack)
      expect(world.closed).toEqual([])
      expect(servedShare).toBeGreaterThan(0.9)
    },
  )

  it('[C23] is refused by name, and told when to ask again', () => {
    const { world } = accuse({ everyMs: 20, roundTripMs: 50, volunteers: 2, drivers: 1 })
    const refused = world.refusals.filter(({ reason }) => reason === 'too-many-repairs')
    expect(refused.length).toBeGreaterThan(100)
    for (const { retryAfterMs } of refused) expect(retryAfterMs).toBeGreaterThan(0)
    for (const { retryAfterMs } of refused) expect(retryAfterMs).toBeLessThanOrEqual(1_000)
  })

  it('[C15] neither asks for a newer answer nor prolongs the suspicion by repeating it', () => {
    const world = servedWorld()
    const grant = grantOf(world, 9)
    const repair = () =>
      world
        .feed({
          kind: 'message',
          peerId: grant.driver,
          message: { type: 'repair', requestId: 'r', sessionId: grant.sessionId, revision: 0, lostPeerIds: [peerId(2)] },
        })
        .flatMap((effect) => (effect.kind === 'send' && effect.message.type === 'ping' ? [effect.message.sequence] : []))
    const [first] = repair()
    expect(first).toBeGreaterThan(0)
    world.nowMs += 1_000
    expect(repair()).toEqual([])
    expect(world.admit(8)).toMatchObject({ reason: 'incomplete' })
    world.say(2, { type: 'pong', sequence: first ?? 0, sessions: 1, kvPositionsFree: 1_000 })
    expect(world.admit(8)).toHaveProperty('stages')
  })

  it('[C15] drops 3 s after the first accusation who answers nothing, however often it is repeated', () => {
    const world = servedWorld()
    const grant = grantOf(world, 9)
    for (let ms = 0; ms < 3_000; ms += 250) {
      world.repair(grant, 2)
      expect(world.closed).toEqual([])
      world.wait(250, [2])
    }
    expect(world.closed).toMatchObject([{ peerId: peerId(2), reason: 'silent' }])
  })

  it('[C23] is believed of four peers at once, while its own repair is still done without all that it names', () => {
    const world = new World({ stagesMin: 6 })
    for (let index = 1; index <= 24; index++) world.pledge(index)
    world.serveAll()
    const grant = grantOf(world, 30)
    const lost = grant.stages.map((stage) => Number.parseInt(stage.peerId, 16))
    expect(lost).toHaveLength(6)
    world.repair(grant, ...lost)
    const states = world.core.summary(world.nowMs).swarms[0]?.volunteers.map(({ state }) => state)
    expect(states?.filter((state) => state === 'away')).toHaveLength(4)
    expect(now(world, grant)).toMatchObject({ revision: 1 })
    for (const { peerId: id } of now(world, grant).stages) expect(lost.map(peerId)).not.toContain(id)
  })

  it('[C23] is believed again after every time that it was right, and not after four in vain', () => {
    const believed = (isSilent: boolean) => {
      const world = new World()
      for (let index = 1; index <= 12; index++) world.pledge(index)
      world.serveAll()
      const grant = grantOf(world, 30)
      let count = 0
      for (let round = 0; round < 5; round++) {
        const lost = Number.parseInt(now(world, grant).stages[0]?.peerId ?? '', 16)
        world.repair(now(world, grant), lost)
        const away = world.core.summary(world.nowMs).swarms[0]?.volunteers.filter(({ state }) => state === 'away').length
        if (away === 1) count++
        world.wait(3_250, isSilent ? [lost] : [])
        world.serveAll()
      }
      return count
    }
    expect(believed(true)).toBe(5)
    expect(believed(false)).toBe(4)
  })
})

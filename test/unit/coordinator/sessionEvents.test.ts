/** What the core tells of sessions to whoever accounts for them: it asks nobody, and says what it saw itself. */

import { describe, expect, it } from 'vitest'
import type { Grant } from '../../../src/protocol/index.ts'
import { required, type SessionId } from '../../../src/shared/index.ts'
import { MODEL, peerId, World } from './world.ts'

/** Four volunteers hold halves of the model; 9 has a session over two of them. */
function open(): { world: World; grant: Grant } {
  const world = new World()
  for (let index = 1; index <= 4; index++) world.pledge(index)
  world.serveAll()
  const grant = world.admit(9)
  if (!('stages' in grant)) throw new Error(grant.message)
  return { world, grant }
}

const indexOf = (grant: Grant, stage: number) => Number.parseInt(required(grant.stages[stage], `stage ${stage}`).peerId, 16)
const now = (world: World, { sessionId }: Grant) => required(world.grants.get(sessionId), 'the grant')
const closed = ({ sessionId }: Grant, outcome: string, sawFailure = false) => ({ kind: 'closed', sessionId, outcome, sawFailure })

describe('what the core tells of sessions', () => {
  it('each opens once and closes once, by the driver’s word', () => {
    const { world, grant } = open()
    expect(world.sessionEvents).toEqual([{ kind: 'opened', grant }])
    world.end(grant)
    world.end(grant)
    expect(world.sessionEvents).toEqual([{ kind: 'opened', grant }, closed(grant, 'finished')])
  })

  it('a session bears the id that its caller has for it, and asking whether it may be admitted changes nothing', () => {
    const { world } = open()
    const sessionId = 'ab'.repeat(16) as SessionId
    const message = { type: 'admit', requestId: 'r', modelId: MODEL.modelId, promptTokens: 3, maxTokens: 4 } as const
    world.connect(8)
    for (let asked = 0; asked < 10; asked++) expect(world.core.mayAdmit(peerId(8), message, world.nowMs)).toBe(true)
    expect(world.core.mayAdmit(peerId(8), { ...message, promptTokens: 0 }, world.nowMs)).toBe(false)
    world.feed({ kind: 'message', peerId: peerId(8), message, sessionId })
    expect(world.sessionEvents.at(-1)).toMatchObject({ kind: 'opened', grant: { sessionId } })
  })

  it('nothing opens where admission refuses', () => {
    const world = new World()
    expect(world.admit(9)).toMatchObject({ reason: 'no-volunteers' })
    expect(world.sessionEvents).toEqual([])
  })

  it.each([
    ['that is gone', 'disconnect', false],
    ['that drains', 'drain', true],
  ] as const)('a repair names a stage %s, and whether it had said so', (_, how, announced) => {
    const { world, grant } = open()
    const lost = indexOf(grant, 0)
    world[how](lost)
    world.repair(grant, lost)
    expect(world.sessionEvents.at(-1)).toEqual({ kind: 'repaired', grant: now(world, grant), left: [{ peerId: peerId(lost), announced }] })
  })

  it('who drains and then goes has said so', () => {
    const { world, grant } = open()
    const lost = indexOf(grant, 1)
    world.drain(lost)
    world.disconnect(lost)
    world.repair(grant, lost)
    expect(world.sessionEvents.at(-1)).toMatchObject({ kind: 'repaired', left: [{ peerId: peerId(lost), announced: true }] })
  })

  it('a stage that only the driver calls lost has not left', () => {
    const { world, grant } = open()
    const accused = indexOf(grant, 0)
    world.repair(grant, accused)
    expect(now(world, grant).stages[0]?.peerId).not.toBe(peerId(accused))
    expect(world.sessionEvents.at(-1)).toMatchObject({ kind: 'repaired', left: [] })
  })

  it('[E6] the network has failed an answer that nobody could go on with, and not one that its driver calls failed', () => {
    const accused = open()
    accused.world.end(accused.grant, peerId(indexOf(accused.grant, 0)))
    expect(accused.world.sessionEvents.at(-1)).toEqual(closed(accused.grant, 'failed'))

    const { world, grant } = open()
    for (let index = 1; index <= 4; index++) world.disconnect(index)
    world.repair(grant, indexOf(grant, 0))
    world.wait(13_000)
    expect(world.refusals).toMatchObject([{ reason: 'incomplete' }])
    world.end(grant, peerId(indexOf(grant, 0)))
    expect(world.sessionEvents.at(-1)).toEqual(closed(grant, 'failed', true))
  })

  it('a session that went on after all has not failed', () => {
    const { world, grant } = open()
    for (let index = 1; index <= 4; index++) world.disconnect(index)
    world.repair(grant, indexOf(grant, 0))
    world.wait(13_000)
    for (let index = 5; index <= 8; index++) world.pledge(index)
    world.serveAll()
    world.repair(grant, indexOf(grant, 0))
    expect(now(world, grant).revision).toBe(1)
    world.end(now(world, grant), peerId(5))
    expect(world.sessionEvents.at(-1)).toEqual(closed(grant, 'failed'))
  })

  it('a driver that does not come back leaves its session vanished', () => {
    const { world, grant } = open()
    world.wait(1_000)
    world.disconnect(9)
    world.wait(31_000)
    expect(world.sessionEvents.at(-1)).toEqual(closed(grant, 'vanished'))
  })
})

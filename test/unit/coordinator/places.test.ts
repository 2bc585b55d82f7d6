/** Who gets in when all places are taken: one network must not keep out all others. */

import { describe, expect, it } from 'vitest'
import { CROWD_MIN, PEERS_MAX } from '../../../src/coordinator/core/limits.ts'
import { peerId, WHOLE_BYTES, World } from './world.ts'

const CROWD = '203.0.113.0/24'
const NEWCOMER = 9_999

/** So many tabs of one network, and of each other network one, until all places are taken. Tabs 1 … `crowd` are the crowd's. */
function fullWorld(crowd: number, volunteers = 0): World {
  const world = new World({ stagesMin: 1 })
  for (let index = 1; index <= PEERS_MAX; index++) {
    world.connect(index, index <= crowd ? CROWD : `198.51.${index}.0/24`)
    if (index <= volunteers) {
      world.pledge(index, WHOLE_BYTES)
      world.serveAll()
    }
  }
  expect(world.closed).toEqual([])
  return world
}

describe('[C33] when all places are taken', () => {
  it('a newcomer of another network takes the place of the first idle tab of the largest, which is told why', () => {
    const world = fullWorld(PEERS_MAX, 2)
    world.connect(NEWCOMER, '192.0.2.0/24')
    expect(world.closed).toEqual([{ peerId: peerId(3), reason: 'crowded-out', message: expect.stringMatching(/1000 tabs.*network/) }])
    expect(world.admit(NEWCOMER)).toMatchObject({ stages: [{ endLayer: 12 }] })
  })

  it('one of the largest network itself finds it full, and so does any where no network has more than two', () => {
    const crowded = fullWorld(PEERS_MAX)
    crowded.connect(NEWCOMER, CROWD)
    expect(crowded.closed).toMatchObject([{ peerId: peerId(NEWCOMER), reason: 'full' }])
    const mixed = fullWorld(1)
    mixed.connect(NEWCOMER, '192.0.2.0/24')
    expect(mixed.closed).toMatchObject([{ peerId: peerId(NEWCOMER), reason: 'full' }])
  })

  it('two networks do not take places from each other for ever', () => {
    const world = fullWorld(PEERS_MAX)
    for (let index = 0; index < PEERS_MAX; index++) world.connect(NEWCOMER + index, '192.0.2.0/24')
    const gone = world.closed.filter(({ reason }) => reason === 'crowded-out')
    expect(gone).toHaveLength(PEERS_MAX / 2)
    expect(gone.every(({ peerId: id }) => Number.parseInt(id, 16) < NEWCOMER)).toBe(true)
  })

  it('who has a session stays, as driver or stage, though all others serve', () => {
    const world = fullWorld(CROWD_MIN, CROWD_MIN)
    const grant = world.admit(CROWD_MIN)
    if (!('stages' in grant)) throw new Error(grant.message)
    const engaged = [peerId(CROWD_MIN), ...grant.stages.map((stage) => stage.peerId)]
    world.connect(NEWCOMER, '192.0.2.0/24')
    expect(world.closed).toMatchObject([{ reason: 'crowded-out' }])
    const [closed] = world.closed
    expect(Number.parseInt(closed?.peerId ?? '', 16)).toBeLessThan(CROWD_MIN)
    expect(engaged).not.toContain(closed?.peerId)
  })

  it('who serves stays where no network has a quarter of all places', () => {
    const crowd = CROWD_MIN - 1
    const world = fullWorld(crowd, crowd)
    world.connect(NEWCOMER, '192.0.2.0/24')
    expect(world.closed).toMatchObject([{ peerId: peerId(NEWCOMER), reason: 'full' }])
  })
})

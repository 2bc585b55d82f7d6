/** What pages that show the swarm are told, and how often. */

import { describe, expect, it } from 'vitest'
import { World } from './world.ts'

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

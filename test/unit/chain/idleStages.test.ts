/** Stages that answer every ping and do not do their part: the answer goes on without them, and few others are blamed. */

import { describe, expect, it } from 'vitest'
import type { Frame } from '../../../src/protocol/index.ts'
import type { PeerId } from '../../../src/shared/index.ts'
import { answer, reference } from './answers.ts'
import { peerId, World } from './world.ts'

/** Changes what one peer says. */
function lie(world: World, liar: PeerId, say: (frame: Frame) => Frame | null): void {
  world.tamper = (frame, from) => (from === liar ? say(frame) : frame)
}

/** The stage gives room for so many rows, and never for more. */
const noRoomBeyond = (windowRows: number) => (frame: Frame) => {
  if (frame.type === 'window') return null
  return frame.type === 'opened' ? { ...frame, windowRows } : frame
}

describe('a first stage that never has room', () => {
  // A prompt of 37 rows comes in chunks of 10.
  it.each([0, 5, 10, 25, 40])('[R9] for more than %i rows is replaced, and the answer is the same', async (windowRows) => {
    const world = new World(4)
    lie(world, peerId(1), noRoomBeyond(windowRows))
    const { ids, requests } = await answer(world, 2, () => undefined, 130)
    expect(ids).toEqual(await reference())
    expect(requests.map(({ lostPeerIds }) => lostPeerIds)).toEqual([[peerId(1)]])
  })
})

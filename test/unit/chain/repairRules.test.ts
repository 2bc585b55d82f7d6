/** What one stage does when its session is opened again: played by hand against a chain of one, whose driver is on both sides. */

import { describe, expect, it } from 'vitest'
import { type Frame, type Grant, REPAIR_WAIT_MS, WINDOW_ROWS } from '../../../src/protocol/index.ts'
import { required } from '../../../src/shared/index.ts'
import { fakeConfig } from './fakeEngine.ts'
import { DRIVER, peerId, type TestLink, World } from './world.ts'

interface Bench {
  readonly world: World
  readonly link: TestLink
  readonly grant: Grant
  /** All that the stage has sent since it was asked last. */
  hear(): Promise<Frame[]>
  open(grant: Grant): Promise<void>
  opened(revision: number, nextPosition: number, windowRows?: number): void
  /** Token ids from this position on; the candidates of all of them are wanted. */
  rows(firstPosition: number, ...ids: number[]): void
}

async function bench(): Promise<Bench> {
  const world = new World(1)
  const link = world.connect(DRIVER, peerId(1))
  link.listen({ onFrame: () => undefined, onClose: () => undefined })
  const { sent } = required(
    world.links.find(({ atFrom }) => atFrom === link),
    'the link',
  ).atTo
  const grant = world.grant()
  const { sessionId } = grant
  let heard = 0
  return {
    world,
    link,
    grant,
    async hear() {
      await world.settle()
      const frames = sent.slice(heard).filter(({ type }) => type !== 'lap')
      heard = sent.length
      return frames
    },
    async open(granted) {
      link.sendFrame({ type: 'open', sessionId, epoch: 0, length: granted.maxPositions, grant: await world.sign(granted) })
      await world.settle()
    },
    opened: (revision, nextPosition, windowRows = WINDOW_ROWS) =>
      link.sendFrame({ type: 'opened', sessionId, revision, nextPosition, windowRows }),
    rows(firstPosition, ...ids) {
      const payload = new Uint8Array(Uint32Array.from(ids).buffer)
      const counts = { firstPosition, rowCount: ids.length, resultCount: ids.length }
      link.sendFrame({ type: 'rows', sessionId, epoch: 0, ...counts, kind: 'decode', encoding: 'tokens', payload })
    },
  }
}

const typesOf = (frames: readonly Frame[]) => frames.map(({ type }) => type)
const resultPositions = (frames: readonly Frame[]) =>
  frames.flatMap((frame) => (frame.type === 'results' ? Array.from({ length: frame.rowCount }, (_, row) => frame.firstPosition + row) : []))

describe('a session that is opened again', () => {
  it('[R2] takes no word of another revision for its own', async () => {
    const { grant, hear, open, opened, rows } = await bench()
    await open(grant)
    opened(5, 0)
    expect(typesOf(await hear())).toEqual(['open'])
    opened(0, 0)
    rows(0, 1, 2)
    expect(typesOf(await hear())).toEqual(['opened', 'results'])
  })

  it('[R4] keeps what it computed, and sends out of its log what is wanted of it', async () => {
    const { world, grant, hear, open, opened, rows } = await bench()
    await open(grant)
    opened(0, 0)
    rows(0, 1, 2, 3)
    const before = await hear()
    await open({ ...grant, revision: 1 })
    opened(1, 1)
    const after = await hear()
    expect(after.find(({ type }) => type === 'opened')).toMatchObject({ revision: 1, nextPosition: 3 })
    expect(resultPositions(after)).toEqual([1, 2])
    const payloads = (frames: readonly Frame[]) => frames.flatMap((frame) => (frame.type === 'results' ? [...frame.payload] : []))
    expect(payloads(after)).toEqual(payloads(before).slice(payloads(before).length / 3))
    expect(required(world.stages[0], 'the stage').engine.passes).toEqual([[3]])
    rows(3, 4)
    expect(resultPositions(await hear())).toEqual([3])
  })

  it('[R7] computes again what it lost, and sends nothing that its downstream has', async () => {
    const { world, grant, hear, open, opened, rows } = await bench()
    await open(grant)
    opened(0, 0)
    rows(0, 1, 2, 3)
    await hear()
    const { host, engine } = required(world.stages[0], 'the stage')
    await host.stop()
    host.serve({ manifestHash: grant.manifestHash, span: { firstLayer: 0, endLayer: fakeConfig.layerCount }, config: fakeConfig })
    await hear()
    await open({ ...grant, revision: 1 })
    opened(1, 2)
    expect((await hear()).find(({ type }) => type === 'opened')).toMatchObject({ nextPosition: 0 })
    rows(0, 1, 2, 3)
    expect(resultPositions(await hear())).toEqual([2])
    expect(engine.passes).toEqual([[3], [3]])
  })

  it('[R8] counts rows anew, and ignores a window of before', async () => {
    const { grant, hear, link, open, opened, rows } = await bench()
    await open(grant)
    opened(0, 0)
    rows(0, 1, 2, 3, 4)
    await hear()
    await open({ ...grant, revision: 1 })
    link.sendFrame({ type: 'window', sessionId: grant.sessionId, windowRows: 1_000_000 })
    opened(1, 0, 1)
    expect(resultPositions(await hear())).toEqual([0])
    link.sendFrame({ type: 'window', sessionId: grant.sessionId, windowRows: 3 })
    expect(resultPositions(await hear())).toEqual([1, 2])
  })

  it('[G8][G11] takes no grant of before, and none that changes the session', async () => {
    const { world, grant, hear, open, opened, rows } = await bench()
    await open(grant)
    opened(0, 0)
    rows(0, 1)
    await open({ ...grant, revision: 1 })
    opened(1, 1)
    await hear()
    await open(grant)
    expect(await hear()).toEqual([])
    await open({ ...grant, revision: 2, maxPositions: 2_000 })
    expect(await hear()).toMatchObject([{ type: 'failed', reason: 'bad-grant' }])
    rows(1, 2)
    expect(resultPositions(await hear())).toEqual([1])
    expect(world.openSlots()).toBe(1)
  })

  it('[S11] waits half a minute for its driver, then frees everything', async () => {
    const { world, grant, hear, link, open, opened, rows } = await bench()
    await open(grant)
    opened(0, 0)
    rows(0, 1)
    await hear()
    link.close({ reason: 'lost', detail: 'cut' })
    world.clock.advance(REPAIR_WAIT_MS - 1)
    expect(world.openSlots()).toBe(1)
    world.clock.advance(1)
    expect(world.openSlots()).toBe(0)
  })

  it('[R9] answers pings from its driver, and passes those on that came through the chain', async () => {
    const { grant, hear, link, open, opened } = await bench()
    const { sessionId } = grant
    await open(grant)
    opened(0, 0)
    await hear()
    link.sendFrame({ type: 'ping', sessionId, sequence: 7, through: false })
    expect(await hear()).toEqual([{ type: 'pong', sessionId, sequence: 7, through: false }])
  })
})

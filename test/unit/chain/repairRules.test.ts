/** What one stage does when its session is opened again: played by hand against a chain of one, whose driver is on both sides. */

import { describe, expect, it } from 'vitest'
import { DRAIN_IDLE_MS, encodeRows, type Frame, type Grant, REPAIR_WAIT_MS, WINDOW_ROWS } from '../../../src/protocol/index.ts'
import { required } from '../../../src/shared/index.ts'
import { fakeConfig } from './fakeEngine.ts'
import type { TestLink } from './testLink.ts'
import { DRIVER, peerId, World } from './world.ts'

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

/** Keeps a stage's next passes under way until the returned function is called. */
function hold(world: World, stage: number): () => void {
  let release: () => void = () => undefined
  required(world.stages[stage], `stage ${stage}`).engine.gate = new Promise((resolve) => {
    release = resolve
  })
  return release
}

describe('a session that is opened again', () => {
  it('[R13] sends the rows of a pass that was under way once, when its downstream has answered', async () => {
    const { world, grant, hear, open, opened, rows } = await bench()
    await open(grant)
    opened(0, 0)
    await hear()
    const release = hold(world, 0)
    rows(0, 1, 2)
    await world.settle()
    await open({ ...grant, revision: 1 })
    release()
    expect(resultPositions(await hear())).toEqual([])
    opened(1, 0)
    expect(resultPositions(await hear())).toEqual([0, 1])
  })

  it('[R13][W1] sends the rows of a pass that was under way behind those that wait for room', async () => {
    const { world, link, grant, hear, open, opened, rows } = await bench()
    await open(grant)
    opened(0, 0)
    rows(0, 1, 2, 3)
    await hear()
    const release = hold(world, 0)
    rows(3, 4, 5)
    await world.settle()
    await open({ ...grant, revision: 1 })
    opened(1, 0, 2)
    expect(resultPositions(await hear())).toEqual([0, 1])
    release()
    expect(resultPositions(await hear())).toEqual([])
    link.sendFrame({ type: 'window', sessionId: grant.sessionId, windowRows: 4 })
    expect(resultPositions(await hear())).toEqual([2, 3])
    link.sendFrame({ type: 'window', sessionId: grant.sessionId, windowRows: 20 })
    expect(resultPositions(await hear())).toEqual([4])
  })

  it.each([1_000_000, 150])(
    '[R5][R13] tells its upstream where to go on once the pass under way has shown what a log of %i bytes keeps',
    async (logBytesMax) => {
      const world = new World(2, { logBytesMax })
      const [upstream, driver] = [world.connect(peerId(1), peerId(2)), world.connect(DRIVER, peerId(2))]
      for (const link of [upstream, driver]) link.listen({ onFrame: () => undefined, onClose: () => undefined })
      const heardBy = (link: TestLink) => required(world.links.find(({ atFrom }) => atFrom === link)?.atTo, 'the link').sent
      const grant = world.grant({ stageCount: 2 })
      const { sessionId } = grant
      const open = async (granted: Grant) => {
        const signed = await world.sign(granted)
        for (const link of [driver, upstream])
          link.sendFrame({ type: 'open', sessionId, epoch: 0, length: granted.maxPositions, grant: signed })
        await world.settle()
      }
      const rows = async (firstPosition: number, rowCount: number) => {
        const payload = encodeRows('f32', new Float32Array(4 * rowCount).fill(1), 4)
        const counts = { firstPosition, rowCount, resultCount: rowCount }
        upstream.sendFrame({ type: 'rows', sessionId, epoch: 0, ...counts, kind: 'decode', encoding: 'f32', payload })
        await world.settle()
      }
      const opened = async (revision: number, nextPosition: number) => {
        driver.sendFrame({ type: 'opened', sessionId, revision, nextPosition, windowRows: WINDOW_ROWS })
        await world.settle()
      }
      await open(grant)
      await opened(0, 0)
      await rows(0, 1)
      const release = hold(world, 1)
      await rows(1, 3)
      await open({ ...grant, revision: 1 })
      release()
      await world.settle()
      await opened(1, 1)
      const answer = heardBy(upstream).findLast((frame) => frame.type === 'opened')
      expect(answer).toMatchObject({ revision: 1, nextPosition: logBytesMax > 150 ? 4 : 2 })
      await rows(answer?.type === 'opened' ? answer.nextPosition : 0, 1)
      expect([...heardBy(upstream), ...heardBy(driver)].filter(({ type }) => type === 'failed')).toEqual([])
    },
  )

  it('[R2] takes no word of another revision for its own', async () => {
    const { grant, hear, open, opened, rows } = await bench()
    await open(grant)
    opened(5, 0)
    expect(typesOf(await hear())).toEqual(['open'])
    opened(0, 0)
    rows(0, 1, 2)
    expect(typesOf(await hear())).toEqual(['opened', 'results'])
  })

  it('[R2] believes nobody who has rows already in the first chain', async () => {
    const { grant, hear, open, opened } = await bench()
    await open(grant)
    opened(0, 1)
    expect(await hear()).toContainEqual(expect.objectContaining({ type: 'failed', message: expect.stringMatching(/position 1/) }))
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

describe('a stage that is new in a chain', () => {
  it('[S8][R3] takes of what its upstream sends in an older epoch only the positions that the driver’s open keeps', async () => {
    const world = new World(2)
    const [upstream, driver] = [world.connect(peerId(1), peerId(2)), world.connect(DRIVER, peerId(2))]
    for (const link of [upstream, driver]) link.listen({ onFrame: () => undefined, onClose: () => undefined })
    const heardBy = (link: TestLink) => required(world.links.find(({ atFrom }) => atFrom === link)?.atTo, 'the link').sent
    const grant = world.grant({ stageCount: 2 })
    const { sessionId } = grant
    const signed = await world.sign(grant)
    const rows = (epoch: number, firstPosition: number, rowCount: number) => {
      const payload = encodeRows('f32', new Float32Array(4 * rowCount).fill(1), 4)
      const counts = { firstPosition, rowCount, resultCount: rowCount }
      upstream.sendFrame({ type: 'rows', sessionId, epoch, ...counts, kind: 'decode', encoding: 'f32', payload })
    }
    // The driver has taken positions back while the chain was opened; the upstream has not heard of it yet.
    driver.sendFrame({ type: 'open', sessionId, epoch: 1, length: 3, grant: signed })
    await world.settle()
    upstream.sendFrame({ type: 'open', sessionId, epoch: 0, length: grant.maxPositions, grant: signed })
    driver.sendFrame({ type: 'opened', sessionId, revision: 0, nextPosition: 0, windowRows: WINDOW_ROWS })
    rows(0, 0, 5)
    await world.settle()
    expect(resultPositions(heardBy(driver))).toEqual([0, 1, 2])
    upstream.sendFrame({ type: 'truncate', sessionId, epoch: 1, length: 3 })
    rows(1, 3, 2)
    await world.settle()
    expect(resultPositions(heardBy(driver))).toEqual([0, 1, 2, 3, 4])
    expect([...heardBy(upstream), ...heardBy(driver)].filter(({ type }) => type === 'failed')).toEqual([])
  })
})

describe('a stage that has to load other layers', () => {
  /** A session that has computed one row, at a stage that is told to drain; `drained` tells when it is empty. */
  async function draining() {
    const at = await bench()
    await at.open(at.grant)
    at.opened(0, 0)
    at.rows(0, 1)
    await at.hear()
    const { host } = required(at.world.stages[0], 'the stage')
    const drained = host.drain()
    const pass = async (ms: number) => {
      at.world.clock.advance(ms)
      return at.hear()
    }
    return { ...at, host, drained, pass }
  }

  it('[S22] ends a session that stands still, and says so', async () => {
    const { host, drained, pass } = await draining()
    expect(typesOf(await pass(DRAIN_IDLE_MS - 1))).not.toContain('failed')
    expect(host.sessionsOpen).toBe(1)
    const said = await pass(DRAIN_IDLE_MS / 3 + 1)
    expect(said.findLast((frame) => frame.type === 'failed')).toMatchObject({ reason: 'stopped' })
    await drained
    expect(host.sessionsOpen).toBe(0)
  })

  it('[S22] waits for one that goes on, and for a pass that takes long', async () => {
    const { world, host, link, grant, drained, pass, rows } = await draining()
    for (let position = 1; position < 4; position++) {
      await pass(DRAIN_IDLE_MS - 1_000)
      rows(position, position)
      await world.settle()
    }
    const release = hold(world, 0)
    rows(4, 4)
    await world.settle()
    expect(typesOf(await pass(4 * DRAIN_IDLE_MS))).not.toContain('failed')
    release()
    await world.settle()
    expect(host.sessionsOpen).toBe(1)
    link.sendFrame({ type: 'close', sessionId: grant.sessionId })
    await world.settle()
    await drained
  })

  it('[S22] ends one whose rows wait for a downstream that is gone', async () => {
    const { host, drained, pass, rows, open, grant } = await draining()
    await open({ ...grant, revision: 1 })
    rows(1, 2)
    await pass(DRAIN_IDLE_MS - 1)
    expect(host.sessionsOpen).toBe(1)
    await pass(DRAIN_IDLE_MS / 3 + 1)
    await drained
    expect(host.sessionsOpen).toBe(0)
  })
})

/** What a stage refuses, and what it says: every peer here but the coordinator may lie. */

import { describe, expect, it } from 'vitest'
import { type Frame, type Grant, type RowsFrame, SESSION_IDLE_MS, type SignedGrant, WINDOW_ROWS } from '../../../src/protocol/index.ts'
import { type ManifestHash, type PeerId, required, type TabswarmError } from '../../../src/shared/index.ts'
import { listening } from './answers.ts'
import type { TestLink } from './testLink.ts'
import { DRIVER, peerId, World } from './world.ts'

/** A session that nothing was truncated in. */
const NEW = { epoch: 0, length: 1_000 }

/** A driver made by hand, beside a chain of one stage. */
interface Bench {
  readonly world: World
  readonly link: TestLink
  readonly grant: Grant
  readonly signed: SignedGrant
  readonly received: Frame[]
}

function sessionOf(grant: Grant) {
  return { sessionId: grant.sessionId }
}

function rowsFrame(grant: Grant, firstPosition: number, ids: readonly number[], change: Partial<RowsFrame> = {}): RowsFrame {
  return {
    type: 'rows',
    ...sessionOf(grant),
    epoch: 0,
    firstPosition,
    rowCount: ids.length,
    kind: 'prompt',
    resultCount: 0,
    encoding: 'tokens',
    payload: new Uint8Array(Uint32Array.from(ids).buffer),
    ...change,
  }
}

/** What the driver has got so far: what the stage's end of its link has sent. */
function listen(world: World, link: TestLink): Frame[] {
  link.listen({ onFrame: () => undefined, onClose: () => undefined })
  return required(
    world.links.find(({ atFrom }) => atFrom === link),
    'link',
  ).atTo.sent
}

async function bench(change: Partial<Grant> = {}, from: PeerId = DRIVER): Promise<Bench> {
  const world = new World(1)
  const link = world.connect(from, peerId(1))
  const received = listen(world, link)
  const grant = world.grant({ change })
  return { world, link, grant, signed: await world.sign(grant), received }
}

/** A session that is open, with a window for its results. */
async function opened(change: Partial<Grant> = {}): Promise<Bench> {
  const made = await bench(change)
  made.link.sendFrame({ type: 'open', ...sessionOf(made.grant), ...NEW, grant: made.signed })
  await made.world.settle()
  made.link.sendFrame({ type: 'opened', ...sessionOf(made.grant), revision: 0, nextPosition: 0, windowRows: WINDOW_ROWS })
  await made.world.settle()
  expect(made.received.map(({ type }) => type)).toEqual(['open', 'opened'])
  expect(made.world.openSlots()).toBe(1)
  return made
}

function failures(frames: readonly Frame[]) {
  return frames.flatMap((frame) => (frame.type === 'failed' ? [{ reason: frame.reason, message: frame.message }] : []))
}

async function openFails({ world, link, grant, signed, received }: Bench, reason: string, message: RegExp) {
  link.sendFrame({ type: 'open', ...sessionOf(grant), ...NEW, grant: signed })
  await world.settle()
  expect(failures(received)).toEqual([{ reason, message: expect.stringMatching(message) }])
  expect(world.openSlots()).toBe(0)
}

describe('a grant', () => {
  it('[G1] with a changed byte is refused', async () => {
    const made = await bench()
    const other = await made.world.sign({ ...made.grant, maxPositions: 999 })
    await openFails({ ...made, signed: { body: other.body, signature: made.signed.signature } }, 'bad-grant', /signature/)
  })

  it('[G2] that has expired by coordinator time is refused, one millisecond before is taken', async () => {
    const made = await bench()
    made.world.clock.advance(made.grant.expiresAtMs - made.world.clock.nowMs())
    await openFails(made, 'bad-grant', /expired/)
    const control = await bench()
    control.world.clock.advance(control.grant.expiresAtMs - control.world.clock.nowMs() - 1)
    control.link.sendFrame({ type: 'open', ...sessionOf(control.grant), ...NEW, grant: control.signed })
    await control.world.settle()
    expect(control.world.openSlots()).toBe(1)
  })

  it('[G7] that does not name this peer is refused', async () => {
    await openFails(await bench({ stages: [{ peerId: peerId(9), firstLayer: 0, endLayer: 10 }] }), 'bad-grant', /names no stage/)
  })

  it('[G7] for another manifest or more layers than are held is refused', async () => {
    await openFails(await bench({ manifestHash: 'cd'.repeat(32) as ManifestHash }), 'not-serving', /manifest/)
    await openFails(await bench({ stages: [{ peerId: peerId(1), firstLayer: 0, endLayer: 11 }] }), 'not-serving', /layers 0–9.*0–10/)
  })

  it('[G7] of a chain that ends before the last layer is refused', async () => {
    await openFails(await bench({ stages: [{ peerId: peerId(1), firstLayer: 0, endLayer: 9 }] }), 'bad-grant', /has 10 layers/)
  })

  it('[G8] is taken once: after the end its session is refused', async () => {
    const { world, link, grant, signed, received } = await opened()
    link.sendFrame({ type: 'close', ...sessionOf(grant) })
    await world.settle()
    expect(world.openSlots()).toBe(0)
    await openFails({ world, link, grant, signed, received }, 'bad-grant', /used before/)
  })

  it('[G9] for another session than the frame says is refused', async () => {
    const made = await bench()
    const other = made.world.grant()
    await openFails({ ...made, grant: other }, 'bad-grant', /another session/)
  })

  it('[S1] from a peer that is neither driver nor upstream is refused, before and after the session is open', async () => {
    await openFails(await bench({}, peerId(0xbad)), 'bad-grant', /another driver and upstream/)
    const { world, grant, signed } = await opened()
    const stranger = world.connect(peerId(0xbad), peerId(1))
    const heard = listen(world, stranger)
    stranger.sendFrame({ type: 'open', ...sessionOf(grant), ...NEW, grant: signed })
    await world.settle()
    expect(failures(heard)).toEqual([{ reason: 'bad-grant', message: expect.stringMatching(/another driver/) }])
    expect(world.openSlots()).toBe(1)
  })

  it('[S6] that asks for more memory than is free is refused with no-room', async () => {
    const world = new World(1, { positionsMax: 100 })
    await expect(world.open(world.grant({ change: { maxPositions: 101 } }))).rejects.toMatchObject({ reason: 'no-room', stageIndex: 0 })
    expect(world.openSlots()).toBe(0)
    await world.open(world.grant({ change: { maxPositions: 100 } }))
    expect(world.openSlots()).toBe(1)
  })

  it('is refused while nothing is served', async () => {
    const made = await bench()
    required(made.world.stages[0], 'stage').host.serve(null)
    await openFails(made, 'not-serving', /serves no model/)
  })
})

describe('rows', () => {
  async function rowsFail(frame: (grant: Grant) => Frame, message: RegExp) {
    const { world, link, grant, received } = await opened()
    link.sendFrame(rowsFrame(grant, 0, [1, 2, 3]))
    await world.settle()
    expect(failures(received)).toEqual([])
    link.sendFrame(frame(grant))
    await world.settle()
    expect(failures(received)).toEqual([{ reason: 'protocol', message: expect.stringMatching(message) }])
    expect(world.openSlots()).toBe(0)
    expect(link.isClosed).toBe(false)
  }

  it('[S3] with a gap, or again, are refused and the expected position is named', async () => {
    await rowsFail((grant) => rowsFrame(grant, 4, [1]), /from position 4; expected 3/)
    await rowsFail((grant) => rowsFrame(grant, 2, [1]), /from position 2; expected 3/)
  })

  it('[S4] beyond the granted positions are refused', async () => {
    const { world, link, grant, received } = await opened({ maxPositions: 4 })
    link.sendFrame(rowsFrame(grant, 0, [1, 2, 3, 4]))
    await world.settle()
    expect(failures(received)).toEqual([])
    link.sendFrame(rowsFrame(grant, 4, [1]))
    await world.settle()
    expect(failures(received)).toEqual([{ reason: 'protocol', message: expect.stringMatching(/up to 5 of 4 positions/) }])
  })

  it('[S5] in another encoding than the stage takes are refused', async () => {
    const payload = new Uint8Array(16)
    await rowsFail((grant) => rowsFrame(grant, 3, [1], { encoding: 'f32', payload }), /as f32; this stage takes tokens/)
  })

  it('[S5] with a token beyond the vocabulary are refused', async () => {
    await rowsFail((grant) => rowsFrame(grant, 3, [50]), /token 50 is not in a vocabulary of 50/)
  })

  it('[S8] of an epoch that was never announced are refused', async () => {
    await rowsFail((grant) => rowsFrame(grant, 3, [1], { epoch: 1 }), /epoch 1; the session is in epoch 0/)
  })

  it('[S16] and no frame that a driver has no business to send', async () => {
    await rowsFail((grant) => ({ type: 'failed', ...sessionOf(grant), reason: 'internal', message: '' }), /failed comes from/)
    await rowsFail(
      (grant) => ({
        type: 'results',
        ...sessionOf(grant),
        epoch: 0,
        firstPosition: 0,
        rowCount: 1,
        resultCount: 0,
        topK: 0,
        payload: new Uint8Array(0),
      }),
      /takes no results/,
    )
  })

  it('[S8] of an older epoch are dropped without harm', async () => {
    const { world, link, grant, received } = await opened()
    link.sendFrame(rowsFrame(grant, 0, [1, 2, 3]))
    await world.settle()
    link.sendFrame({ type: 'truncate', ...sessionOf(grant), epoch: 1, length: 2 })
    link.sendFrame(rowsFrame(grant, 3, [9]))
    link.sendFrame(rowsFrame(grant, 2, [4], { epoch: 1, resultCount: 1 }))
    await world.settle()
    expect(failures(received)).toEqual([])
    const results = received.filter((frame) => frame.type === 'results')
    expect(results.map(({ epoch, firstPosition, rowCount }) => ({ epoch, firstPosition, rowCount }))).toEqual([
      { epoch: 0, firstPosition: 0, rowCount: 3 },
      { epoch: 1, firstPosition: 2, rowCount: 1 },
    ])
  })

  it('[S9] and no truncation to more than the granted positions, to just as many it is taken', async () => {
    await rowsFail((grant) => ({ type: 'truncate', ...sessionOf(grant), epoch: 1, length: 1_001 }), /truncate to 1001, beyond the grant/)
    const { world, link, grant, received } = await opened()
    link.sendFrame({ type: 'truncate', ...sessionOf(grant), epoch: 1, length: grant.maxPositions })
    await world.settle()
    expect(failures(received)).toEqual([])
    expect(world.openSlots()).toBe(1)
  })

  it('[S19] that are in a pass when they are truncated are dropped after it, and those that follow stand in their place', async () => {
    const { world, link, grant, received } = await opened()
    const { engine } = required(world.stages[0], 'stage')
    link.sendFrame(rowsFrame(grant, 0, [1, 2, 3]))
    await world.settle()
    let release: () => void = () => undefined
    engine.gate = new Promise((resolve) => {
      release = resolve
    })
    link.sendFrame(rowsFrame(grant, 3, [4, 5], { resultCount: 1 }))
    await world.settle()
    link.sendFrame({ type: 'truncate', ...sessionOf(grant), epoch: 1, length: 2 })
    link.sendFrame(rowsFrame(grant, 2, [6, 7], { epoch: 1, resultCount: 1 }))
    await world.settle()
    release()
    await world.settle()
    expect(failures(received)).toEqual([])
    const results = received.flatMap((frame) => (frame.type === 'results' && frame.resultCount > 0 ? [frame] : []))
    expect(results.map(({ epoch, firstPosition }) => [epoch, firstPosition])).toEqual([[1, 2]])

    const control = await opened()
    control.link.sendFrame(rowsFrame(control.grant, 0, [1, 2, 6, 7], { resultCount: 1 }))
    await control.world.settle()
    const expected = control.received.flatMap((frame) => (frame.type === 'results' ? [frame.payload] : []))
    expect(results.map(({ payload }) => payload)).toEqual(expected)
  })

  it('[S2] of a stranger, or for a session nobody knows, change nothing', async () => {
    const { world, link, grant, received } = await opened()
    const stranger = world.connect(peerId(0xbad), peerId(1))
    stranger.sendFrame(rowsFrame(grant, 0, [7, 7, 7]))
    stranger.sendFrame({ type: 'close', ...sessionOf(grant) })
    link.sendFrame(rowsFrame(world.grant(), 0, [7]))
    link.sendFrame(rowsFrame(grant, 0, [1, 2, 3]))
    await world.settle()
    expect(failures(received)).toEqual([])
    expect(received.filter((frame) => frame.type === 'results')).toHaveLength(1)
    expect(world.openSlots()).toBe(1)
  })

  it('[W3] beyond the window close the link as garbage', async () => {
    const { world, link, grant } = await opened({ maxPositions: 4_000 })
    const stage = required(world.stages[0], 'stage')
    stage.engine.gate = new Promise(() => undefined)
    for (let first = 0; first < WINDOW_ROWS; first += 256) link.sendFrame(rowsFrame(grant, first, new Array<number>(256).fill(1)))
    await world.settle()
    expect(link.isClosed).toBe(false)
    link.sendFrame(rowsFrame(grant, WINDOW_ROWS, [1]))
    await world.settle()
    expect(link.isClosed).toBe(true)
    expect(stage.host.work.sessionsOpen).toBe(0)
  })

  it('[S16] bytes that are no frame close the link, and free every session on it', async () => {
    const { world, link } = await opened()
    link.send(new Uint8Array(50).fill(0x55))
    await world.settle()
    expect(link.isClosed).toBe(true)
    expect(world.openSlots()).toBe(0)
  })

  it('[S17][S20] that give NaN fail their session alone, not those in the same pass', async () => {
    const world = new World(1)
    const { engine } = required(world.stages[0], 'stage')
    engine.poison = 13
    engine.passTurns = 6
    const good = await world.open(world.grant())
    const bad = await world.open(world.grant())
    const heard: string[] = []
    const events = (name: string) => ({
      onResults: () => heard.push(`${name} results`),
      onLap: () => undefined,
      onRepair: () => undefined,
      onFailed: (error: TabswarmError) => heard.push(`${name} ${error.reason}`),
    })
    good.listen(events('good'))
    bad.listen(events('bad'))
    await good.submit({ firstPosition: 0, ids: Uint32Array.of(1), kind: 'decode', resultCount: 1 })
    await good.submit({ firstPosition: 1, ids: Uint32Array.of(2), kind: 'decode', resultCount: 1 })
    await bad.submit({ firstPosition: 0, ids: Uint32Array.of(13), kind: 'decode', resultCount: 1 })
    await world.settle()
    expect(heard.sort()).toEqual(['bad not-finite', 'good results', 'good results'])
    expect(world.openSlots()).toBe(1)
  })
})

describe('the end of a session', () => {
  it('[S10] comes with close at once, and the slot is freed after the pass that still writes to it', async () => {
    const { world, link, grant } = await opened()
    const stage = required(world.stages[0], 'stage')
    let release = () => undefined as undefined
    stage.engine.gate = new Promise<void>((resolve) => {
      release = () => resolve() as undefined
    })
    link.sendFrame(rowsFrame(grant, 0, [1, 2, 3]))
    await world.settle()
    link.sendFrame({ type: 'close', ...sessionOf(grant) })
    await world.settle()
    expect(stage.host.work.sessionsOpen).toBe(0)
    release()
    await world.settle()
    expect(world.openSlots()).toBe(0)
  })

  it('[S12] comes after a minute without a frame, and the driver is told', async () => {
    const { world, received } = await opened()
    world.clock.advance(SESSION_IDLE_MS - 1)
    expect(world.openSlots()).toBe(1)
    world.clock.advance(2)
    await world.settle()
    expect(failures(received)).toEqual([{ reason: 'expired', message: expect.stringMatching(/60 s/) }])
    expect(world.openSlots()).toBe(0)
  })

  it('[S12][S18] does not come while an open chain is kept by its driver, however long it is silent', async () => {
    const world = new World(2)
    const chain = await world.open(world.grant())
    for (let minute = 0; minute < 10; minute++) {
      for (let second = 0; second < 60; second += 5) {
        world.clock.advance(5_000)
        await world.settle()
      }
    }
    expect(world.openSlots()).toBe(2)
    chain.close()
    await world.settle()
    expect(world.openSlots()).toBe(0)
  })

  it('[S12] comes when the grant expires, in mid-session', async () => {
    const world = new World(1)
    const grant = world.grant()
    const chain = await world.open({ ...grant, expiresAtMs: world.clock.nowMs() + 30_000 })
    const failed: string[] = []
    chain.listen(listening({ onFailed: ({ reason }) => failed.push(reason) }))
    world.clock.advance(29_999)
    await world.settle()
    expect(failed).toEqual([])
    world.clock.advance(1)
    await world.settle()
    expect(failed).toEqual(['expired'])
    expect(world.openSlots()).toBe(0)
  })
})

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Link, LinkClosed } from '../../protocol/index.ts'
import { ManualClock, type PeerId, required } from '../../shared/index.ts'
import { handOver, takeOver } from '../handOver.ts'
import { linkSuite } from '../link.suite.ts'
import { HELD_BYTES_MAX } from '../receiver.ts'
import { type MemoryConnection, MemoryMessageChannel, memoryConnectionPair } from './memoryConnection.ts'
import { linkOver, type OpenLink } from './openLink.ts'
import type { FramePlace } from './rtcConnection.ts'

const near = 'aa'.repeat(16) as PeerId
const far = 'bb'.repeat(16) as PeerId
const clock = new ManualClock()

beforeAll(() => void vi.stubGlobal('MessageChannel', MemoryMessageChannel))
afterAll(() => void vi.unstubAllGlobals())

/** Turns of the event loop, in which no time passes. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

async function until(done: () => boolean): Promise<void> {
  for (let turn = 0; !done(); turn++) {
    if (turn > 2_000) throw new Error('never came')
    await turns(1)
    clock.advance(10)
  }
}

/** One side: what its page has, and what handles its frames. */
interface Side {
  readonly connection: MemoryConnection
  readonly open: OpenLink
  /** Lanes that it asked for, by how many it had. */
  readonly asked: number[]
  /** Links that its keeper was told to have ended. */
  readonly ended: Link[]
  link: Link
}

type Places = readonly [FramePlace, FramePlace]

async function sides(places: Places, delayMs = 40): Promise<[Side, Side]> {
  const [a, b] = memoryConnectionPair({ clock, delayMs, places })
  const sideOf = async (connection: MemoryConnection, peerId: PeerId, place: FramePlace): Promise<Side> => {
    const [asked, ended]: [number[], Link[]] = [[], []]
    const onLarge = (laneCount: number) => void asked.push(laneCount)
    const open = linkOver(connection, peerId, { clock, onLarge, onEnd: (link) => ended.push(link) })
    expect(open.place).toBe(place)
    return { connection, open, asked, ended, link: place === 'page' ? open.link : await takeOver(handOver(open.link), clock) }
  }
  return [await sideOf(a, far, places[0]), await sideOf(b, near, places[1])]
}

async function addLane([a, b]: readonly [Side, Side], places: Places, delayMs: number): Promise<[MemoryConnection, MemoryConnection]> {
  const lanes = memoryConnectionPair({ clock, delayMs, places })
  a.open.addLane(lanes[0])
  b.open.addLane(lanes[1])
  await turns(6)
  return lanes
}

function hear(link: Link) {
  const heard = { frames: [] as number[], ends: [] as LinkClosed[] }
  link.listen({ onFrame: (frame) => heard.frames.push(frame.byteLength), onClose: (closed) => heard.ends.push(closed) })
  return heard
}

const reasons = ({ ends }: { readonly ends: readonly LinkClosed[] }) => ends.map(({ reason }) => reason)

describe.each([
  ['a link between two workers', ['worker', 'worker'], []],
  ['a link between a worker and a page', ['worker', 'page'], []],
  ['a link between two pages', ['page', 'page'], []],
  ['a link of three lanes between two workers', ['worker', 'worker'], [10, 70]],
  ['a link of three lanes between a page and a worker', ['page', 'worker'], [10, 70]],
] as const)('%s', (_, places, laneDelaysMs) => {
  for (const { name, run } of linkSuite) {
    it(name, async () => {
      const pair = await sides(places)
      for (const delayMs of laneDelaysMs) await addLane(pair, places, delayMs)
      expect(pair.map(({ open }) => open.laneCount)).toEqual([1 + laneDelaysMs.length, 1 + laneDelaysMs.length])
      const [{ link: nearLink }, { link: farLink }] = pair
      await run({ near: nearLink, far: farLink, until })
      nearLink.close()
      farLink.close()
    })
  }
})

describe('a link in a worker', () => {
  it('tells its page’s keeper once that it has ended, and both connections are torn down', async () => {
    const pair = await sides(['worker', 'worker'])
    const [a, b] = pair
    const [atNear, atFar] = [hear(a.link), hear(b.link)]
    a.link.close()
    await until(() => a.ended.length > 0 && b.ended.length > 0 && a.connection.closed !== null && b.connection.closed !== null)
    await turns(10)
    expect([a.ended, b.ended]).toEqual([[a.open.link], [b.open.link]])
    expect([reasons(atNear), reasons(atFar)]).toEqual([['local'], ['remote']])
  })

  it('is closed by its page, for the page’s reason', async () => {
    const [a, b] = await sides(['worker', 'worker'])
    const [atNear, atFar] = [hear(a.link), hear(b.link)]
    a.open.link.close({ reason: 'lost', detail: 'a newer connection' })
    expect(a.open.link.closed).toBe(true)
    await until(() => atFar.ends.length > 0)
    expect(atNear.ends).toEqual([{ reason: 'lost', detail: 'a newer connection' }])
    expect(reasons(atFar)).toEqual(['remote'])
  })

  it('is `lost` when its page says so, though the data channel closes with the connection', async () => {
    const [a, b] = await sides(['worker', 'worker'])
    const atNear = hear(a.link)
    hear(b.link)
    a.connection.finish({ reason: 'lost', detail: 'the connection was lost' })
    await until(() => atNear.ends.length > 0)
    expect(atNear.ends).toEqual([{ reason: 'lost', detail: 'the connection was lost' }])
  })

  it.each([
    ['a carried link', 'worker'],
    ['a link over a port', 'page'],
  ] as const)('%s tells who took it over once that it has ended, whoever ended it', async (_, place) => {
    for (const closes of ['here', 'there'] as const) {
      const [a, b] = memoryConnectionPair({ clock, delayMs: 40, places: [place, 'page'] })
      const options = { clock, onLarge: () => undefined, onEnd: () => undefined }
      const [{ link: nearLink }, { link: farLink }] = [linkOver(a, far, options), linkOver(b, near, options)]
      let ended = 0
      const taken = await takeOver(handOver(nearLink), clock, () => void ended++)
      hear(taken)
      hear(farLink)
      if (closes === 'here') taken.close()
      else farLink.close()
      await until(() => ended > 0)
      taken.close()
      await turns(4)
      expect(ended).toBe(1)
    }
  })

  it('is torn down by its page alone while no worker has it', async () => {
    const [connection, other] = memoryConnectionPair({ clock, delayMs: 10, places: ['worker', 'page'] })
    const ended: Link[] = []
    const { link } = linkOver(connection, far, { clock, onLarge: () => undefined, onEnd: (each) => ended.push(each) })
    const { link: atFar } = linkOver(other, near, { clock, onLarge: () => undefined, onEnd: () => undefined })
    const heard = hear(atFar)
    link.close()
    expect([connection.closed?.reason, ended]).toEqual(['remote', [link]])
    await until(() => heard.ends.length > 0)
    await expect(takeOver(handOver(link), clock)).rejects.toMatchObject({ reason: 'unreachable' })
  })

  it('[H10] holds what comes before the worker has it, in bounds, and then delivers it in order', async () => {
    const [connection, other] = memoryConnectionPair({ clock, delayMs: 10, places: ['worker', 'page'] })
    const { link: atFar } = linkOver(other, near, { clock, onLarge: () => undefined, onEnd: () => undefined })
    const { link } = linkOver(connection, far, { clock, onLarge: () => undefined, onEnd: () => undefined })
    const taken = takeOver(handOver(link), clock)
    await turns(2)
    for (const bytes of [10, 20_000, 30]) atFar.send(new Uint8Array(bytes))
    clock.advance(10)
    const heard = hear(await taken)
    await until(() => heard.frames.length === 3)
    expect(heard.frames).toEqual([10, 20_000, 30])
  })

  it('asks its dialer for a lane once it is settled, and names those that it has', async () => {
    const places = ['worker', 'worker'] as const
    const pair = await sides(places)
    const [a, b] = pair
    const heard = hear(b.link)
    hear(a.link)
    const large = () => new Uint8Array(100_000)
    a.link.send(large())
    await turns(4)
    expect(a.asked).toEqual([1])
    await addLane(pair, places, 40)
    // The other side has not told yet that it has the lane.
    a.link.send(large())
    await turns(4)
    expect(a.asked).toEqual([1])
    await until(() => heard.frames.length === 2)
    for (let step = 0; step < 10; step++) clock.advance(10)
    a.link.send(large())
    await turns(4)
    expect(a.asked).toEqual([1, 2])
  })

  it('ends when a lane is lost', async () => {
    const places = ['worker', 'worker'] as const
    const pair = await sides(places)
    const atNear = hear(pair[0].link)
    const [lane] = await addLane(pair, places, 40)
    required(lane, 'a lane').finish({ reason: 'lost', detail: 'the connection was lost' })
    await until(() => atNear.ends.length > 0)
    expect(reasons(atNear)).toEqual(['lost'])
    await until(() => pair[0].ended.length > 0)
  })

  it('is neither listened to nor sent over by its page', async () => {
    const [{ open }] = await sides(['worker', 'worker'])
    expect(() => open.link.send(new Uint8Array(1))).toThrow(/handled in a worker/)
    expect(() => open.link.listen({ onFrame: () => undefined, onClose: () => undefined })).toThrow(/handled in a worker/)
  })
})

describe('a data channel', () => {
  it('[H10] holds so much before anybody listens, and then is closed as garbage', async () => {
    const [a, b] = memoryConnectionPair({ clock, delayMs: 0, places: ['page', 'page'] })
    const { link } = linkOver(a, far, { clock, onLarge: () => undefined, onEnd: () => undefined })
    hear(link)
    for (let bytes = 0; bytes <= HELD_BYTES_MAX; bytes += 200_000) link.send(new Uint8Array(200_000))
    await until(() => b.closed !== null)
    const { link: late } = linkOver(b, near, { clock, onLarge: () => undefined, onEnd: () => undefined })
    const heard = hear(late)
    await until(() => heard.ends.length > 0)
    expect(reasons(heard)).toEqual(['garbage'])
  })

  it('stays on its page where the browser does not give it away', async () => {
    class RefusingPort {
      postMessage(): void {
        throw new DOMException('it cannot be cloned', 'DataCloneError')
      }
      close(): void {}
    }
    vi.stubGlobal(
      'MessageChannel',
      class {
        readonly port1 = new RefusingPort()
        readonly port2 = new RefusingPort()
      },
    )
    const [connection] = memoryConnectionPair({ clock, delayMs: 0, places: ['worker', 'page'] })
    vi.stubGlobal('MessageChannel', MemoryMessageChannel)
    expect(linkOver(connection, far, { clock, onLarge: () => undefined, onEnd: () => undefined }).place).toBe('page')
  })
})

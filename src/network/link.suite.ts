/** What every Link promises, whatever carries it. Runs in Node and, without vitest, inside a real page: so it asserts by itself. */

import { FRAME_BYTES_MAX, LINK_QUEUE_BYTES_MAX, type Link, type LinkClosed } from '../protocol/index.ts'
import { assert } from '../shared/index.ts'

export interface LinkPair {
  readonly near: Link
  readonly far: Link
  /** Lets time pass until `done`; rejects when that never comes. */
  until(done: () => boolean): Promise<void>
}

export interface LinkSuiteCase {
  readonly name: string
  readonly run: (pair: LinkPair) => Promise<void>
}

interface Heard {
  readonly frames: Uint8Array[]
  readonly ends: LinkClosed[]
}

function hear(link: Link): Heard {
  const heard: Heard = { frames: [], ends: [] }
  link.listen({ onFrame: (frame) => heard.frames.push(frame), onClose: (closed) => heard.ends.push(closed) })
  return heard
}

/** A frame whose bytes tell its number and its length. */
function frameOf(number: number, bytes: number): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(bytes).fill(number & 255)
  if (bytes >= 4) new DataView(frame.buffer).setUint32(0, number, true)
  return frame
}

function numbersOf(frames: readonly Uint8Array[]): number[] {
  return frames.map((frame) => new DataView(frame.buffer, frame.byteOffset).getUint32(0, true))
}

function equal(actual: unknown, expected: unknown, what: string): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)]
  assert(a === b, `${what}: ${a?.slice(0, 300)} is not ${b?.slice(0, 300)}`)
}

const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, index) => from + index)

export const linkSuite: readonly LinkSuiteCase[] = [
  {
    name: '[F13] delivers frames whole and in order, both ways at once, from 1 byte to 256 KiB',
    async run({ near, far, until }) {
      const [atNear, atFar] = [hear(near), hear(far)]
      const sizes = [1, 4, 5, 40, 1_500, 16_384, 65_536, FRAME_BYTES_MAX]
      for (const [index, size] of sizes.entries()) {
        near.send(frameOf(index, size))
        far.send(frameOf(100 + index, size))
      }
      await until(() => atFar.frames.length === sizes.length && atNear.frames.length === sizes.length)
      for (const [heard, from] of [
        [atFar, 0],
        [atNear, 100],
      ] as const) {
        equal(
          heard.frames.map((frame) => frame.byteLength),
          sizes,
          'sizes',
        )
        for (const [index, frame] of heard.frames.entries())
          equal([frame[0], frame.at(-1)], [from + index, sizes[index] === 4 ? 0 : from + index], 'bytes')
      }
    },
  },
  {
    name: '[H10] holds frames that come before somebody listens',
    async run({ near, far, until }) {
      for (const number of numbers(20)) near.send(frameOf(number, 100))
      const heardNear = hear(near)
      far.send(frameOf(7, 8))
      await until(() => heardNear.frames.length === 1)
      const heard = hear(far)
      await until(() => heard.frames.length === 20)
      equal(numbersOf(heard.frames), numbers(20), 'order')
    },
  },
  {
    name: '[F13] keeps order through its queue when the transport is full, and loses nothing',
    async run({ near, far, until }) {
      const heard = hear(far)
      hear(near)
      for (const number of numbers(60)) near.send(frameOf(number, 200_000))
      await until(() => heard.frames.length === 60)
      equal(numbersOf(heard.frames), numbers(60), 'order')
      equal(
        heard.frames.every((frame) => frame.byteLength === 200_000),
        true,
        'whole',
      )
    },
  },
  {
    name: '[F13] lets urgent frames overtake queued data, in their own order',
    async run({ near, far, until }) {
      const heard = hear(far)
      hear(near)
      for (const number of numbers(60)) near.send(frameOf(number, 200_000))
      for (const number of numbers(3, 1_000)) near.send(frameOf(number, 50), 'urgent')
      await until(() => heard.frames.length === 63)
      const order = numbersOf(heard.frames)
      equal(
        order.filter((number) => number >= 1_000),
        numbers(3, 1_000),
        'urgent order',
      )
      equal(
        order.filter((number) => number < 1_000),
        numbers(60),
        'data order',
      )
      const position = order.indexOf(1_002)
      assert(position < 30, `the last urgent frame came only at position ${position}`)
    },
  },
  {
    name: '[F14] closes with overflow when the queue passes its bound, and tells both sides once',
    async run({ near, far, until }) {
      const [atNear, atFar] = [hear(near), hear(far)]
      const frames = Math.ceil(LINK_QUEUE_BYTES_MAX / FRAME_BYTES_MAX) + 2
      for (const number of numbers(frames)) near.send(frameOf(number, FRAME_BYTES_MAX))
      await until(() => atNear.ends.length > 0 && atFar.ends.length > 0)
      near.send(frameOf(1, 10))
      near.close()
      equal(
        atNear.ends.map(({ reason }) => reason),
        ['overflow'],
        'near',
      )
      equal(atFar.ends.length, 1, 'far')
      assert(atFar.ends[0]?.reason === 'remote' || atFar.ends[0]?.reason === 'lost', `far ended with ${atFar.ends[0]?.reason}`)
    },
  },
  {
    name: 'tells the end on both sides, once, and ignores what is sent afterwards',
    async run({ near, far, until }) {
      const [atNear, atFar] = [hear(near), hear(far)]
      near.send(frameOf(1, 10))
      await until(() => atFar.frames.length === 1)
      near.close()
      near.close()
      await until(() => atNear.ends.length === 1 && atFar.ends.length === 1)
      far.send(frameOf(2, 10))
      near.send(frameOf(2, 10))
      far.close()
      equal(
        atNear.ends.map(({ reason }) => reason),
        ['local'],
        'near',
      )
      equal(
        atFar.ends.map(({ reason }) => reason),
        ['remote'],
        'far',
      )
      equal([atNear.frames.length, atFar.frames.length], [0, 1], 'frames')
    },
  },
  {
    name: 'delivers what was sent just before the close',
    async run({ near, far, until }) {
      const heard = hear(far)
      hear(near)
      near.send(frameOf(9, 64), 'urgent')
      near.close()
      await until(() => heard.ends.length === 1)
      equal(numbersOf(heard.frames), [9], 'frames')
    },
  },
  {
    name: 'counts the bytes of its frames, and still knows them when closed',
    async run({ near, far, until }) {
      const heard = hear(far)
      hear(near)
      for (const number of numbers(10)) near.send(frameOf(number, 1_000))
      await until(() => heard.frames.length === 10)
      const stats = await near.stats()
      assert(stats.bytesSent >= 10_000 && stats.bytesSent < 12_000, `${stats.bytesSent} bytes sent`)
      near.close()
      const after = await near.stats()
      equal([after.kind, after.bytesSent >= stats.bytesSent], [stats.kind, true], 'statistics after the end')
    },
  },
]

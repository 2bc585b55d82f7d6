import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FRAME_BYTES_MAX } from '../protocol/index.ts'
import { ManualClock } from '../shared/index.ts'
import type { ChannelClosed } from './channel.ts'
import { memoryChannelPair } from './memoryChannel.ts'
import { LANES_MAX, SLICE_BYTES, StripedChannel } from './stripedChannel.ts'

const turn = () => new Promise((resolve) => setTimeout(resolve, 0))

/** What a sliced channel hears when the other end sends `slices` as they are. */
async function hear(slices: readonly Uint8Array[]) {
  const [raw, end] = memoryChannelPair()
  const messages: Uint8Array[] = []
  const ends: ChannelClosed[] = []
  const rawEnds: ChannelClosed[] = []
  raw.listen({ onMessage: () => undefined, onLow: () => undefined, onClose: (closed) => rawEnds.push(closed) })
  new StripedChannel(end).listen({
    onMessage: (bytes) => messages.push(bytes),
    onLow: () => undefined,
    onClose: (closed) => ends.push(closed),
  })
  for (const slice of slices) raw.send(slice)
  await turn()
  return { messages, ends, rawEnds }
}

/** The messages that a sliced channel makes of `frames`. */
async function slicesOf(frames: readonly Uint8Array[]): Promise<Uint8Array[]> {
  const [end, raw] = memoryChannelPair()
  const slices: Uint8Array[] = []
  raw.listen({ onMessage: (bytes) => slices.push(bytes), onLow: () => undefined, onClose: () => undefined })
  const channel = new StripedChannel(end)
  for (const frame of frames) channel.send(frame)
  await turn()
  return slices
}

/** Rule F18 said plainly, for a receiver with one lane. */
function isGarbage(sizes: readonly number[]): boolean {
  let [pending, lanes] = [0, 1]
  for (const bytes of sizes) {
    if (bytes === 0 && pending === 0) {
      if (++lanes > LANES_MAX) return true
      continue
    }
    pending += bytes
    if (bytes > SLICE_BYTES || pending > FRAME_BYTES_MAX) return true
    if (bytes < SLICE_BYTES) pending = 0
    // The next slice would come on a lane that is never added.
    else if (lanes > 1) return false
  }
  return false
}

const bytesOf = (count: number) => Uint8Array.from({ length: count }, (_, index) => (index * 7 + count) & 255)

describe('a striped channel of one lane', () => {
  it.each([
    [1, [1]],
    [SLICE_BYTES - 1, [SLICE_BYTES - 1]],
    [SLICE_BYTES, [SLICE_BYTES, 0]],
    [SLICE_BYTES + 1, [SLICE_BYTES, 1]],
    [3 * SLICE_BYTES, [SLICE_BYTES, SLICE_BYTES, SLICE_BYTES, 0]],
    [10_000, [SLICE_BYTES, SLICE_BYTES, 800]],
  ])('[F18] sends %i bytes as slices of %j', async (bytes, sizes) => {
    expect((await slicesOf([bytesOf(bytes)])).map((slice) => slice.byteLength)).toEqual(sizes)
  })

  it('[F18] gives back every frame, in order, whatever their sizes', async () => {
    const size = fc.oneof(
      fc.integer({ min: 1, max: 100 }),
      fc.integer({ min: 1, max: FRAME_BYTES_MAX }),
      fc.integer({ min: 1, max: 4 }).map((slices) => slices * SLICE_BYTES),
      fc.constant(FRAME_BYTES_MAX),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(size, { maxLength: 6 }), async (sizes) => {
        const frames = sizes.map(bytesOf)
        const { messages, ends } = await hear(await slicesOf(frames))
        expect(messages.map((message) => message.byteLength)).toEqual(sizes)
        for (const [index, message] of messages.entries()) expect(Buffer.compare(message, frames[index] ?? new Uint8Array())).toBe(0)
        expect(ends).toEqual([])
      }),
      { numRuns: 60 },
    )
  })

  it('does not copy what fits a slice', async () => {
    const frame = bytesOf(1_200)
    const { messages } = await hear(await slicesOf([frame]))
    expect(messages[0]?.buffer).toBe(frame.buffer)
  })

  it('[F18] closes on a longer message, and hands on nothing more', async () => {
    const { messages, ends, rawEnds } = await hear([bytesOf(5), bytesOf(SLICE_BYTES + 1), bytesOf(5)])
    expect(messages).toHaveLength(1)
    expect(ends).toEqual([{ reason: 'garbage', detail: `[F18] a slice of ${SLICE_BYTES + 1} bytes; they have at most ${SLICE_BYTES}` }])
    expect(rawEnds).toHaveLength(1)
  })

  it('[F18] closes when slices without an end pass the bound of a frame, and holds no more', async () => {
    const most = Math.floor(FRAME_BYTES_MAX / SLICE_BYTES)
    const full = (count: number) => Array.from({ length: count }, () => bytesOf(SLICE_BYTES))
    expect((await hear(full(most))).ends).toEqual([])
    const { messages, ends } = await hear(full(most + 5))
    expect(messages).toEqual([])
    expect(ends).toEqual([{ reason: 'garbage', detail: expect.stringContaining('for one frame') }])
  })

  it('[F18] never throws for any messages, and never hands on more than a frame', async () => {
    const size = fc.oneof(
      fc.constant(SLICE_BYTES),
      fc.constant(0),
      fc.integer({ min: 0, max: SLICE_BYTES }),
      fc.integer({ min: 0, max: 300_000 }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(size, { maxLength: 40 }), async (sizes) => {
        const { messages, ends } = await hear(sizes.map((bytes) => new Uint8Array(bytes)))
        expect(messages.every((message) => message.byteLength <= FRAME_BYTES_MAX)).toBe(true)
        expect(ends.map(({ reason }) => reason)).toEqual(isGarbage(sizes) ? ['garbage'] : [])
      }),
      { numRuns: 200 },
    )
  })
})

/** Two ends over `delaysMs.length` lanes; only the first is there from the start. */
function stripedPair(delaysMs: readonly number[]) {
  const clock = new ManualClock()
  const lanes = delaysMs.map((delayMs) => memoryChannelPair({ clock, delayMs }))
  const ends = [0, 1].map((side) => {
    const [first, ...others] = lanes.map((lane) => lane[side] ?? expect.fail())
    // As in a handshake: what comes before its end waits.
    const waiting = others.map((lane) => {
      const backlog: Uint8Array[] = []
      lane.listen({ onMessage: (bytes) => backlog.push(bytes), onLow: () => undefined, onClose: () => undefined })
      return { lane, backlog }
    })
    const channel = new StripedChannel(first ?? expect.fail())
    const heard = { messages: [] as Uint8Array[], ends: [] as ChannelClosed[] }
    channel.listen({
      onMessage: (bytes) => heard.messages.push(bytes),
      onLow: () => undefined,
      onClose: (closed) => heard.ends.push(closed),
    })
    const addLane = () => {
      const { lane, backlog } = waiting.shift() ?? expect.fail()
      channel.addLane(lane, backlog)
    }
    return { channel, heard, lanes: [first ?? expect.fail(), ...others], addLane }
  })
  const [near, far] = [ends[0] ?? expect.fail(), ends[1] ?? expect.fail()]
  const addToBoth = () => {
    near.addLane()
    far.addLane()
  }
  return { clock, near, far, addToBoth }
}

const sizesOf = (messages: readonly Uint8Array[]) => messages.map((message) => message.byteLength)

describe('a striped channel of several lanes', () => {
  it('[F19] keeps whole frames in order, however late each lane is and whenever each side adds it', async () => {
    const size = fc.oneof(fc.integer({ min: 1, max: 5_000 }), fc.integer({ min: 1, max: 60_000 }), fc.constant(3 * SLICE_BYTES))
    const step = fc.oneof({ weight: 6, arbitrary: size }, { weight: 1, arbitrary: fc.constantFrom('near adds', 'far adds', 'time passes') })
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 30 }),
        fc.array(fc.integer({ min: 0, max: 90 }), { minLength: LANES_MAX, maxLength: LANES_MAX }),
        (steps, delaysMs) => {
          const { clock, near, far } = stripedPair(delaysMs)
          const sent: Uint8Array[] = []
          for (const now of steps) {
            if (typeof now === 'number') {
              sent.push(bytesOf(now))
              near.channel.send(bytesOf(now))
            } else if (now === 'time passes') clock.advance(30)
            else {
              const { channel, addLane } = now === 'near adds' ? near : far
              if (channel.laneCount < LANES_MAX) addLane()
            }
          }
          while (far.channel.laneCount < LANES_MAX) far.addLane()
          clock.advance(1_000)
          expect(sizesOf(far.heard.messages)).toEqual(sizesOf(sent))
          for (const [index, message] of far.heard.messages.entries())
            expect(Buffer.compare(message, sent[index] ?? new Uint8Array())).toBe(0)
          expect(far.heard.ends).toEqual([])
          return Promise.resolve()
        },
      ),
      { numRuns: 200 },
    )
  })

  it('[F19] deals slices in turn, each frame from lane 0 on', () => {
    const { clock, near, far, addToBoth } = stripedPair([0, 0, 0])
    addToBoth()
    addToBoth()
    const seen = far.lanes.map((lane) => {
      const sizes: number[] = []
      lane.listen({ onMessage: (bytes) => sizes.push(bytes.byteLength), onLow: () => undefined, onClose: () => undefined })
      return sizes
    })
    near.channel.send(bytesOf(4 * SLICE_BYTES + 1))
    near.channel.send(bytesOf(10))
    clock.advance(1)
    // The two empty ones say that lanes 1 and 2 were added.
    expect(seen).toEqual([[0, 0, SLICE_BYTES, SLICE_BYTES, 10], [SLICE_BYTES, 1], [SLICE_BYTES]])
  })

  it('is settled when the other side deals to every lane that this side has', () => {
    const { clock, near, far } = stripedPair([5, 5])
    expect(near.channel.isSettled).toBe(true)
    near.addLane()
    clock.advance(20)
    expect(near.channel.isSettled).toBe(false)
    far.addLane()
    expect([near.channel.isSettled, far.channel.isSettled]).toEqual([false, true])
    clock.advance(5)
    expect(near.channel.isSettled).toBe(true)
  })

  it('asks for lanes when a frame is larger than what one lane carries as fast', () => {
    let asked = 0
    const [end] = memoryChannelPair()
    const channel = new StripedChannel(end, { onLarge: () => asked++ })
    channel.send(bytesOf(8 * SLICE_BYTES))
    expect(asked).toBe(0)
    channel.send(bytesOf(8 * SLICE_BYTES + 1))
    expect(asked).toBe(1)
  })

  it('adds up the bytes that its lanes hold and have sent', async () => {
    const { clock, near, addToBoth } = stripedPair([10, 10])
    addToBoth()
    near.channel.send(bytesOf(3 * SLICE_BYTES + 5))
    expect(near.channel.bufferedBytes()).toBe(3 * SLICE_BYTES + 5)
    clock.advance(10)
    expect(near.channel.bufferedBytes()).toBe(0)
    expect(await near.channel.stats()).toMatchObject({ bytesSent: 3 * SLICE_BYTES + 5, kind: 'memory' })
  })

  it.each([
    ['the first', [0, 50]],
    ['the last', [50, 0]],
  ])('delivers what was sent before the other side closed, and tells the end once, when %s lane is faster', (_, delaysMs) => {
    const { clock, near, far, addToBoth } = stripedPair(delaysMs)
    addToBoth()
    for (const bytes of [30_000, 10, 9_000]) near.channel.send(bytesOf(bytes))
    near.channel.close()
    clock.advance(200)
    expect(sizesOf(far.heard.messages)).toEqual([30_000, 10, 9_000])
    expect(far.heard.ends).toEqual([{ reason: 'remote', detail: expect.any(String) }])
    expect(near.heard.ends).toEqual([])
  })

  it.each([0, 1])('ends at once when the network loses lane %i', (lost) => {
    const { clock, near, far, addToBoth } = stripedPair([5, 5])
    addToBoth()
    clock.advance(5)
    near.lanes[lost]?.lose()
    clock.advance(5)
    expect(near.heard.ends.map(({ reason }) => reason)).toEqual(['lost'])
    expect(far.heard.ends.map(({ reason }) => reason)).toEqual(['lost'])
  })

  it('says lost when the other side closed a lane that a frame needs, and does not send over it', () => {
    const { clock, near, far, addToBoth } = stripedPair([0, 0])
    addToBoth()
    clock.advance(1)
    far.lanes[1]?.close()
    clock.advance(1)
    near.channel.send(bytesOf(10))
    clock.advance(1)
    expect(sizesOf(far.heard.messages)).toEqual([10])
    expect(() => near.channel.send(bytesOf(10_000))).toThrow(/lane 1 was closed/)
    // What comes for the missing lane can never be whole.
    far.lanes[0]?.send(bytesOf(SLICE_BYTES))
    clock.advance(1)
    expect(near.heard.ends).toEqual([{ reason: 'lost', detail: 'lane 1 ended within a frame' }])
  })

  it('[F19] closes on more lanes than there may be', () => {
    const { clock, near, far } = stripedPair([0])
    for (let lane = 1; lane <= LANES_MAX; lane++) near.lanes[0]?.send(new Uint8Array(0))
    clock.advance(1)
    expect(far.heard.ends).toEqual([{ reason: 'garbage', detail: `[F19] ${LANES_MAX + 1} lanes; there are at most ${LANES_MAX}` }])
  })

  it.each([SLICE_BYTES, 0])('[F19] closes when more than 16 MiB of slices of %i bytes wait for their turn', async (bytes) => {
    const [, first] = memoryChannelPair()
    const [raw, second] = memoryChannelPair()
    const ends: ChannelClosed[] = []
    const channel = new StripedChannel(first)
    channel.listen({ onMessage: () => expect.fail('handed on'), onLow: () => undefined, onClose: (closed) => ends.push(closed) })
    channel.addLane(second)
    // What an empty one takes is counted too.
    const most = Math.floor((16 * 1024 * 1024) / (bytes + 64))
    for (let slice = 0; slice < most; slice++) raw.send(new Uint8Array(bytes))
    await turn()
    expect(ends).toEqual([])
    raw.send(new Uint8Array(bytes))
    await turn()
    expect(ends).toEqual([{ reason: 'garbage', detail: expect.stringContaining('wait for lane 0') }])
  })

  it('closes a lane that comes after its end', () => {
    const { near, far, clock } = stripedPair([0, 0])
    near.channel.close()
    const ends: ChannelClosed[] = []
    far.lanes[1]?.listen({ onMessage: () => undefined, onLow: () => undefined, onClose: (closed) => ends.push(closed) })
    near.addLane()
    clock.advance(1)
    expect(near.channel.laneCount).toBe(1)
    expect(ends).toHaveLength(1)
  })
})

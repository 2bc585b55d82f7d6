import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FRAME_BYTES_MAX } from '../protocol/index.ts'
import type { ChannelClosed } from './channel.ts'
import { memoryChannelPair } from './memoryChannel.ts'
import { SLICE_BYTES, SlicedChannel } from './slicedChannel.ts'

const turn = () => new Promise((resolve) => setTimeout(resolve, 0))

/** What a sliced channel hears when the other end sends `slices` as they are. */
async function hear(slices: readonly Uint8Array[]) {
  const [raw, end] = memoryChannelPair()
  const messages: Uint8Array[] = []
  const ends: ChannelClosed[] = []
  const rawEnds: ChannelClosed[] = []
  raw.listen({ onMessage: () => undefined, onLow: () => undefined, onClose: (closed) => rawEnds.push(closed) })
  new SlicedChannel(end).listen({
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
  const channel = new SlicedChannel(end)
  for (const frame of frames) channel.send(frame)
  await turn()
  return slices
}

/** Rule F18 said plainly. */
function isGarbage(sizes: readonly number[]): boolean {
  let pending = 0
  for (const bytes of sizes) {
    pending += bytes
    if (bytes > SLICE_BYTES || pending > FRAME_BYTES_MAX) return true
    if (bytes < SLICE_BYTES) pending = 0
  }
  return false
}

const bytesOf = (count: number) => Uint8Array.from({ length: count }, (_, index) => (index * 7 + count) & 255)

describe('a channel of slices', () => {
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
      fc.asyncProperty(fc.array(size, { maxLength: 80 }), async (sizes) => {
        const { messages, ends } = await hear(sizes.map((bytes) => new Uint8Array(bytes)))
        expect(messages.every((message) => message.byteLength <= FRAME_BYTES_MAX)).toBe(true)
        expect(ends.map(({ reason }) => reason)).toEqual(isGarbage(sizes) ? ['garbage'] : [])
      }),
      { numRuns: 200 },
    )
  })
})

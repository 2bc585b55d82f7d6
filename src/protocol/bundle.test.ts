import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BUNDLE_MAGIC, bundledCount, framesOf, messageOf } from './bundle.ts'
import { BUNDLE_BYTES_MAX } from './limits.ts'

const frame = fc.uint8Array({ minLength: 1, maxLength: 4_000 })
/** One that looks like a bundle. */
const impostor = fc.uint8Array({ maxLength: 40 }).map((bytes) => Uint8Array.from([...BUNDLE_MAGIC, ...bytes]))

describe('[F20] a bundle', () => {
  it('gives its frames back, whatever is in them', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(frame, impostor), { minLength: 1, maxLength: 8 }), (frames) => {
        expect(framesOf(messageOf(frames))).toEqual(frames)
      }),
    )
  })

  it('is none where there is one frame, which travels as it is', () => {
    const only = Uint8Array.of(0x54, 0x53, 1)
    expect(messageOf([only])).toBe(only)
    expect(framesOf(only)?.[0]).toBe(only)
  })

  it('has frames with bytes of their own, that keep nothing else in memory', () => {
    for (const { byteLength, buffer } of framesOf(messageOf([new Uint8Array(10), new Uint8Array(20)])) ?? [])
      expect(buffer.byteLength).toBe(byteLength)
  })

  it('is not longer than its bound, and takes at least one frame of any size', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(frame, fc.constant(new Uint8Array(200_000))), { minLength: 1, maxLength: 20 }), (frames) => {
        const count = bundledCount(frames)
        expect(count).toBeGreaterThanOrEqual(1)
        if (count > 1) expect(messageOf(frames.slice(0, count)).byteLength).toBeLessThanOrEqual(BUNDLE_BYTES_MAX)
        if (count < frames.length) expect(messageOf(frames.slice(0, count + 1)).byteLength).toBeGreaterThan(BUNDLE_BYTES_MAX)
      }),
    )
  })

  it('is refused when it is too long', () => {
    const half = new Uint8Array(BUNDLE_BYTES_MAX / 2 - 6)
    expect(framesOf(messageOf([half, half]))).toHaveLength(2)
    expect(framesOf(messageOf([half, half, Uint8Array.of(1)]))).toBeNull()
  })

  it('is refused when its frames do not fill it', () => {
    const whole = messageOf([Uint8Array.of(1, 2, 3), Uint8Array.of(4)])
    for (let length: number = BUNDLE_MAGIC.length; length < whole.byteLength; length++) {
      const isWhole = length === BUNDLE_MAGIC.length + 4 + 3
      expect(framesOf(whole.slice(0, length)) === null).toBe(!isWhole)
    }
    expect(framesOf(Uint8Array.from([...whole, 0]))).toBeNull()
    expect(framesOf(Uint8Array.from([...BUNDLE_MAGIC, 0, 0, 0, 0]))).toBeNull()
    expect(framesOf(Uint8Array.from([...BUNDLE_MAGIC, 255, 255, 255, 255, 1]))).toBeNull()
  })

  it('of any bytes gives frames that fill it, or is refused', () => {
    fc.assert(
      fc.property(impostor, (message) => {
        const frames = framesOf(message)
        const bytes = frames?.reduce<number>((sum, { byteLength }) => sum + 4 + byteLength, BUNDLE_MAGIC.length)
        expect(frames === null || bytes === message.byteLength).toBe(true)
      }),
    )
  })
})

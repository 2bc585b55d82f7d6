import { describe, expect, it } from 'vitest'
import { testData } from '../../test/support/gguf.ts'
import { blockBytes, blockSize, dequantize, dequantizeInto, halfToFloat, tensorTypes } from './quants.ts'

describe('dequantize', () => {
  it.each(tensorTypes.filter((type) => type !== 'F32'))('%s equals the reference bit for bit', (type) => {
    const bytes = testData(`quants/${type}.bin`)
    const values = dequantize(type, bytes)
    expect(values.length).toBe((bytes.byteLength / blockBytes(type)) * blockSize(type))
    expect(Buffer.from(values.buffer).equals(testData(`quants/${type}.f32`))).toBe(true)
  })

  it('F32 keeps every bit, NaNs with their payload included', () => {
    const bits = Uint32Array.of(0, 0x8000_0000, 1, 0x7f80_0000, 0x7fc0_1234, 0xff80_0001, 0x3f80_0001)
    expect(new Uint32Array(dequantize('F32', new Uint8Array(bits.buffer)).buffer)).toEqual(bits)
  })

  it.each(tensorTypes)('%s in parts, to and from any place, gives the same as the whole', (type) => {
    const bytes = type === 'F32' ? testData('quants/Q4_1.f32') : testData(`quants/${type}.bin`)
    const whole = dequantize(type, bytes)
    const elements = blockSize(type)
    const parts = new Float32Array(2 * elements + 3).fill(7)
    dequantizeInto(type, bytes, blockBytes(type), parts, 1, 2 * elements)
    expect(parts.subarray(1, 1 + 2 * elements)).toEqual(whole.subarray(elements, 3 * elements))
    expect([parts[0], parts[2 * elements + 1], parts[2 * elements + 2]]).toEqual([7, 7, 7])
    expect(() => dequantizeInto(type, bytes, bytes.byteLength, parts, 0, elements)).toThrow(/values of/)
  })

  it('reads from any place of a buffer, aligned or not', () => {
    const shifted = new Uint8Array(9)
    shifted.set(new Uint8Array(Float32Array.of(1.5, -2).buffer), 1)
    expect(dequantize('F32', shifted.subarray(1))).toEqual(Float32Array.of(1.5, -2))
  })

  it('takes the low nibbles of Q4_1 as columns 0 to 15 and the high ones as 16 to 31', () => {
    const block = new Uint8Array(20)
    block.set([0x00, 0x3c, 0x00, 0xc0]) // d = 1, m = −2
    block[4] = 0x53
    const values = dequantize('Q4_1', block)
    expect([values[0], values[16], values[1]]).toEqual([3 - 2, 5 - 2, -2])
  })

  it('asserts that the bytes are whole blocks', () => {
    for (const type of tensorTypes) expect(() => dequantize(type, new Uint8Array(blockBytes(type) + 1))).toThrow(/whole blocks/)
  })
})

describe('halfToFloat', () => {
  it('knows subnormals, zeros, infinities and NaN', () => {
    expect(halfToFloat(0x0001)).toBe(2 ** -24)
    expect(halfToFloat(0x03ff)).toBe(1023 * 2 ** -24)
    expect(Object.is(halfToFloat(0x8000), -0)).toBe(true)
    expect(halfToFloat(0x7bff)).toBe(65_504)
    expect(halfToFloat(0xfc00)).toBe(Number.NEGATIVE_INFINITY)
    expect(halfToFloat(0x7e00)).toBeNaN()
  })
})

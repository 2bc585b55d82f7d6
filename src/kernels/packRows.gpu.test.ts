/** packRows and unpackRows against the CPU's codec, byte for byte: every magnitude f32 has, ties of rounding, subnormals. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { asFloats, KernelHarness, seededValues } from '../../test/support/kernelHarness.ts'
import { decodeRows, encodeRows, rowBytes } from '../protocol/index.ts'
import { packRows, unpackRows } from './packRows.ts'

let harness: KernelHarness
beforeAll(async () => {
  harness = await KernelHarness.open()
})
afterAll(() => harness.close())

const width = 72

/** Rows of very different magnitude; in each, magnitudes that reach down to where the mantissas are subnormal or nothing. */
function rowsOfEveryMagnitude(): Float32Array<ArrayBuffer> {
  const powers = [-149, -140, -126, -60, -15, 0, 1, 14.5, 15, 60, 127]
  const rows = powers.map((power, row) =>
    seededValues(row, width).map((value, column) => Math.fround(value * 2 ** (power - (column % 3 === 0 ? 0 : column * 0.6)))),
  )
  const ties = Float32Array.from({ length: width }, (_, i) => (i === 0 ? 32768 : (1024 + i) * 2 + 1 + (i % 2 === 0 ? 0 : 2 ** -9)))
  const powersOfTwo = Float32Array.from({ length: width }, (_, i) => (i % 2 === 0 ? -1 : 1) * 2 ** (20 - i))
  return Float32Array.from([...rows, ties, powersOfTwo, new Float32Array(width)].flatMap((row) => Array.from(row)))
}

async function pack(encoding: 'f32' | 'f16e', values: Float32Array, ioWord = 3) {
  const rows = values.length / width
  const bytes = rows * rowBytes(encoding, width)
  const buffers = [values, new Uint32Array(ioWord + bytes / 4), new Uint32Array(4)]
  const written = await harness.run(packRows, { encoding }, { width, xStride: width }, { rows }, buffers, { work: { ioWord } })
  const words = (written[0] ?? new Uint32Array()).slice(ioWord)
  return { bytes: new Uint8Array(words.buffer), flag: written[1]?.[0] }
}

describe('packRows', () => {
  for (const encoding of ['f32', 'f16e'] as const) {
    it(`${encoding}: equal to encodeRows in every byte`, async () => {
      const values = rowsOfEveryMagnitude()
      const { bytes, flag } = await pack(encoding, values)
      expect(bytes).toEqual(encodeRows(encoding, values, width))
      expect(flag).toBe(0)
    })

    it(`${encoding}: raises the flag for NaN, infinity, and nothing else`, async () => {
      const values = seededValues(1, 3 * width)
      for (const broken of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        values[2 * width + 71] = broken
        expect((await pack(encoding, values)).flag).toBe(1)
      }
      values[2 * width + 71] = 3.4e38
      expect((await pack(encoding, values)).flag).toBe(0)
    })
  }

  it('f16e: raises the flag for what rounds to 2^128, as encodeRows refuses it', async () => {
    const values = seededValues(1, width)
    values[5] = -3.4028234663852886e38
    expect((await pack('f16e', values)).flag).toBe(1)
    expect(() => encodeRows('f16e', values, width)).toThrow('which no f16e row can carry')
  })

  it('takes the rows of its piece only', async () => {
    const values = seededValues(1, 4 * width)
    const output = new Uint32Array(2 * width)
    const extent = { rows: 2 }
    const [words] = await harness.run(
      packRows,
      { encoding: 'f32' },
      { width, xStride: width },
      extent,
      [values, output, new Uint32Array(4)],
      { work: { rowFirst: 1 } },
    )
    expect(asFloats(words)).toEqual(values.slice(width, 3 * width))
  })
})

describe('unpackRows', () => {
  for (const encoding of ['f32', 'f16e'] as const) {
    it(`${encoding}: equal to decodeRows in every bit`, async () => {
      const bytes = encodeRows(encoding, rowsOfEveryMagnitude(), width)
      const rows = bytes.length / rowBytes(encoding, width)
      const packed = new Uint32Array(2 + bytes.length / 4)
      packed.set(new Uint32Array(bytes.buffer), 2)
      const input = { work: { ioWord: 2, rowFirst: 1 } }
      const x = new Float32Array((rows + 1) * width).fill(7)
      const [words] = await harness.run(unpackRows, { encoding }, { width, xStride: width }, { rows }, [packed, x], input)
      const expected = decodeRows(encoding, bytes, width)
      expect(new Uint32Array(words?.slice(width) ?? [])).toEqual(new Uint32Array(expected.buffer))
      expect(asFloats(words?.slice(0, width)).every((value) => value === 7)).toBe(true)
    })
  }
})

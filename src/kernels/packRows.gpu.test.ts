/** packRows and unpackRows against the CPU's codec, byte for byte: every magnitude f32 has, ties of rounding, subnormals, odd widths. */

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { asFloats, KernelHarness, seededValues } from '../../test/support/kernelHarness.ts'
import { decodeRows, encodeRows, ROW_ENCODINGS, type RowEncoding, rowBytes } from '../protocol/index.ts'
import { packRows, unpackRows } from './packRows.ts'

let harness: KernelHarness
beforeAll(async () => {
  harness = await KernelHarness.open()
})
afterAll(() => harness.close())

const width = 72

/** Rows of very different magnitude; in each, magnitudes that reach down to where the mantissas are subnormal or nothing. */
function rowsOfEveryMagnitude(width: number): Float32Array<ArrayBuffer> {
  const powers = [-149, -140, -126, -60, -15, 0, 1, 14.5, 15, 60, 127]
  const rows = powers.map((power, row) =>
    seededValues(row, width).map((value, column) => Math.fround(value * 2 ** (power - (column % 3 === 0 ? 0 : column * 0.6)))),
  )
  const ties = Float32Array.from({ length: width }, (_, i) => (i === 0 ? 32768 : (1024 + i) * 2 + 1 + (i % 2 === 0 ? 0 : 2 ** -9)))
  const powersOfTwo = Float32Array.from({ length: width }, (_, i) => (i % 2 === 0 ? -1 : 1) * 2 ** (20 - i))
  return Float32Array.from([...rows, ties, powersOfTwo, new Float32Array(width)].flatMap((row) => Array.from(row)))
}

async function pack(encoding: RowEncoding, values: Float32Array, width: number, ioWord = 3) {
  const rows = values.length / width
  const bytes = rows * rowBytes(encoding, width)
  const buffers = [values, new Uint32Array(ioWord + bytes / 4), new Uint32Array(4)]
  const written = await harness.run(packRows, { encoding }, { width, xStride: width }, { rows }, buffers, { work: { ioWord } })
  const words = (written[0] ?? new Uint32Array()).slice(ioWord)
  return { bytes: new Uint8Array(words.buffer), flag: written[1]?.[0] }
}

describe('packRows', () => {
  for (const encoding of ROW_ENCODINGS) {
    // Below and above the outliers of i8b, parts of a word, of a block, of a workgroup's share; the default model's.
    it.each([2, 6, 30, 70, 72, 130, 576])(`${encoding}: equal to encodeRows in every byte, rows of %i`, async (width) => {
      const values = rowsOfEveryMagnitude(width)
      const { bytes, flag } = await pack(encoding, values, width)
      expect(bytes).toEqual(encodeRows(encoding, values, width))
      expect(flag).toBe(0)
    })

    it(`${encoding}: raises the flag for NaN, infinity, and nothing else`, async () => {
      const values = seededValues(1, 3 * width)
      for (const broken of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        values[2 * width + 71] = broken
        expect((await pack(encoding, values, width)).flag).toBe(1)
      }
      values[2 * width + 71] = 3.4e38
      expect((await pack(encoding, values, width)).flag).toBe(0)
    })
  }

  it.each(['f16e', 'i8b'] as const)('%s: raises the flag for what rounds to 2^128, as encodeRows refuses it', async (encoding) => {
    const values = seededValues(1, width)
    values[5] = -3.4028234663852886e38
    expect((await pack(encoding, values, width)).flag).toBe(1)
    expect(() => encodeRows(encoding, values, width)).toThrow('only f32 rows can carry it')
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

/** The bits of the rows in `bytes`, unpacked behind one row that must stay as it is. */
async function unpack(encoding: RowEncoding, bytes: Uint8Array<ArrayBuffer>, width: number) {
  const rows = bytes.length / rowBytes(encoding, width)
  const packed = new Uint32Array(2 + bytes.length / 4)
  packed.set(new Uint32Array(bytes.buffer), 2)
  const input = { work: { ioWord: 2, rowFirst: 1 } }
  const x = new Float32Array((rows + 1) * width).fill(7)
  const [words] = await harness.run(unpackRows, { encoding }, { width, xStride: width }, { rows }, [packed, x], input)
  expect(asFloats(words?.slice(0, width)).every((value) => value === 7)).toBe(true)
  return new Uint32Array(words?.slice(width) ?? [])
}

describe('unpackRows', () => {
  for (const encoding of ROW_ENCODINGS) {
    it.each([2, 6, 30, 70, 72, 130, 576])(`${encoding}: equal to decodeRows in every bit, rows of %i`, async (width) => {
      const bytes = encodeRows(encoding, rowsOfEveryMagnitude(width), width)
      const expected = decodeRows(encoding, bytes, width)
      expect(await unpack(encoding, bytes, width)).toEqual(new Uint32Array(expected.buffer))
    })
  }

  it('i8b: leaves no finite row of what decodeRows refuses, and takes what it takes', async () => {
    const good = encodeRows('i8b', seededValues(3, width), width)
    // All but the padding behind the scales, which nobody reads.
    const at = fc.integer({ min: 0, max: good.length - 1 }).filter((byte) => byte < 42 || byte > 43)
    const changes = fc.array(fc.tuple(at, fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 3 })
    const samples = fc.sample(changes, { numRuns: 400, seed: 7 }).map((changed) => {
      const bytes = good.slice()
      for (const [index, byte] of changed) bytes[index] = byte
      return bytes
    })
    const taken = samples.filter((bytes) => {
      try {
        decodeRows('i8b', bytes, width)
        return true
      } catch {
        return false
      }
    })
    expect(taken.length).toBeGreaterThan(20)
    expect(samples.length - taken.length).toBeGreaterThan(20)
    const joined = new Uint8Array(samples.flatMap((bytes) => Array.from(bytes)))
    const values = asFloats(await unpack('i8b', joined, width))
    for (const [index, bytes] of samples.entries()) {
      const row = values.slice(index * width, (index + 1) * width)
      expect(row.every(Number.isFinite), `sample ${index}`).toBe(taken.includes(bytes))
      if (taken.includes(bytes)) expect(row).toEqual(decodeRows('i8b', bytes, width))
    }
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fromHalfBits, toHalfBits } from './half.ts'
import { decodeRows, encodeRows, ROW_ENCODINGS, type RowEncoding, rowBytes, rowWidth } from './rows.ts'

const finite = fc.float({ noNaN: true, noDefaultInfinity: true, max: Math.fround(3.4e38), min: Math.fround(-3.4e38) })
const rows = fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 0, max: 4 })).chain(([halfWidth, rowCount]) =>
  fc.record({
    width: fc.constant(2 * halfWidth),
    values: fc
      .array(finite, { minLength: 2 * halfWidth * rowCount, maxLength: 2 * halfWidth * rowCount })
      .map((list) => Float32Array.from(list)),
  }),
)

function expectBadRowsOrFinite(encoding: RowEncoding, bytes: Uint8Array, width: number): void {
  try {
    expect(decodeRows(encoding, bytes, width).every(Number.isFinite)).toBe(true)
  } catch (error) {
    expect(error).toMatchObject({ reason: 'bad-rows' })
  }
}

/** Nearest by search over all finite halves: slow, and obviously right. */
function nearestHalf(value: number): number[] {
  let best: number[] = []
  let distance = Number.POSITIVE_INFINITY
  for (let bits = 0; bits < 0x7c00; bits++) {
    const candidate = Math.abs(fromHalfBits(bits) - Math.abs(value))
    if (candidate < distance) {
      distance = candidate
      best = [bits]
    } else if (candidate === distance) best.push(bits)
  }
  return best
}

describe('f16', () => {
  it('comes back bit by bit for all 65,536 patterns', () => {
    for (let bits = 0; bits < 65_536; bits++) {
      const value = fromHalfBits(bits)
      if (Number.isNaN(value)) expect(toHalfBits(value) & 0x7fff).toBe(0x7e00)
      else if (toHalfBits(value) !== bits) expect.fail(`${bits} came back as ${toHalfBits(value)}`)
    }
  })

  it('rounds to nearest, ties to even, down to subnormals and to zero', () => {
    const values = [
      0,
      1,
      1 + 2 ** -11,
      1 + 3 * 2 ** -11,
      2 ** -24,
      2 ** -25,
      2 ** -25 * 1.0001,
      1.5 * 2 ** -24,
      2.5 * 2 ** -24,
      2 ** -14,
      65504,
    ]
    const check = (raw: number) => {
      const value = Math.fround(raw)
      const nearest = nearestHalf(value)
      const expected = nearest.find((bits) => nearest.length === 1 || bits % 2 === 0)
      expect(toHalfBits(value) & 0x7fff).toBe(expected)
      expect(toHalfBits(value) >>> 15).toBe(Object.is(Math.sign(value), -1) || Object.is(value, -0) ? 1 : 0)
    }
    values.forEach(check)
    fc.assert(fc.property(fc.double({ min: -65_000, max: 65_000, noNaN: true }), check), { numRuns: 30 })
    fc.assert(fc.property(fc.double({ min: -(2 ** -13), max: 2 ** -13, noNaN: true }), check), { numRuns: 30 })
  })

  it('goes to infinity from half a step above the largest number', () => {
    expect(toHalfBits(65_519.99)).toBe(0x7bff)
    expect(toHalfBits(65_520)).toBe(0x7c00)
    expect(toHalfBits(-1e30)).toBe(0xfc00)
  })
})

describe('rows on the wire', () => {
  it('[F11] has the least exponent for which no mantissa exceeds 2^15, and 0 for a row of zeros', () => {
    const exponentOf = (values: number[]) =>
      new DataView(encodeRows('f16e', Float32Array.from(values), values.length).buffer).getInt32(0, true)
    expect(exponentOf([0, -0])).toBe(0)
    expect(exponentOf([2 ** 15, 1])).toBe(0)
    expect(exponentOf([2 ** 15 + 1, 1])).toBe(1)
    expect(exponentOf([-(2 ** 14), 1])).toBe(-1)
    expect(exponentOf([2 ** -149, 0])).toBe(-164)
    expect(exponentOf([3e38, 0])).toBe(113)
  })

  it('[F11] keeps mantissas of 11 bits exactly and the others within half a unit of the 11th bit', () => {
    fc.assert(
      fc.property(rows, ({ width, values }) => {
        const bytes = encodeRows('f16e', values, width)
        expect(bytes.byteLength).toBe((values.length / width) * rowBytes('f16e', width))
        const back = decodeRows('f16e', bytes, width)
        for (let row = 0; row * width < values.length; row++) {
          const largest = Math.max(...values.subarray(row * width, (row + 1) * width).map(Math.abs))
          for (let at = row * width; at < (row + 1) * width; at++) {
            const error = Math.abs((back[at] ?? Number.NaN) - (values[at] ?? Number.NaN))
            // Half a unit of a normal mantissa, or of the smallest subnormal one: 2^-25 × 2^exponent, largest ≥ 2^(exponent + 14).
            expect(error).toBeLessThanOrEqual(Math.max(Math.abs(values[at] ?? 0) * 2 ** -11, largest * 2 ** -39, 0))
          }
        }
      }),
    )
  })

  it('[F11] decodes what it encodes to the same bytes once rounded', () => {
    fc.assert(
      fc.property(rows, ({ width, values }) => {
        const once = decodeRows('f16e', encodeRows('f16e', values, width), width)
        expect(decodeRows('f16e', encodeRows('f16e', once, width), width)).toEqual(once)
      }),
    )
  })

  it('[F2] carries f32 rows bit by bit, from bytes at any offset', () => {
    fc.assert(
      fc.property(rows, fc.integer({ min: 0, max: 7 }), ({ width, values }, offset) => {
        const shifted = new Uint8Array(offset + values.byteLength)
        shifted.set(encodeRows('f32', values, width), offset)
        expect(decodeRows('f32', shifted.subarray(offset), width)).toEqual(values)
      }),
    )
  })

  it('[F12] refuses NaN, infinity and what rounds to 2^128 when encoding', () => {
    const largest = (2 - 2 ** -23) * 2 ** 127
    for (const encoding of ROW_ENCODINGS) {
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
        expect(() => encodeRows(encoding, Float32Array.of(1, 2, bad, 3), 2)).toThrow(/row 1 holds/)
      if (encoding === 'f32') continue
      expect(() => encodeRows(encoding, Float32Array.of(largest, 1), 2)).toThrow(/only f32 rows can carry/)
    }
    expect(decodeRows('f32', encodeRows('f32', Float32Array.of(largest, 1), 2), 2)[0]).toBe(largest)
  })

  it('[F12] [F17] never throws anything but bad-rows for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.constantFrom(...ROW_ENCODINGS), (bytes, encoding) => {
        expectBadRowsOrFinite(encoding, bytes, 4)
      }),
      { numRuns: 1_000 },
    )
  })

  it('[F6] knows the width of a row by its bytes, and refuses odd, empty and too wide ones', () => {
    expect(rowWidth('f32', 8)).toBe(2)
    expect(rowWidth('f16e', 4 + 2 * 576)).toBe(576)
    expect(rowWidth('f16e', 4 + 2 * 16_384)).toBe(16_384)
    expect(rowWidth('i8b', rowBytes('i8b', 576))).toBe(576)
    expect(rowWidth('i8b', rowBytes('i8b', 16_384))).toBe(16_384)
    // The same words hold a width of 70 and one of 72.
    expect(rowWidth('i8b', rowBytes('i8b', 70))).toBe(72)
    for (const bytes of [0, 4, 12, 7, 4 * 16_386, Number.NaN]) expect(rowWidth('f32', bytes)).toBe(null)
    for (const bytes of [4, 6, 10, 9, 4 + 2 * 16_386]) expect(rowWidth('f16e', bytes)).toBe(null)
    for (const bytes of [0, 4, 19, rowBytes('i8b', 72) + 2, rowBytes('i8b', 16_384) + 4]) expect(rowWidth('i8b', bytes)).toBe(null)
  })
})

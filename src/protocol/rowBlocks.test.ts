/** i8b rows: the layout of rule F16 against a plain computation in floats, its error, and what a decoder refuses. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TabswarmError } from '../shared/index.ts'
import { fromHalfBits, toHalfBits } from './half.ts'
import { decodeRows, encodeRows, rowBytes } from './rows.ts'

const OUTLIERS = 8

/** Rows like a residual's: most values small, some a thousand times larger, blocks of zeros; and rows of any magnitude. */
const value = fc.oneof(
  { weight: 8, arbitrary: fc.double({ min: -4, max: 4, noNaN: true }) },
  { weight: 1, arbitrary: fc.double({ min: -30_000, max: 30_000, noNaN: true }) },
  { weight: 1, arbitrary: fc.constantFrom(0, -0, 2 ** -149, -(2 ** -140), 1e-30, 127, 1e30) },
)
const row = fc
  .integer({ min: 1, max: 80 })
  .chain((halfWidth) =>
    fc
      .tuple(fc.array(value, { minLength: 2 * halfWidth, maxLength: 2 * halfWidth }), fc.constantFrom(1, 1, 2 ** -100, 2 ** 20, 0))
      .map(([values, scale]) => Float32Array.from(values, (each) => each * scale)),
  )

interface Parts {
  readonly exponent: number
  readonly outliers: readonly { readonly column: number; readonly mantissa: number }[]
  readonly scales: readonly number[]
  readonly quants: readonly number[]
  readonly padding: readonly number[]
}

/** Takes a row of `width` apart as SPEC.md lays it out. */
function parse(bytes: Uint8Array<ArrayBuffer>, width: number): Parts {
  const view = new DataView(bytes.buffer)
  let at = 4
  const outliers = Array.from({ length: Math.min(OUTLIERS, width) }, () => {
    const outlier = { column: view.getUint16(at, true), mantissa: fromHalfBits(view.getUint16(at + 2, true)) }
    at += 4
    return outlier
  })
  const padding: number[] = []
  const pad = () => {
    while (at % 4 !== 0) padding.push(view.getUint8(at++))
  }
  const scales = Array.from({ length: Math.ceil(width / 32) }, () => {
    at += 2
    return fromHalfBits(view.getUint16(at - 2, true))
  })
  pad()
  const quants = Array.from({ length: width }, () => view.getInt8(at++))
  pad()
  expect(at).toBe(bytes.byteLength)
  return { exponent: view.getInt32(0, true), outliers, scales, quants, padding }
}

/** The next smaller f16; of 0 itself. */
const halfBelow = (scale: number) => fromHalfBits(Math.max(0, toHalfBits(scale) - 1))

describe('i8b rows', () => {
  it('[F16] has the bytes that the layout says: a row by hand', () => {
    // 2^15 has mantissa 2^15 at exponent 0. The other seven outliers are the next largest, the lower column first.
    const values = Float32Array.from({ length: 34 }, (_, column) =>
      column === 33 ? -(2 ** 15) : column < 9 ? 254 : column === 9 ? -127 : 0,
    )
    const { exponent, outliers, scales, quants, padding } = parse(encodeRows('i8b', values, 34), 34)
    expect(exponent).toBe(0)
    expect(outliers).toEqual([
      { column: 33, mantissa: -(2 ** 15) },
      ...Array.from({ length: 7 }, (_, column) => ({ column, mantissa: 254 })),
    ])
    expect(scales).toEqual([2, 0])
    expect(quants).toEqual(Array.from({ length: 34 }, (_, column) => (column === 7 || column === 8 ? 127 : column === 9 ? -64 : 0)))
    expect(padding).toEqual([0, 0])
    expect(rowBytes('i8b', 34)).toBe(4 + 32 + 4 + 36)
  })

  it('[F16] takes the largest mantissas apart, gives each block the least scale that holds it, and rounds to nearest', () => {
    fc.assert(
      fc.property(row, (values) => {
        const { exponent, outliers, scales, quants, padding } = parse(encodeRows('i8b', values, values.length), values.length)
        const mantissas = Array.from(values, (each) => fromHalfBits(toHalfBits(each * 2 ** -exponent)))
        const order = mantissas
          .map((mantissa, column) => ({ column, mantissa }))
          .sort((a, b) => Math.abs(b.mantissa) - Math.abs(a.mantissa) || a.column - b.column)
        expect(outliers).toEqual(order.slice(0, OUTLIERS))
        for (const { column } of outliers) mantissas[column] = 0
        for (const [block, scale] of scales.entries()) {
          const own = mantissas.slice(32 * block, 32 * block + 32)
          const largest = Math.max(...own.map(Math.abs))
          expect(127 * scale).toBeGreaterThanOrEqual(largest)
          if (largest > 0) expect(127 * halfBelow(scale)).toBeLessThan(largest)
          const nearest = own.map((mantissa) => (scale === 0 ? 0 : Math.sign(mantissa) * Math.floor(Math.abs(mantissa) / scale + 0.5) + 0))
          expect(quants.slice(32 * block, 32 * block + 32)).toEqual(nearest)
        }
        expect(padding.every((byte) => byte === 0)).toBe(true)
      }),
      { numRuns: 300 },
    )
  })

  it('[F16] loses at most half a step of 1/127 of a block’s largest value, and nothing of the outliers but what f16e does', () => {
    fc.assert(
      fc.property(row, (values) => {
        const width = values.length
        const back = decodeRows('i8b', encodeRows('i8b', values, width), width)
        const halves = decodeRows('f16e', encodeRows('f16e', values, width), width)
        const largest = Math.max(...values.map(Math.abs))
        const outliers = Array.from(values.keys())
          .sort((a, b) => Math.abs(halves[b] ?? 0) - Math.abs(halves[a] ?? 0) || a - b)
          .slice(0, OUTLIERS)
        for (const column of outliers) expect(back[column]).toBe(halves[column])
        for (let first = 0; first < width; first += 32) {
          const columns = Array.from({ length: Math.min(32, width - first) }, (_, at) => first + at).filter((at) => !outliers.includes(at))
          const blockLargest = Math.max(0, ...columns.map((column) => Math.abs(values[column] ?? 0)))
          // Half a step, the scale's and the mantissa's own rounding, and the smallest unit that the row can hold.
          const bound = (blockLargest / 127) * (0.5 + 0.07) + largest * 2 ** -38 + 2 ** -149
          for (const column of columns) expect(Math.abs((back[column] ?? 0) - (values[column] ?? 0))).toBeLessThanOrEqual(bound)
        }
      }),
      { numRuns: 300 },
    )
  })

  it('[F17] refuses what no encoder writes, each part by name', () => {
    const width = 40
    const good = encodeRows(
      'i8b',
      Float32Array.from({ length: width }, (_, column) => column - 20.25),
      width,
    )
    expect(decodeRows('i8b', good, width)[0]).toBe(-20.25)
    const changed = (at: number, ...bytes: number[]) => {
      const copy = good.slice()
      copy.set(bytes, at)
      return () => decodeRows('i8b', copy, width)
    }
    const outliersAt = 4
    const scalesAt = outliersAt + 4 * OUTLIERS
    const quantsAt = scalesAt + 4
    expect(changed(0, 114, 0, 0, 0)).toThrow(/exponent 114/)
    expect(changed(outliersAt, 40, 0)).toThrow(/column 40 as outlier 0/)
    expect(changed(outliersAt, 1, 0)).toThrow(/column 1 as outlier/)
    expect(changed(outliersAt + 3, 0x7c)).toThrow(/mantissa/)
    expect(changed(outliersAt + 4 + 3, 0x7b)).toThrow(/column 1 as outlier 1/)
    expect(changed(quantsAt, 1)).toThrow(/in its block too/)
    expect(changed(quantsAt + 20, 0x80)).toThrow(/quant -128/)
    expect(changed(scalesAt, 0x0a, 0x5c)).toThrow(/block 0 has a scale/)
    expect(changed(scalesAt + 2, 0, 0x80)).toThrow(/block 1 has a scale/)
  })

  it('[F17] never throws anything but bad-rows for rows with a few bytes changed, and gives finite values', () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(row, changes, (values, changed) => {
        const bytes = encodeRows('i8b', values, values.length)
        for (const [at, byte] of changed) bytes[at % bytes.length] = byte
        try {
          expect(decodeRows('i8b', bytes, values.length).every(Number.isFinite)).toBe(true)
        } catch (error) {
          expect(error).toBeInstanceOf(TabswarmError)
          expect(error).toMatchObject({ reason: 'bad-rows' })
        }
      }),
      { numRuns: 1_000 },
    )
  })
})

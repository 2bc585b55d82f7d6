/**
 * ropeKv and attention against f64, through the paged cache: odd head sizes, both sides of a block, of a tile and of a split, block
 * tables out of order, rows that must not see later positions, and NaN in blocks that belong to nobody.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { asFloats, KernelHarness, nmse, seededValues } from '../../test/support/kernelHarness.ts'
import { attentionReference, ropeReference } from './attention.reference.ts'
import { attention, attentionCombine, SPLIT_POSITIONS, splitCount } from './attention.ts'
import { KV_BLOCK, type KvType, kvBlockBytes, ropeFrequencies, ropeKv, writeRopeAngles } from './ropeKv.ts'

let harness: KernelHarness
beforeAll(async () => {
  harness = await KernelHarness.open()
})
afterAll(() => harness.close())

interface Setting {
  readonly heads: number
  readonly kvHeads: number
  readonly headSize: number
  readonly kvType: KvType
}

const small: Setting = { heads: 6, kvHeads: 2, headSize: 32, kvType: 'f32' }
const f16Nmse = 1e-6

/** A cache written by ropeKv, row by row in one dispatch: rows at positions 0 … count − 1 of one slot. */
async function writtenCache(setting: Setting, count: number, ropeDimensions: number) {
  const { heads, kvHeads, headSize, kvType } = setting
  const stride = (heads + 2 * kvHeads) * headSize
  const qkv = seededValues(3, count * stride)
  const blocks = Math.ceil(count / KV_BLOCK)
  // Blocks in reverse order, and one more that nobody owns.
  const tables = Array.from({ length: blocks }, (_, index) => blocks - index)
  const frequencies = ropeFrequencies(10_000, ropeDimensions, null)
  const angles = new Float32Array(count * ropeDimensions)
  for (let row = 0; row < count; row++) writeRopeAngles(angles, row * ropeDimensions, row, frequencies)
  const cacheWords = ((blocks + 1) * kvBlockBytes(kvType, kvHeads, headSize)) / 4
  // NaN everywhere: what is read before it is written shows.
  const empty = () => new Uint32Array(cacheWords).fill(0x7fc07fc0)
  const rows = Array.from({ length: count }, (_, position) => ({ position }))
  const shape = { heads, kvHeads, headSize, ropeDimensions }
  const written = await harness.run(ropeKv, { kvType }, shape, { rows: count }, [qkv, empty(), empty()], { rows, tables, angles })
  const part = (row: number, from: number, to: number) => qkv.subarray(row * stride + from * headSize, row * stride + to * headSize)
  const rotated = (row: number, from: number, to: number) => {
    const values = new Float64Array((to - from) * headSize)
    for (let head = from; head < to; head++)
      values.set(ropeReference(part(row, head, head + 1), row, frequencies), (head - from) * headSize)
    return values
  }
  const perRow = (of: (row: number) => ArrayLike<number>) => Float64Array.from(rows.flatMap((_, row) => Array.from(of(row))))
  return {
    rows,
    tables,
    angles,
    stride,
    qkv: asFloats(written[0]),
    keys: written[1] ?? new Uint32Array(),
    values: written[2] ?? new Uint32Array(),
    expected: {
      queries: perRow((row) => rotated(row, 0, heads)),
      keys: perRow((row) => rotated(row, heads, heads + kvHeads)),
      values: perRow((row) => part(row, heads + kvHeads, heads + 2 * kvHeads)),
    },
  }
}

type Cache = Awaited<ReturnType<typeof writtenCache>>

function expectedRow(setting: Setting, cache: Cache, row: number): Float64Array {
  const { heads, headSize } = setting
  const query = cache.expected.queries.subarray(row * heads * headSize, (row + 1) * heads * headSize)
  return attentionReference({ ...setting, query, keys: cache.expected.keys, values: cache.expected.values, positions: row + 1 })
}

/** The attention outputs of rows `first` … of the cache's own slot, on the prompt path. */
async function prompt(setting: Setting, cache: Cache, first: number, tile: number): Promise<Float32Array> {
  const { heads, headSize, kvType } = setting
  const rows = cache.rows.slice(first)
  const qkv = cache.qkv.slice(first * cache.stride)
  const out = new Float32Array(rows.length * heads * headSize)
  const extent = { kind: 'prompt', tile, rows: rows.length, positionLast: cache.rows.length - 1 } as const
  const buffers = [qkv, cache.keys, cache.values, out]
  const input = { work: { rowCount: rows.length }, rows, tables: cache.tables }
  const [words] = await harness.run(
    attention,
    { kind: 'prompt', kvType, headSize, tile },
    { ...setting, splits: 1 },
    extent,
    buffers,
    input,
  )
  return asFloats(words)
}

/** The same on the decode path, rows as given. */
async function decode(setting: Setting, cache: Cache, picked: readonly number[], tile: number): Promise<Float32Array> {
  const { heads, headSize, kvType } = setting
  const rows = picked.map((position) => ({ position }))
  const qkv = Float32Array.from(picked.flatMap((row) => Array.from(cache.qkv.subarray(row * cache.stride, (row + 1) * cache.stride))))
  const splits = splitCount(cache.rows.length)
  const shape = { ...setting, splits }
  const partials = new Float32Array(picked.length * heads * splits * (headSize + 2)).fill(Number.NaN)
  const extent = { kind: 'decode', tile, rows: picked.length, positionLast: Math.max(...picked) } as const
  const input = { rows, tables: cache.tables }
  const buffers = [qkv, cache.keys, cache.values, partials]
  const [sums] = await harness.run(attention, { kind: 'decode', kvType, headSize, tile }, shape, extent, buffers, input)
  const out = new Float32Array(picked.length * heads * headSize)
  const [words] = await harness.run(attentionCombine, undefined, shape, { rows: picked.length }, [asFloats(sums), out], input)
  return asFloats(words)
}

const expectRows = (actual: Float32Array, expected: readonly Float64Array[], bound: number) =>
  expect(nmse(actual, Float64Array.from(expected.flatMap((row) => Array.from(row))))).toBeLessThan(bound)

describe('ropeKv', () => {
  it('rotates queries in place, all or some dimensions', async () => {
    for (const ropeDimensions of [32, 20]) {
      const cache = await writtenCache(small, 35, ropeDimensions)
      const queries = Float64Array.from(
        cache.rows.flatMap((_, row) => Array.from(cache.qkv.subarray(row * cache.stride, row * cache.stride + 6 * 32))),
      )
      expect(nmse(queries, cache.expected.queries)).toBeLessThan(ropeKv.nmseMax)
    }
  })

  it('is as exact at position 8,191 as at 1: the angles come from f64', () => {
    const frequencies = ropeFrequencies(10_000, 64, null)
    const angles = new Float32Array(64)
    writeRopeAngles(angles, 0, 8191, frequencies)
    expect(angles[1]).toBe(Math.fround(Math.sin(8191)))
  })

  it('writes nothing into blocks of others', async () => {
    const cache = await writtenCache(small, 33, 32)
    const blockWords = kvBlockBytes('f32', 2, 32) / 4
    // Block 0 is nobody's; of block 1 (the second) only position 32 is written.
    expect(cache.keys.subarray(0, blockWords).every((word) => word === 0x7fc07fc0)).toBe(true)
    expect(cache.values.subarray(blockWords + 32, 2 * blockWords).filter((word) => word !== 0x7fc07fc0).length).toBe(32)
  })

  it('divides frequencies by the factors of rope_freqs', () => {
    expect(ropeFrequencies(100, 4, [2, 4])).toEqual(Float64Array.of(1 / 2, 0.1 / 4))
  })
})

describe('attention', () => {
  for (const [setting, count, tile] of [
    [small, 1, 8],
    [small, 32, 8],
    [small, 33, 8],
    [{ ...small, kvType: 'f16' }, 45, 8],
    [{ heads: 3, kvHeads: 1, headSize: 64, kvType: 'f16' }, 40, 8],
    [{ heads: 2, kvHeads: 2, headSize: 80, kvType: 'f32' }, 34, 3],
  ] as const) {
    const { heads, kvHeads, headSize, kvType } = setting
    const bound = kvType === 'f16' ? f16Nmse : attention.nmseMax
    it(`${count} positions, ${heads} heads on ${kvHeads} of ${headSize}, ${kvType}: prompt and decode`, async () => {
      const cache = await writtenCache(setting, count, headSize)
      const all = cache.rows.map((_, row) => expectedRow(setting, cache, row))
      expectRows(await prompt(setting, cache, 0, tile), all, bound)
      const picked = [count - 1, 0, Math.floor(count / 2)]
      expectRows(
        await decode(setting, cache, picked, Math.min(8, heads / kvHeads)),
        picked.map((row) => all[row] ?? new Float64Array()),
        bound,
      )
    })
  }

  it('adds the splits of a long decode row: both sides of a split', async () => {
    const setting: Setting = { heads: 2, kvHeads: 1, headSize: 16, kvType: 'f32' }
    const cache = await writtenCache(setting, SPLIT_POSITIONS + 2, 16)
    const picked = [SPLIT_POSITIONS - 1, SPLIT_POSITIONS, SPLIT_POSITIONS + 1]
    expectRows(
      await decode(setting, cache, picked, 2),
      picked.map((row) => expectedRow(setting, cache, row)),
      attention.nmseMax,
    )
  })

  it('gives a row the same bits in any tile, any chunk, and beside any other row', async () => {
    const cache = await writtenCache(small, 70, 32)
    const row = 6 * 32
    const whole = await prompt(small, cache, 0, 8)
    expect(await prompt(small, cache, 0, 5)).toEqual(whole)
    expect(await prompt(small, cache, 41, 8)).toEqual(whole.slice(41 * row))
    const together = await decode(small, cache, [69, 3, 40, 68], 3)
    expect(await decode(small, cache, [40], 3)).toEqual(together.slice(2 * row, 3 * row))
    expect(await decode(small, cache, [40], 2)).toEqual(together.slice(2 * row, 3 * row))
  })

  it('refuses heads that the KV heads do not divide', () => {
    expect(() => attention.uniform({ heads: 5, kvHeads: 2, headSize: 32, splits: 1 })).toThrow('5 heads, 2 KV heads')
  })
})

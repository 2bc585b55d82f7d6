/**
 * Attention against f64, over a paged cache that the test lays out itself: odd head sizes, both sides of a block, of a tile, of a split
 * and of a window, block tables out of order, NaN in blocks that belong to nobody and at positions that nobody has written.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { KernelHarness, nmse, seededValues } from '../../test/support/kernelHarness.ts'
import { halfToFloat } from '../model/index.ts'
import { attentionReference } from './attention.reference.ts'
import { type AttentionShape, attention, bindAttention, partialsBytes, SPLIT_POSITIONS, splitCount } from './attention.ts'
import { KV_BLOCK, type KvType } from './ropeKv.ts'

let harness: KernelHarness
beforeAll(async () => {
  harness = await KernelHarness.open()
})
afterAll(() => harness.close())

interface Setting extends Omit<AttentionShape, 'splits'> {
  readonly kvType: KvType
}

const plain = { scale: 0.2, softCap: null, window: null } as const
const small: Setting = { ...plain, heads: 6, kvHeads: 2, headSize: 32, kvType: 'f32' }

/** Halves of moderate size, so that a cache of either type holds the same values. */
function seededHalves(seed: number, count: number): Uint16Array {
  const values = seededValues(seed, count)
  return Uint16Array.from(values, (value) => (value < 0 ? 0x8000 : 0) | (0x3000 + Math.floor(Math.abs(value) * 0x0c00)))
}

/** One slot of `count` positions: its words on the GPU, and the same as numbers. */
function pagedCache({ kvHeads, headSize, kvType }: Setting, count: number) {
  const size = count * kvHeads * headSize
  const halves = { keys: seededHalves(1, size), values: seededHalves(2, size) }
  const blocks = Math.ceil(count / KV_BLOCK)
  // Blocks in reverse order, and one more that nobody owns.
  const tables = Array.from({ length: blocks }, (_, index) => blocks - index)
  // NaN as one f32 and as two f16.
  const words = (blocks + 1) * KV_BLOCK * kvHeads * headSize
  const f32 = { keys: new Float32Array(words).fill(Number.NaN), values: new Float32Array(words).fill(Number.NaN) }
  const f16 = { keys: new Uint16Array(words).fill(0x7e00), values: new Uint16Array(words).fill(0x7e00) }
  const perWord = kvType === 'f16' ? 2 : 1
  for (let position = 0; position < count; position++) {
    for (let head = 0; head < kvHeads; head++) {
      const base = ((tables[Math.floor(position / KV_BLOCK)] ?? 0) * kvHeads + head) * KV_BLOCK * headSize
      const slot = position % KV_BLOCK
      for (let d = 0; d < headSize; d++) {
        const from = (position * kvHeads + head) * headSize + d
        const keyAt = base + (Math.floor(d / perWord) * KV_BLOCK + slot) * perWord + (d % perWord)
        f16.keys[keyAt] = halves.keys[from] ?? 0
        f32.keys[keyAt] = halfToFloat(halves.keys[from] ?? 0)
        f16.values[base + slot * headSize + d] = halves.values[from] ?? 0
        f32.values[base + slot * headSize + d] = halfToFloat(halves.values[from] ?? 0)
      }
    }
  }
  const stored = kvType === 'f16' ? f16 : f32
  return {
    count,
    tables,
    keys: new Uint32Array(stored.keys.buffer),
    values: new Uint32Array(stored.values.buffer),
    plain: { keys: Float64Array.from(halves.keys, halfToFloat), values: Float64Array.from(halves.values, halfToFloat) },
  }
}

type Cache = ReturnType<typeof pagedCache>

/** Rows of [queries | keys | values] at these positions; attention reads the queries only. A query depends on its position alone. */
function queryRows({ heads, kvHeads, headSize }: Setting, positions: readonly number[]): Float32Array {
  const stride = (heads + 2 * kvHeads) * headSize
  const rows = new Float32Array(positions.length * stride).fill(Number.NaN)
  for (const [row, position] of positions.entries()) rows.set(seededValues(100 + position, heads * headSize), row * stride)
  return rows
}

function expectedRows(setting: Setting, cache: Cache, positions: readonly number[]): Float64Array {
  const rows = positions.map((position) => {
    const query = seededValues(100 + position, setting.heads * setting.headSize)
    return Array.from(attentionReference({ ...setting, query, ...cache.plain, positions: position + 1 }))
  })
  return Float64Array.from(rows.flat())
}

/** Outputs [row, heads, headSize] of rows at these positions. `tile`: of the prompt path. */
async function outputs(
  kind: 'prompt' | 'decode',
  setting: Setting,
  cache: Cache,
  positions: readonly number[],
  tile = 8,
): Promise<Float32Array> {
  const { kvType, ...rest } = setting
  const shape: AttentionShape = { ...rest, splits: splitCount(cache.count) }
  const partials = new Float32Array(partialsBytes(shape, positions.length) / 4).fill(Number.NaN)
  const result = new Float32Array(positions.length * setting.heads * setting.headSize).fill(Number.NaN)
  const buffers = { qkv: queryRows(setting, positions), keys: cache.keys, values: cache.values, partials, result }
  const written = await harness.runMany(
    buffers,
    ['partials', 'result'],
    async (kernels, bound) => {
      const bindings = { qkv: bound('qkv'), keys: bound('keys'), values: bound('values'), partials: bound('partials'), y: bound('result') }
      const pair = await bindAttention(kernels, { shape, kvType, promptTile: tile }, bindings)
      return (pass, work) => pair[kind](pass, { rows: positions.length, positionLast: Math.max(...positions) }, work)
    },
    { work: { rowCount: positions.length }, rows: positions.map((position) => ({ position })), tables: cache.tables },
  )
  return written.result
}

const range = (first: number, end: number) => Array.from({ length: end - first }, (_, index) => first + index)

describe('attention', () => {
  for (const [setting, count, tile] of [
    [small, 1, 8],
    [small, 32, 8],
    [small, 33, 8],
    [{ ...small, kvType: 'f16' }, 45, 8],
    [{ ...plain, heads: 3, kvHeads: 1, headSize: 64, kvType: 'f16' }, 40, 8],
    [{ ...plain, heads: 2, kvHeads: 2, headSize: 80, kvType: 'f32' }, 34, 3],
    [{ ...plain, heads: 4, kvHeads: 2, headSize: 96, kvType: 'f16' }, 66, 8],
    [{ ...plain, heads: 16, kvHeads: 1, headSize: 32, kvType: 'f16' }, 35, 8],
    [{ ...plain, heads: 12, kvHeads: 1, headSize: 36, kvType: 'f32' }, 40, 8],
    [{ ...plain, heads: 2, kvHeads: 1, headSize: 256, kvType: 'f16' }, 65, 8],
    [{ ...small, softCap: 0.5 }, 50, 8],
    [{ ...small, window: 1 }, 34, 8],
    [{ ...small, window: 32, softCap: 2 }, 100, 8],
    [{ ...small, window: 33, kvType: 'f16' }, 100, 5],
  ] as const satisfies readonly (readonly [Setting, number, number])[]) {
    const { heads, kvHeads, headSize, kvType, window, softCap } = setting
    const name = `${count} positions, ${heads} heads on ${kvHeads} of ${headSize}, ${kvType}, window ${window}, cap ${softCap}, tiles of ${tile}`
    it(`${name}: prompt and decode`, async () => {
      const cache = pagedCache(setting, count)
      const all = range(0, count)
      expect(nmse(await outputs('prompt', setting, cache, all, tile), expectedRows(setting, cache, all))).toBeLessThan(attention.nmseMax)
      const picked = [count - 1, 0, Math.floor(count / 2)]
      expect(nmse(await outputs('decode', setting, cache, picked), expectedRows(setting, cache, picked))).toBeLessThan(attention.nmseMax)
    })
  }

  it('caps scores of any size: tanh does not overflow', async () => {
    const setting: Setting = { ...small, scale: 1e6, softCap: 30 }
    const cache = pagedCache(setting, 40)
    const picked = [39, 5]
    for (const kind of ['prompt', 'decode'] as const) {
      for (const position of picked) {
        const actual = await outputs(kind, setting, cache, [position])
        expect(nmse(actual, expectedRows(setting, cache, [position]))).toBeLessThan(attention.nmseMax)
      }
    }
  })

  it('adds the splits of a long decode row: both sides of a split, and of a window that begins in an earlier one', async () => {
    for (const window of [null, 3, SPLIT_POSITIONS, SPLIT_POSITIONS + 1, SPLIT_POSITIONS + 2]) {
      const setting: Setting = { ...plain, heads: 2, kvHeads: 1, headSize: 16, kvType: 'f32', window }
      const cache = pagedCache(setting, 2 * SPLIT_POSITIONS + 2)
      for (const edge of [SPLIT_POSITIONS, 2 * SPLIT_POSITIONS]) {
        const picked = [edge - 1, edge, edge + 1]
        const expected = expectedRows(setting, cache, picked)
        expect(nmse(await outputs('decode', setting, cache, picked), expected)).toBeLessThan(attention.nmseMax)
      }
    }
  })

  for (const window of [null, 40]) {
    it(`gives a row the same bits in any tile, any chunk, and beside any other row (window ${window})`, async () => {
      const setting: Setting = { ...small, window }
      const cache = pagedCache(setting, 140)
      const row = 6 * 32
      const whole = await outputs('prompt', setting, cache, range(0, 140))
      expect(await outputs('prompt', setting, cache, range(0, 140), 5)).toEqual(whole)
      expect(await outputs('prompt', setting, cache, range(41, 140))).toEqual(whole.slice(41 * row))
      expect(await outputs('prompt', setting, cache, [139])).toEqual(whole.slice(139 * row))
      const together = await outputs('decode', setting, cache, [69, 3, 40, 68, 139])
      for (const [index, position] of [69, 3, 40, 68, 139].entries())
        expect(await outputs('decode', setting, cache, [position])).toEqual(together.slice(index * row, (index + 1) * row))
    })
  }

  it('gives a short decode row the same bits alone and beside one of several splits', async () => {
    const cache = pagedCache(small, SPLIT_POSITIONS + 40)
    const row = 6 * 32
    const together = await outputs('decode', small, cache, [SPLIT_POSITIONS - 1, 17, SPLIT_POSITIONS + 39])
    expect(await outputs('decode', small, cache, [SPLIT_POSITIONS - 1])).toEqual(together.slice(0, row))
    expect(await outputs('decode', small, cache, [17])).toEqual(together.slice(row, 2 * row))
  })

  it('refuses heads that the KV heads do not divide', () => {
    expect(() => attention.uniform({ ...plain, heads: 5, kvHeads: 2, headSize: 32, splits: 1, kvType: 'f32' })).toThrow(
      '5 heads, 2 KV heads',
    )
  })
})

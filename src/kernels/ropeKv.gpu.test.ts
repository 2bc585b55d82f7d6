/**
 * ropeKv against f64: both kinds of pairs, part of a head, biases, head norms, two tables of angles, blocks out of order, both
 * types of the cache.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { asFloats, KernelHarness, nmse, seededValues } from '../../test/support/kernelHarness.ts'
import { headNormReference, ropeReference } from './ropeKv.reference.ts'
import { KV_BLOCK, kvBlockBytes, type RopeKvVariant, ropeFrequencies, ropeKv, writeRopeAngles } from './ropeKv.ts'

let harness: KernelHarness
beforeAll(async () => {
  harness = await KernelHarness.open()
})
afterAll(() => harness.close())

const NOBODY = 0x7fc07fc0
const HEADS = 3
const KV_HEADS = 2
const ROWS = 35
const epsilon = 1e-6
const magnitude = 1.19

interface Setting extends RopeKvVariant {
  readonly ropeDimensions: number
  readonly angleTable: number
}

const plain: Setting = {
  kvType: 'f32',
  headSize: 32,
  pairs: 'adjacent',
  biases: false,
  headNorms: false,
  ropeDimensions: 32,
  angleTable: 0,
}

async function run(setting: Setting) {
  const { kvType, headSize, ropeDimensions, angleTable } = setting
  const width = (HEADS + 2 * KV_HEADS) * headSize
  const qkv = seededValues(3, ROWS * width).map((value) => value * 4)
  const biases = seededValues(5, width)
  const norms = seededValues(6, 2 * headSize)
  const vectors = Float32Array.from([...(setting.biases ? biases : []), ...(setting.headNorms ? norms : []), 0, 0, 0, 0])
  const tables = [2, 1]
  const bases = [10_000, 1e6]
  const all = bases.map((base) => ropeFrequencies({ base, positionScale: 0.5, divisors: null }, ropeDimensions))
  const angles = new Float32Array(ROWS * 2 * ropeDimensions)
  for (let row = 0; row < ROWS; row++)
    for (const [table, each] of all.entries()) writeRopeAngles(angles, (2 * row + table) * ropeDimensions, row, each, magnitude)
  const empty = () => new Uint32Array((3 * kvBlockBytes(kvType, KV_HEADS, headSize)) / 4).fill(NOBODY)
  const rows = Array.from({ length: ROWS }, (_, position) => ({ position }))
  const shape = { heads: HEADS, kvHeads: KV_HEADS, headSize, ropeDimensions, angleTable, angleTables: 2, epsilon }
  const buffers = [qkv, empty(), empty(), vectors]
  const [out, keys, values] = await harness.run(ropeKv, setting, shape, { rows: ROWS }, buffers, { rows, tables, angles })
  const expected = (row: number, head: number) => {
    const at = row * width + head * headSize
    const biased = qkv.slice(at, at + headSize).map((value, d) => value + (setting.biases ? (biases[head * headSize + d] ?? 0) : 0))
    if (head >= HEADS + KV_HEADS) return Float64Array.from(biased)
    const weight = norms.subarray(head < HEADS ? 0 : headSize, head < HEADS ? headSize : 2 * headSize)
    const normed = setting.headNorms ? headNormReference(biased, weight, epsilon) : biased
    return ropeReference(normed, row, all[angleTable] ?? new Float64Array(), setting.pairs, magnitude)
  }
  return { width, queries: asFloats(out), keys: keys ?? new Uint32Array(), values: values ?? new Uint32Array(), expected, tables }
}

/** Keys or values of one row out of the cache. */
function cached(setting: Setting, words: Uint32Array, kind: 'keys' | 'values', tables: readonly number[], row: number, kvHead: number) {
  const { headSize, kvType } = setting
  const perWord = kvType === 'f16' ? 2 : 1
  const slot = row % KV_BLOCK
  const base = (((tables[Math.floor(row / KV_BLOCK)] ?? 0) * KV_HEADS + kvHead) * KV_BLOCK * headSize) / perWord
  return Float64Array.from({ length: headSize }, (_, d) => {
    const word = Math.floor(d / perWord)
    const bits = words[base + (kind === 'keys' ? word * KV_BLOCK + slot : (slot * headSize) / perWord + word)] ?? 0
    return kvType === 'f16' ? half((bits >>> (16 * (d % 2))) & 0xffff) : (new Float32Array(Uint32Array.of(bits).buffer)[0] ?? 0)
  })
}

function half(bits: number): number {
  const power = (bits >>> 10) & 31
  const mantissa = bits & 0x3ff
  const value = power === 0 ? mantissa * 2 ** -24 : (1 + mantissa / 1024) * 2 ** (power - 15)
  return bits & 0x8000 ? -value : value
}

describe('ropeKv', () => {
  for (const [name, change] of [
    ['neighbors', {}],
    ['neighbors, part of a head', { ropeDimensions: 20 }],
    ['halves', { pairs: 'halves' }],
    ['halves, part of a head of 80', { pairs: 'halves', headSize: 80, ropeDimensions: 20 }],
    ['halves of an odd number of pairs', { pairs: 'halves', ropeDimensions: 22 }],
    ['biases', { biases: true }],
    ['biases and halves', { biases: true, pairs: 'halves' }],
    ['head norms, second table', { headNorms: true, pairs: 'halves', angleTable: 1 }],
    ['everything, head size 100, f16', { kvType: 'f16', headNorms: true, biases: true, pairs: 'halves', headSize: 100 }],
    ['neighbors, head size 256, f16', { kvType: 'f16', headSize: 256, ropeDimensions: 256 }],
  ] as const) {
    it(name, async () => {
      const setting: Setting = { ...plain, ...change }
      const { headSize } = setting
      const { width, queries, keys, values, expected, tables } = await run(setting)
      const bound = setting.kvType === 'f16' ? 1e-6 : ropeKv.nmseMax
      for (const row of [0, 1, 31, 32, 34]) {
        for (let head = 0; head < HEADS; head++) {
          const at = row * width + head * headSize
          expect(nmse(queries.subarray(at, at + headSize), expected(row, head))).toBeLessThan(ropeKv.nmseMax)
        }
        for (let kvHead = 0; kvHead < KV_HEADS; kvHead++) {
          expect(nmse(cached(setting, keys, 'keys', tables, row, kvHead), expected(row, HEADS + kvHead))).toBeLessThan(bound)
          const value = cached(setting, values, 'values', tables, row, kvHead)
          expect(nmse(value, expected(row, HEADS + KV_HEADS + kvHead))).toBeLessThan(bound)
        }
      }
    })
  }

  it('writes nothing into blocks of others', async () => {
    const { keys, values } = await run(plain)
    const blockWords = kvBlockBytes('f32', KV_HEADS, 32) / 4
    // Block 0 is nobody's; of block 1 (the second) only positions 32 to 34 are written.
    expect(keys.subarray(0, blockWords).every((word) => word === NOBODY)).toBe(true)
    expect(values.subarray(blockWords, 2 * blockWords).filter((word) => word !== NOBODY).length).toBe(3 * KV_HEADS * 32)
  })

  it('keeps what f16 cannot hold finite', async () => {
    const setting = { kvType: 'f16', headSize: 4, pairs: 'adjacent', biases: false, headNorms: false } as const
    const shape = { heads: 1, kvHeads: 1, headSize: 4, ropeDimensions: 4, angleTable: 0, angleTables: 1, epsilon }
    const qkv = new Float32Array(12).fill(1e6)
    const empty = () => new Uint32Array(kvBlockBytes('f16', 1, 4) / 4)
    const angles = Float32Array.of(1, 0, 1, 0)
    const [, keys, values] = await harness.run(ropeKv, setting, shape, { rows: 1 }, [qkv, empty(), empty(), new Float32Array(4)], {
      angles,
    })
    expect([keys?.[0], values?.[0]]).toEqual([0x7bff7bff, 0x7bff7bff])
  })
})

describe('ropeFrequencies', () => {
  it('is as exact at position 8,191 as at 1: the angles come from f64', () => {
    const frequencies = ropeFrequencies({ base: 10_000, positionScale: 1, divisors: null }, 64)
    const angles = new Float32Array(64)
    writeRopeAngles(angles, 0, 8191, frequencies)
    expect(angles[1]).toBe(Math.fround(Math.sin(8191)))
  })

  it('divides by the divisors and scales positions', () => {
    const frequencies = ropeFrequencies({ base: 100, positionScale: 0.5, divisors: [2, 4] }, 4)
    expect(frequencies).toEqual(Float64Array.of(0.5 / 2, 0.05 / 4))
  })
})

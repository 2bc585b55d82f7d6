/**
 * ropeKv: biases, head norms and rotation of queries and keys, and the writing of keys and values into the paged KV cache. Truth:
 * ropeKv.reference.ts. Shader: shaders/rope_kv.wgsl. The angles' cosines and sines are computed on the CPU in f64, see `writeRopeAngles`.
 */

import { assert } from '../shared/index.ts'
import { defineKernel, floatBits } from './kernel.ts'

/** Type of the KV cache. f16 is packed by WGSL's pack2x16float, which every adapter has. */
export type KvType = 'f32' | 'f16'

/** Positions of one KV block, as in the shaders. */
export const KV_BLOCK = 32

/** Bytes of one block of keys (or of values) of one layer. */
export function kvBlockBytes(kvType: KvType, kvHeads: number, headSize: number): number {
  return KV_BLOCK * kvHeads * headSize * (kvType === 'f16' ? 2 : 4)
}

export interface RopeKvVariant {
  readonly kvType: KvType
  readonly headSize: number
  /** Which dimensions turn together: (2i, 2i+1), or (i, i + rotated / 2). */
  readonly pairs: 'adjacent' | 'halves'
  /** `vectors` begins with a bias for each element of a row of qkv. */
  readonly biases: boolean
  /** Then follow the weights of the queries' norm and of the keys', `headSize` each. */
  readonly headNorms: boolean
}

export interface RopeKvShape {
  readonly heads: number
  readonly kvHeads: number
  readonly headSize: number
  /** Leading dimensions of a head that are rotated. */
  readonly ropeDimensions: number
  /** Which of a row's tables of angles, of how many. */
  readonly angleTable: number
  readonly angleTables: number
  /** Of the head norms. */
  readonly epsilon: number
}

/** Buffers: qkv, keys, values, vectors (any buffer where the variant has none). */
export const ropeKv = defineKernel<RopeKvVariant, RopeKvShape, { readonly rows: number }>({
  name: 'rope_kv',
  bindings: ['write', 'write', 'write', 'read', 'uniform'],
  usesWork: true,
  nmseMax: 1e-12,
  defines: ({ kvType, headSize, pairs, biases, headNorms }) => ({
    KV_F16: kvType === 'f16' ? 1 : 0,
    HEAD: headSize,
    HALVES: pairs === 'halves' ? 1 : 0,
    BIAS: biases ? 1 : 0,
    NORM: headNorms ? 1 : 0,
    STAGED: pairs === 'halves' || headNorms ? 1 : 0,
  }),
  uniform({ heads, kvHeads, headSize, ropeDimensions, angleTable, angleTables, epsilon }) {
    assert(headSize % 4 === 0 && ropeDimensions % 2 === 0 && ropeDimensions <= headSize, `head size ${headSize}, rotated ${ropeDimensions}`)
    assert(angleTable < angleTables, `table ${angleTable} of ${angleTables}`)
    const pairs = ropeDimensions / 2
    return Uint32Array.of(heads, kvHeads, pairs, angleTable * pairs, angleTables * pairs, floatBits(epsilon), 0, 0)
  },
  grid: ({ heads, kvHeads }, { rows }) => [heads + 2 * kvHeads, rows, 1],
})

export interface RopeTable {
  readonly base: number
  /** Positions are multiplied by it. */
  readonly positionScale: number
  /** One a pair, or null: Llama 3's or LongRoPE's. */
  readonly divisors: ArrayLike<number> | null
}

/** How fast each pair of dimensions turns, radians a position: positionScale · base^(−2i/dimensions) / divisors[i]. */
export function ropeFrequencies({ base, positionScale, divisors }: RopeTable, dimensions: number): Float64Array {
  assert(divisors === null || divisors.length === dimensions / 2, `${divisors?.length} RoPE divisors for ${dimensions} dimensions`)
  return Float64Array.from({ length: dimensions / 2 }, (_, i) => (positionScale * base ** ((-2 * i) / dimensions)) / (divisors?.[i] ?? 1))
}

/** Writes magnitude · (cos, sin) of each pair at `position` as f32: [pairs, 2] from `at`. */
export function writeRopeAngles(angles: Float32Array, at: number, position: number, frequencies: Float64Array, magnitude = 1): void {
  for (let i = 0; i < frequencies.length; i++) {
    const angle = position * (frequencies[i] ?? 0)
    angles[at + 2 * i] = magnitude * Math.cos(angle)
    angles[at + 2 * i + 1] = magnitude * Math.sin(angle)
  }
}

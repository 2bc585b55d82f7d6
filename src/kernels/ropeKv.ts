/**
 * ropeKv: rotates queries and keys by their position, writes keys and values into the paged KV cache. Truth: ropeKv.reference.ts.
 * Shader: shaders/rope_kv.wgsl. The angles' cosines and sines are computed on the CPU in f64 by `ropeAngles`.
 */

import { assert } from '../shared/index.ts'
import { defineKernel } from './kernel.ts'

/** Type of the KV cache. f16 is packed by WGSL's pack2x16float, which every adapter has. */
export type KvType = 'f32' | 'f16'

/** Positions of one KV block, as in the shaders. */
export const KV_BLOCK = 32

/** Bytes of one block of keys (or of values) of one layer. */
export function kvBlockBytes(kvType: KvType, kvHeads: number, headSize: number): number {
  return KV_BLOCK * kvHeads * headSize * (kvType === 'f16' ? 2 : 4)
}

export interface RopeKvShape {
  readonly heads: number
  readonly kvHeads: number
  readonly headSize: number
  /** Leading dimensions of a head that are rotated, in pairs (2i, 2i+1). */
  readonly ropeDimensions: number
}

export const ropeKv = defineKernel<{ readonly kvType: KvType }, RopeKvShape, { readonly rows: number }>({
  name: 'rope_kv',
  bindings: ['write', 'write', 'write', 'uniform'],
  usesWork: true,
  nmseMax: 1e-12,
  defines: ({ kvType }) => ({ KV_F16: kvType === 'f16' ? 1 : 0 }),
  uniform({ heads, kvHeads, headSize, ropeDimensions }) {
    assert(headSize % 4 === 0 && ropeDimensions % 2 === 0 && ropeDimensions <= headSize, `head size ${headSize}, rotated ${ropeDimensions}`)
    return Uint32Array.of(heads, kvHeads, headSize / 2, ropeDimensions / 2)
  },
  grid: ({ heads, kvHeads, headSize }, { rows }) => [Math.ceil(((heads + 2 * kvHeads) * headSize) / 2 / 64), rows, 1],
})

/**
 * How fast each pair of dimensions turns, radians a position: base^(−2i/d) / factor[i]. `factors` is the tensor
 * `rope_freqs.weight` (Llama 3's scaling), one value a pair.
 */
export function ropeFrequencies(base: number, dimensions: number, factors: ArrayLike<number> | null): Float64Array {
  assert(factors === null || factors.length === dimensions / 2, `${factors?.length} RoPE factors for ${dimensions} dimensions`)
  return Float64Array.from({ length: dimensions / 2 }, (_, i) => base ** ((-2 * i) / dimensions) / (factors?.[i] ?? 1))
}

/** Writes (cos, sin) of each pair at `position` as f32: [pairs, 2] from `at`. */
export function writeRopeAngles(angles: Float32Array, at: number, position: number, frequencies: Float64Array): void {
  for (let i = 0; i < frequencies.length; i++) {
    const angle = position * (frequencies[i] ?? 0)
    angles[at + 2 * i] = Math.cos(angle)
    angles[at + 2 * i + 1] = Math.sin(angle)
  }
}

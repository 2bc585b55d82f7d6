/**
 * attention: causal grouped-query attention over the paged KV cache. Two variants of one shader: `decode` (a row at a time, its
 * heads that share a KV head together, positions cut at fixed places, then attentionCombine) and `prompt` (tiles of rows of one piece).
 * Truth: attention.reference.ts. Shaders: shaders/attention.wgsl, shaders/attention_combine.wgsl.
 */

import { assert } from '../shared/index.ts'
import { defineKernel, floatBits } from './kernel.ts'
import type { KvType } from './ropeKv.ts'

/** Where decode cuts the positions. Fixed, so that the order of summation depends on a row's position alone. */
export const SPLIT_POSITIONS = 512

export interface AttentionVariant {
  readonly kind: 'prompt' | 'decode'
  readonly kvType: KvType
  readonly headSize: number
  /** Query vectors of a workgroup. Never changes a vector's bits. */
  readonly tile: number
}

export interface AttentionShape {
  readonly heads: number
  readonly kvHeads: number
  readonly headSize: number
  /** Splits that `partials` has room for (decode). */
  readonly splits: number
}

export interface AttentionExtent {
  readonly kind: 'prompt' | 'decode'
  readonly tile: number
  readonly rows: number
  /** Highest position of the rows. */
  readonly positionLast: number
}

export const attention = defineKernel<AttentionVariant, AttentionShape, AttentionExtent>({
  name: 'attention',
  bindings: ['read', 'read', 'read', 'write', 'uniform'],
  usesWork: true,
  nmseMax: 1e-10,
  defines: ({ kind, kvType, headSize, tile }) => ({
    DECODE: kind === 'decode' ? 1 : 0,
    KV_F16: kvType === 'f16' ? 1 : 0,
    KV_PER_WORD: kvType === 'f16' ? 2 : 1,
    HEAD: headSize,
    PAIRS: Math.ceil(headSize / 64),
    SPLIT: SPLIT_POSITIONS,
    TILE: tile,
  }),
  uniform({ heads, kvHeads, headSize, splits }) {
    assert(heads % kvHeads === 0 && headSize % 4 === 0, `${heads} heads, ${kvHeads} KV heads of size ${headSize}`)
    return Uint32Array.of(heads, kvHeads, floatBits(1 / Math.sqrt(headSize)), splits, headSize / 4, 0, 0, 0)
  },
  grid({ heads, kvHeads }, { kind, tile, rows, positionLast }) {
    const share = heads / kvHeads
    if (kind === 'prompt') return [kvHeads, Math.ceil((rows * share) / tile), 1]
    return [kvHeads * Math.ceil(share / tile), rows, splitCount(positionLast + 1)]
  },
})

/** Splits of `positions` positions. */
export function splitCount(positions: number): number {
  return Math.ceil(positions / SPLIT_POSITIONS)
}

/** Bytes that decode's partial sums of `rows` rows take. */
export function partialsBytes({ heads, headSize, splits }: AttentionShape, rows: number): number {
  return 4 * rows * heads * splits * (headSize + 2)
}

export const attentionCombine = defineKernel<void, AttentionShape, { readonly rows: number }>({
  name: 'attention_combine',
  bindings: ['read', 'write', 'uniform'],
  usesWork: true,
  nmseMax: 1e-10,
  defines: () => ({}),
  uniform: ({ heads, headSize, splits }) => Uint32Array.of(heads, headSize, splits, SPLIT_POSITIONS),
  grid: ({ heads }, { rows }) => [heads, rows, 1],
})

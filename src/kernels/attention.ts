/**
 * attention: causal grouped-query attention over the paged KV cache. Two variants of one shader: `decode` (a row at a time, its
 * heads that share a KV head together, positions cut at fixed places, then attentionCombine) and `prompt` (tiles of rows of one piece).
 * Truth: attention.reference.ts. Shaders: shaders/attention.wgsl, shaders/attention_combine.wgsl.
 */

import { assert } from '../shared/index.ts'
import { defineKernel, floatBits, type KernelDevice, type WorkBinding } from './kernel.ts'
import type { KvType } from './ropeKv.ts'

/** Where decode cuts the positions. Fixed, so that the order of summation depends on a row's position alone. */
export const SPLIT_POSITIONS = 512

/** A window that no position reaches. */
const NO_WINDOW = 0xffffffff

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
  /** Scores are multiplied by it. */
  readonly scale: number
  /** Then they become cap · tanh(score / cap); null: they stay. */
  readonly softCap: number | null
  /** A row at position p sees the keys k with p − window < k ≤ p; null: all up to its own. */
  readonly window: number | null
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
  uniform({ heads, kvHeads, headSize, splits, scale, softCap, window }) {
    assert(heads % kvHeads === 0 && headSize % 4 === 0, `${heads} heads, ${kvHeads} KV heads of size ${headSize}`)
    assert(window === null || window > 0, `a window of ${window} positions`)
    assert(softCap === null || softCap > 0, `scores capped at ${softCap}`)
    return Uint32Array.of(heads, kvHeads, floatBits(scale), splits, headSize / 4, floatBits(softCap ?? 0), window ?? NO_WINDOW, 0)
  },
  grid({ heads, kvHeads, window }, { kind, tile, rows, positionLast }) {
    const share = heads / kvHeads
    if (kind === 'prompt') return [kvHeads, Math.ceil((rows * share) / tile), 1]
    const splitsSeen = window === null ? Number.POSITIVE_INFINITY : 1 + splitCount(window - 1)
    return [kvHeads * Math.ceil(share / tile), rows, Math.min(splitCount(positionLast + 1), splitsSeen)]
  },
})

/** Splits of `positions` positions. */
export function splitCount(positions: number): number {
  return Math.ceil(positions / SPLIT_POSITIONS)
}

/** Bytes that decode's partial sums of `rows` rows take. */
export function partialsBytes({ heads, headSize, splits }: Pick<AttentionShape, 'heads' | 'headSize' | 'splits'>, rows: number): number {
  return 4 * rows * heads * splits * (headSize + 2)
}

export const attentionCombine = defineKernel<void, AttentionShape, { readonly rows: number }>({
  name: 'attention_combine',
  bindings: ['read', 'write', 'uniform'],
  usesWork: true,
  nmseMax: 1e-10,
  defines: () => ({}),
  uniform: ({ heads, headSize, splits, window }) => Uint32Array.of(heads, headSize, splits, SPLIT_POSITIONS, window ?? NO_WINDOW, 0, 0, 0),
  grid: ({ heads }, { rows }) => [heads, rows, 1],
})

/** What attention reads and writes. `partials` holds `partialsBytes`. */
export interface AttentionBuffers {
  readonly qkv: GPUBuffer
  readonly keys: GPUBuffer
  readonly values: GPUBuffer
  readonly partials: GPUBuffer
  /** [row, heads, headSize]. */
  readonly y: GPUBuffer
}

export interface BoundAttention {
  /** Rows of any slots, `positionLast` the highest of their positions. */
  decode(pass: GPUComputePassEncoder, extent: { readonly rows: number; readonly positionLast: number }, work: WorkBinding): void
  /** Rows of one piece: consecutive positions of one slot. */
  prompt(pass: GPUComputePassEncoder, extent: { readonly rows: number }, work: WorkBinding): void
}

export interface AttentionOptions {
  readonly shape: AttentionShape
  readonly kvType: KvType
  /** Query vectors of a workgroup on the prompt path. Never changes a vector's bits. */
  readonly promptTile: number
}

/** Both paths of one layer's attention, with as few dispatches as each run needs. */
export async function bindAttention(
  kernels: KernelDevice,
  { shape, kvType, promptTile }: AttentionOptions,
  { qkv, keys, values, partials, y }: AttentionBuffers,
): Promise<BoundAttention> {
  const { heads, kvHeads, headSize } = shape
  // The heads that share a KV head, all at once where they are few.
  const decodeTile = Math.min(8, heads / kvHeads)
  const variant = (kind: 'prompt' | 'decode', tile: number) => ({ kind, kvType, headSize, tile })
  const split = await kernels.prepare(attention, variant('decode', decodeTile), shape, [qkv, keys, values, partials])
  const combine = await kernels.prepare(attentionCombine, undefined, shape, [partials, y])
  const prompt = await kernels.prepare(attention, variant('prompt', promptTile), shape, [qkv, keys, values, y])
  return {
    decode(pass, { rows, positionLast }, work) {
      split(pass, { kind: 'decode', tile: decodeTile, rows, positionLast }, work)
      combine(pass, { rows }, work)
    },
    prompt(pass, { rows }, work) {
      prompt(pass, { kind: 'prompt', tile: promptTile, rows, positionLast: 0 }, work)
    },
  }
}

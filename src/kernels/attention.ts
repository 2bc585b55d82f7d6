/**
 * attention: causal grouped-query attention over the paged KV cache. One shader for decode (a row at a time, its heads that share a
 * KV head together, positions cut at fixed places, then attentionCombine) and prompts (tiles of rows of one piece, cut at the same).
 * Truth: attention.reference.ts. Shaders: shaders/attention.wgsl, shaders/attention_combine.wgsl.
 */

import { assert } from '../shared/index.ts'
import { defineKernel, floatBits, type KernelDevice, type WorkBinding } from './kernel.ts'
import type { KvType } from './ropeKv.ts'

/**
 * Where decode cuts the positions: 64 invocations score four each. Fixed, so that the order of summation depends on a row's position
 * alone; equal to SPLIT in the shader.
 */
export const SPLIT_POSITIONS = 256

/** A window that no position reaches. */
const NO_WINDOW = 0xffffffff

/**
 * `prompt`: tiles of the rows of one piece. `decode`: a row at a time, all of whose rows lie within one split. `partials`: decode in
 * general, to be followed by attentionCombine.
 */
export type AttentionPath = 'prompt' | 'decode' | 'partials'

export interface AttentionVariant {
  readonly path: AttentionPath
  readonly kvType: KvType
  readonly headSize: number
  /** Query vectors of a workgroup, 1 to 8. Never changes a vector's bits. */
  readonly tile: number
  /** Whether the shape has a soft cap: tanh takes software adapters half a second to compile. */
  readonly capped: boolean
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
  readonly path: AttentionPath
  readonly tile: number
  readonly rows: number
  /** Highest position of the rows. */
  readonly positionLast: number
}

const HEAD_SIZE_MAX = 256
/** Up to here the query vectors of a tile fit WebGPU's guaranteed 16 KiB of workgroup memory eight at a time, beyond it four. */
const WIDE_TILE_HEAD_SIZE_MAX = 160

/** `result` holds partial sums (`partials`) or [row, heads, headSize]. */
export const attention = defineKernel<AttentionVariant, AttentionShape & { readonly kvType: KvType }, AttentionExtent>({
  name: 'attention',
  bindings: ['read', 'read', 'read', 'write', 'uniform'],
  usesWork: true,
  nmseMax: 1e-10,
  defines({ path, kvType, headSize, tile, capped }) {
    assert(tile <= tileMax(headSize), `${tile} query vectors of size ${headSize} do not fit workgroup memory`)
    const wordsPerQuad = 4
    const perWord = kvType === 'f16' ? 2 : 1
    assert(headSize % (wordsPerQuad * perWord) === 0, `heads of ${headSize} are no whole 16 bytes of ${kvType}`)
    const quads = headSize / (wordsPerQuad * perWord)
    const packs = Math.ceil(tile / 4)
    return {
      DECODE: path === 'prompt' ? 0 : 1,
      PROMPT: path === 'prompt' ? 1 : 0,
      PARTIAL: path === 'partials' ? 1 : 0,
      CAPPED: capped ? 1 : 0,
      KV_F16: kvType === 'f16' ? 1 : 0,
      HALVES: perWord,
      HEAD: headSize,
      QUADS: quads,
      GROUPS: Math.floor(64 / quads),
      PACKS: packs,
      PACK: Math.ceil(tile / packs),
    }
  },
  uniform({ heads, kvHeads, headSize, splits, scale, softCap, window, kvType }) {
    assert(heads % kvHeads === 0 && headSize % 4 === 0, `${heads} heads, ${kvHeads} KV heads of size ${headSize}`)
    assert(headSize <= HEAD_SIZE_MAX, `heads of ${headSize}; ${HEAD_SIZE_MAX} at most`)
    assert(window === null || window > 0, `a window of ${window} positions`)
    assert(softCap === null || softCap > 0, `scores capped at ${softCap}`)
    const words = headSize / (kvType === 'f16' ? 2 : 1)
    return Uint32Array.of(heads, kvHeads, floatBits(scale), splits, words, floatBits(softCap ?? 0), window ?? NO_WINDOW, 8)
  },
  grid({ heads, kvHeads, headSize, window }, { path, tile, rows, positionLast }) {
    const share = heads / kvHeads
    // Whole packs, as the shader counts.
    const packs = Math.ceil(tile / 4)
    const vectors = packs * Math.ceil(tile / packs)
    assert(vectors <= tileMax(headSize), `${vectors} query vectors`)
    if (path === 'prompt') return [kvHeads, Math.ceil((rows * share) / vectors), 1]
    const splitsSeen = window === null ? Number.POSITIVE_INFINITY : 1 + splitCount(window - 1)
    const splits = path === 'decode' ? 1 : Math.min(splitCount(positionLast + 1), splitsSeen)
    return [kvHeads * Math.ceil(share / vectors), rows, splits]
  },
})

/** Most query vectors of one workgroup. */
function tileMax(headSize: number): number {
  return headSize <= WIDE_TILE_HEAD_SIZE_MAX ? 8 : 4
}

/** The heads that share a KV head in as few tiles as hold them, of equal size. */
function decodeTile({ heads, kvHeads, headSize }: AttentionShape): number {
  const share = heads / kvHeads
  return Math.ceil(share / Math.ceil(share / tileMax(headSize)))
}

/** Splits of `positions` positions. */
export function splitCount(positions: number): number {
  return Math.ceil(positions / SPLIT_POSITIONS)
}

/** Bytes that decode's partial sums of `rows` rows take. */
export function partialsBytes({ heads, headSize, splits }: Pick<AttentionShape, 'heads' | 'headSize' | 'splits'>, rows: number): number {
  return 4 * rows * heads * splits * (headSize + 4)
}

export const attentionCombine = defineKernel<void, AttentionShape, { readonly rows: number }>({
  name: 'attention_combine',
  bindings: ['read', 'write', 'uniform'],
  usesWork: true,
  nmseMax: 1e-10,
  defines: () => ({}),
  uniform: ({ heads, headSize, splits, window }) =>
    Uint32Array.of(heads, headSize / 4, splits, SPLIT_POSITIONS, window ?? NO_WINDOW, 0, 0, 0),
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
  /** Compiles off this thread what only rows beyond the first split need, which else is compiled when the first of them comes. */
  compileRest(): Promise<unknown>
}

export interface AttentionOptions {
  readonly shape: AttentionShape
  readonly kvType: KvType
  /** Query vectors of a workgroup on the prompt path, 8 at most. Never changes a vector's bits. */
  readonly promptTile: number
}

/** Both paths of one layer's attention, with as few dispatches as each run needs. */
export async function bindAttention(
  kernels: KernelDevice,
  { shape, kvType, promptTile }: AttentionOptions,
  { qkv, keys, values, partials, y }: AttentionBuffers,
): Promise<BoundAttention> {
  const { headSize } = shape
  const tiles = { prompt: Math.min(promptTile, tileMax(headSize)), decode: decodeTile(shape), partials: decodeTile(shape) }
  const variantOf = (path: AttentionPath) => ({ path, kvType, headSize, tile: tiles[path], capped: shape.softCap !== null })
  const bindings = (result: GPUBuffer) => [qkv, keys, values, result]
  const typed = { ...shape, kvType }
  const whole = await kernels.prepare(attention, variantOf('decode'), typed, bindings(y))
  const prompt = await kernels.prepare(attention, variantOf('prompt'), typed, bindings(y))
  const split = kernels.prepareLazily(attention, variantOf('partials'), typed, bindings(partials))
  const combine = kernels.prepareLazily(attentionCombine, undefined, shape, [partials, y])
  return {
    decode(pass, { rows, positionLast }, work) {
      // A row gets the same bits either way.
      const isWhole = positionLast < SPLIT_POSITIONS
      const path = isWhole ? 'decode' : 'partials'
      const attend = isWhole ? whole : split
      attend(pass, { path, tile: tiles[path], rows, positionLast }, work)
      if (!isWhole) combine(pass, { rows }, work)
    },
    prompt(pass, { rows }, work) {
      prompt(pass, { path: 'prompt', tile: tiles.prompt, rows, positionLast: 0 }, work)
    },
    compileRest: () => Promise.all([kernels.pipeline(attention, variantOf('partials')), kernels.pipeline(attentionCombine, undefined)]),
  }
}

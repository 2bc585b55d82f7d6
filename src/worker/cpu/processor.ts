/**
 * Processor: the arithmetic that the forward pass of an engine without a GPU is made of. There are two, plain TypeScript (plain.ts), which is
 * what the kernels are tested against, and WebAssembly with SIMD (../simd).
 */

import type { ManifestTensor, ModelConfig } from '../../model/index.ts'
import type { EngineInfo } from '../engine.ts'
import type { KvSlot } from '../kvBlocks.ts'

export interface Processor {
  readonly info: EngineInfo
  /** Bytes of a tensor's matrix, as this processor keeps it. */
  matrixBytes(tensor: ManifestTensor): number
  /** Bytes beside matrices and buffers. */
  extraBytes(config: ModelConfig, needs: ProcessorNeeds): number
  /** Throws an EngineError `does-not-fit` where there is no such memory. */
  start(config: ModelConfig, needs: ProcessorNeeds): Arithmetic
  dispose(): void
}

/** What one loaded span needs at most. */
export interface ProcessorNeeds {
  /** Bytes of all matrices, and their number. */
  readonly matrixBytes: number
  readonly matrices: number
  /** Floats of all buffers, and their number. */
  readonly bufferFloats: number
  readonly buffers: number
  /** Rows of one pass, positions of all slots. */
  readonly rows: number
  readonly kvPositions: number
}

/** W of y = W·x, [rows, columns]: rows are outputs. */
export interface Matrix {
  readonly rows: number
  readonly columns: number
  /** `count` of the rows, without a copy. */
  slice(firstRow: number, count: number): Matrix
  /** Writes row `row` as `columns` f32 values to `into` from `at`. */
  readRow(row: number, into: Float32Array, at: number): void
  /** y = W·x for `count` rows of x [count, columns]; y is [count, rows]. */
  multiply(x: Float32Array, count: number, y: Float32Array): void
}

/** Where a row of the pass belongs. */
export interface CpuRow {
  readonly slot: KvSlot
  readonly position: number
}

/** Keys and values of one layer: [blocks × KV_BLOCK_POSITIONS, kvHeadCount × headSize] each. */
export interface CpuKv {
  readonly keys: Float32Array
  readonly values: Float32Array
}

/** One layer's attention over rows. */
export interface Attention {
  readonly kv: CpuKv
  /** Positions that a row sees, its own included; null: all. */
  readonly window: number | null
  /** [rows, headCount, headSize] */
  readonly query: Float32Array
  /** As `query`. */
  readonly output: Float32Array
}

/** Heads of rows, and how they turn. */
export interface Rotation {
  /** [count, heads, headSize] */
  readonly vectors: Float32Array
  readonly count: number
  readonly heads: number
  /** [count, rotated pairs, (cos, sin)] */
  readonly angles: Float32Array
}

/** For one loaded span. Every array that a method takes comes from `floats` of the same arithmetic, or is the beginning of one. */
export interface Arithmetic {
  /** Zeroed. */
  floats(count: number): Float32Array
  matrix(tensor: ManifestTensor, bytes: Uint8Array): Matrix
  /** y = x / √(mean(x²) + ε) · weight for `count` vectors of the weight's length; y may be x. */
  rmsNorm(x: Float32Array, weight: Float32Array, count: number, y: Float32Array): void
  /** x = x + delta, the first `count` values. */
  add(x: Float32Array, delta: Float32Array, count: number): void
  /** gate = activation(gate) · up, the first `count` values. */
  gateUp(activation: 'silu' | 'gelu', gate: Float32Array, up: Float32Array, count: number): void
  /** x = cap · tanh(x / cap), the first `count` values. */
  softCap(x: Float32Array, cap: number, count: number): void
  /** Σ e^(x − greatest) over the first `count` values. */
  sumPowers(x: Float32Array, greatest: number, count: number): number
  rotate(rotation: Rotation): void
  /** Tells the rows that `attend` is about from now on. */
  takeRows(rows: readonly CpuRow[]): void
  /** softmax(cap(q·Kᵀ · scale))·V of each row over the positions up to its own. */
  attend(attention: Attention): void
  release(): void
}

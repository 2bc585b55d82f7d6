/**
 * One transformer layer (llama) and the head, over a few rows, as plain loops. Activations are rounded to f32 where the GPU
 * stores f32; sums, norms and the softmax are f64. No fusion and no tiling: this is what the kernels are compared with.
 */

import type { ModelConfig } from '../../model/index.ts'
import { KV_BLOCK_POSITIONS, type KvSlot } from '../kvBlocks.ts'
import type { CpuLayer, CpuWeights } from './weights.ts'

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

export interface CpuScratch {
  /** The residual, [rows, width]. */
  readonly x: Float32Array<ArrayBuffer>
  readonly normed: Float32Array<ArrayBuffer>
  /** What a matrix adds to the residual. */
  readonly delta: Float32Array<ArrayBuffer>
  readonly query: Float32Array<ArrayBuffer>
  readonly key: Float32Array<ArrayBuffer>
  readonly value: Float32Array<ArrayBuffer>
  readonly attention: Float32Array<ArrayBuffer>
  readonly gate: Float32Array<ArrayBuffer>
  readonly up: Float32Array<ArrayBuffer>
  readonly byteLength: number
}

/** f32 values of scratch that one row of a pass needs. */
export function cpuScratchRowFloats(config: ModelConfig): number {
  const queryWidth = config.headCount * config.headSize
  const kvWidth = config.kvHeadCount * config.headSize
  return 3 * config.width + 2 * queryWidth + 2 * kvWidth + 2 * config.feedForwardWidth
}

export function createCpuScratch(config: ModelConfig, rows: number): CpuScratch {
  const queryWidth = config.headCount * config.headSize
  const kvWidth = config.kvHeadCount * config.headSize
  return {
    x: new Float32Array(rows * config.width),
    normed: new Float32Array(rows * config.width),
    delta: new Float32Array(rows * config.width),
    query: new Float32Array(rows * queryWidth),
    key: new Float32Array(rows * kvWidth),
    value: new Float32Array(rows * kvWidth),
    attention: new Float32Array(rows * queryWidth),
    gate: new Float32Array(rows * config.feedForwardWidth),
    up: new Float32Array(rows * config.feedForwardWidth),
    byteLength: 4 * rows * cpuScratchRowFloats(config),
  }
}

/** Runs `rows` through one layer: reads and writes `scratch.x`, appends to `kv`. */
export function runLayer(
  config: ModelConfig,
  layer: CpuLayer,
  kv: CpuKv,
  frequencies: Float64Array,
  rows: readonly CpuRow[],
  s: CpuScratch,
): void {
  const count = rows.length
  rmsNorm(s.x, layer.attentionNorm, count, config.rmsEpsilon, s.normed)
  layer.query.multiply(s.normed, count, s.query)
  layer.key.multiply(s.normed, count, s.key)
  layer.value.multiply(s.normed, count, s.value)
  rows.forEach(({ slot, position }, row) => {
    rotate(s.query, row, config.headCount, config.headSize, position, frequencies)
    rotate(s.key, row, config.kvHeadCount, config.headSize, position, frequencies)
    const kvWidth = config.kvHeadCount * config.headSize
    const at = kvRow(slot, position) * kvWidth
    kv.keys.set(s.key.subarray(row * kvWidth, (row + 1) * kvWidth), at)
    kv.values.set(s.value.subarray(row * kvWidth, (row + 1) * kvWidth), at)
  })
  rows.forEach((row, index) => {
    for (let head = 0; head < config.headCount; head++) attend(config, kv, row, index, head, s)
  })
  layer.attentionOutput.multiply(s.attention, count, s.delta)
  add(s.x, s.delta, count * config.width)
  rmsNorm(s.x, layer.feedForwardNorm, count, config.rmsEpsilon, s.normed)
  layer.gate.multiply(s.normed, count, s.gate)
  layer.up.multiply(s.normed, count, s.up)
  swiGlu(s.gate, s.up, count * config.feedForwardWidth)
  layer.down.multiply(s.gate, count, s.delta)
  add(s.x, s.delta, count * config.width)
}

/** Logits of `count` rows of the residual [count, width], into `logits` [count, vocabulary]. */
export function runHead(
  config: ModelConfig,
  head: NonNullable<CpuWeights['head']>,
  x: Float32Array,
  count: number,
  normed: Float32Array,
  logits: Float32Array,
): void {
  rmsNorm(x, head.norm, count, config.rmsEpsilon, normed)
  head.matrix.multiply(normed, count, logits)
}

/** y = x / sqrt(mean(x²) + ε) · weight. */
function rmsNorm(x: Float32Array, weight: Float32Array, count: number, epsilon: number, y: Float32Array): void {
  const width = weight.length
  for (let row = 0; row < count; row++) {
    let squares = 0
    for (let i = 0; i < width; i++) squares += (x[row * width + i] ?? 0) ** 2
    const scale = 1 / Math.sqrt(squares / width + epsilon)
    for (let i = 0; i < width; i++) y[row * width + i] = (x[row * width + i] ?? 0) * scale * (weight[i] ?? 0)
  }
}

/** Turns each pair (2i, 2i+1) of the leading dimensions of every head by position × frequency[i]. */
function rotate(vectors: Float32Array, row: number, heads: number, headSize: number, position: number, frequencies: Float64Array): void {
  for (let pair = 0; pair < frequencies.length; pair++) {
    const angle = position * (frequencies[pair] ?? 0)
    const cosine = Math.cos(angle)
    const sine = Math.sin(angle)
    for (let head = 0; head < heads; head++) {
      const at = (row * heads + head) * headSize + 2 * pair
      const a = vectors[at] ?? 0
      const b = vectors[at + 1] ?? 0
      vectors[at] = a * cosine - b * sine
      vectors[at + 1] = a * sine + b * cosine
    }
  }
}

/** Row of `position` in the layer's keys and values. */
function kvRow(slot: KvSlot, position: number): number {
  const block = slot.blocks[Math.floor(position / KV_BLOCK_POSITIONS)] ?? 0
  return block * KV_BLOCK_POSITIONS + (position % KV_BLOCK_POSITIONS)
}

/** softmax(q·Kᵀ / √headSize)·V of one head of one row over positions 0 … its own. */
function attend(config: ModelConfig, kv: CpuKv, row: CpuRow, index: number, head: number, s: CpuScratch): void {
  const { headSize, headCount, kvHeadCount } = config
  const kvHead = Math.floor((head * kvHeadCount) / headCount)
  const queryAt = (index * headCount + head) * headSize
  const weights = new Float64Array(row.position + 1)
  let maximum = Number.NEGATIVE_INFINITY
  for (let position = 0; position <= row.position; position++) {
    const keyAt = (kvRow(row.slot, position) * kvHeadCount + kvHead) * headSize
    let score = 0
    for (let i = 0; i < headSize; i++) score += (s.query[queryAt + i] ?? 0) * (kv.keys[keyAt + i] ?? 0)
    weights[position] = score / Math.sqrt(headSize)
    maximum = Math.max(maximum, weights[position] ?? 0)
  }
  const sums = new Float64Array(headSize)
  let total = 0
  for (let position = 0; position <= row.position; position++) {
    const weight = Math.exp((weights[position] ?? 0) - maximum)
    const valueAt = (kvRow(row.slot, position) * kvHeadCount + kvHead) * headSize
    total += weight
    for (let i = 0; i < headSize; i++) sums[i] = (sums[i] ?? 0) + weight * (kv.values[valueAt + i] ?? 0)
  }
  for (let i = 0; i < headSize; i++) s.attention[queryAt + i] = (sums[i] ?? 0) / total
}

/** gate = silu(gate) · up. */
function swiGlu(gate: Float32Array, up: Float32Array, count: number): void {
  for (let i = 0; i < count; i++) {
    const g = gate[i] ?? 0
    gate[i] = (g / (1 + Math.exp(-g))) * (up[i] ?? 0)
  }
}

function add(x: Float32Array, delta: Float32Array, count: number): void {
  for (let i = 0; i < count; i++) x[i] = (x[i] ?? 0) + (delta[i] ?? 0)
}

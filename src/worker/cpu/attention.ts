/** Attention of the CPU twin: every head of every row on its own, over the paged keys and values of one layer. */

import { attentionWidths, type ModelConfig } from '../../model/index.ts'
import { KV_BLOCK_POSITIONS, type KvSlot } from '../kvBlocks.ts'
import { softCap } from './math.ts'
import type { CpuScratch } from './scratch.ts'

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

/** Keeps the rows' keys and values, already rotated. */
export function writeKv(config: ModelConfig, kv: CpuKv, rows: readonly CpuRow[], s: CpuScratch): void {
  const width = attentionWidths(config).kv
  rows.forEach(({ slot, position }, row) => {
    const at = kvRow(slot, position) * width
    kv.keys.set(s.key.subarray(row * width, (row + 1) * width), at)
    kv.values.set(s.value.subarray(row * width, (row + 1) * width), at)
  })
}

/** Fills `s.attention` from `s.query`. `window`: positions that a row sees, its own included; null: all. */
export function attend(config: ModelConfig, kv: CpuKv, rows: readonly CpuRow[], window: number | null, s: CpuScratch): void {
  rows.forEach((row, index) => {
    for (let head = 0; head < config.headCount; head++) attendHead(config, kv, row, window, index, head, s)
  })
}

/** Row of `position` in the layer's keys and values. */
function kvRow(slot: KvSlot, position: number): number {
  const block = slot.blocks[Math.floor(position / KV_BLOCK_POSITIONS)] ?? 0
  return block * KV_BLOCK_POSITIONS + (position % KV_BLOCK_POSITIONS)
}

/** softmax(cap(q·Kᵀ · scale))·V over the positions from the window's first to the row's own. */
function attendHead(
  config: ModelConfig,
  kv: CpuKv,
  { slot, position: last }: CpuRow,
  window: number | null,
  index: number,
  head: number,
  s: CpuScratch,
): void {
  const { headSize, headCount, kvHeadCount, attentionScale, attentionSoftCap } = config
  const kvHead = Math.floor((head * kvHeadCount) / headCount)
  const queryAt = (index * headCount + head) * headSize
  const first = window === null ? 0 : Math.max(0, last - window + 1)
  const scores = new Float64Array(last - first + 1)
  let maximum = Number.NEGATIVE_INFINITY
  for (let position = first; position <= last; position++) {
    const keyAt = (kvRow(slot, position) * kvHeadCount + kvHead) * headSize
    let product = 0
    for (let i = 0; i < headSize; i++) product += (s.query[queryAt + i] ?? 0) * (kv.keys[keyAt + i] ?? 0)
    const score = softCap(product * attentionScale, attentionSoftCap)
    scores[position - first] = score
    maximum = Math.max(maximum, score)
  }
  const sums = new Float64Array(headSize)
  let total = 0
  for (let position = first; position <= last; position++) {
    const weight = Math.exp((scores[position - first] ?? 0) - maximum)
    const valueAt = (kvRow(slot, position) * kvHeadCount + kvHead) * headSize
    total += weight
    for (let i = 0; i < headSize; i++) sums[i] = (sums[i] ?? 0) + weight * (kv.values[valueAt + i] ?? 0)
  }
  for (let i = 0; i < headSize; i++) s.attention[queryAt + i] = (sums[i] ?? 0) / total
}

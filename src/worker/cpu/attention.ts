/** Attention of the CPU twin: every head of every row on its own, over the paged keys and values of one layer. */

import { attentionWidths, type ModelConfig } from '../../model/index.ts'
import { KV_BLOCK_POSITIONS, type KvSlot } from '../kvBlocks.ts'
import { softCap } from './math.ts'
import type { Attention, CpuKv, CpuRow } from './processor.ts'

/** Keeps the rows' keys and values [rows, KV width], already rotated. */
export function writeKv(config: ModelConfig, kv: CpuKv, rows: readonly CpuRow[], key: Float32Array, value: Float32Array): void {
  const width = attentionWidths(config).kv
  rows.forEach(({ slot, position }, row) => {
    const at = kvRow(slot, position) * width
    kv.keys.set(key.subarray(row * width, (row + 1) * width), at)
    kv.values.set(value.subarray(row * width, (row + 1) * width), at)
  })
}

/** Row of `position` in the layer's keys and values. */
function kvRow(slot: KvSlot, position: number): number {
  const block = slot.blocks[Math.floor(position / KV_BLOCK_POSITIONS)] ?? 0
  return block * KV_BLOCK_POSITIONS + (position % KV_BLOCK_POSITIONS)
}

/** softmax(cap(q·Kᵀ · scale))·V of row `index` over the positions from the window's first to the row's own. */
export function attendHead(
  config: ModelConfig,
  { kv, window, query, output }: Attention,
  { slot, position: last }: CpuRow,
  index: number,
  head: number,
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
    for (let i = 0; i < headSize; i++) product += (query[queryAt + i] ?? 0) * (kv.keys[keyAt + i] ?? 0)
    const score = product * attentionScale
    scores[position - first] = attentionSoftCap === null ? score : softCap(score, attentionSoftCap)
    maximum = Math.max(maximum, scores[position - first] ?? 0)
  }
  const sums = new Float64Array(headSize)
  let total = 0
  for (let position = first; position <= last; position++) {
    const weight = Math.exp((scores[position - first] ?? 0) - maximum)
    const valueAt = (kvRow(slot, position) * kvHeadCount + kvHead) * headSize
    total += weight
    for (let i = 0; i < headSize; i++) sums[i] = (sums[i] ?? 0) + weight * (kv.values[valueAt + i] ?? 0)
  }
  for (let i = 0; i < headSize; i++) output[queryAt + i] = (sums[i] ?? 0) / total
}

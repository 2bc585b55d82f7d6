/**
 * The numbers of one case, made once and computed with by both sides, and what must come out, in f64. A small case is checked whole;
 * of a large one a seeded random sample of outputs, and always the first row, which is all that a baseline shows.
 */

import { blockBytes, blockSize, dequantize } from '../../model/index.ts'
import { formatType, noiseValues, noiseWords, randomWeights } from './formats.ts'
import type { SuiteCase } from './types.ts'

export interface ExpectedOutputs {
  /** Into the outputs, row-major; ascending. */
  readonly indices: Uint32Array
  readonly values: Float64Array
}

export interface ProjectionData {
  readonly kind: 'projection'
  readonly outputs: number
  readonly inputs: number
  readonly rows: number
  /** [outputs, inputs], blocks as in a file. */
  readonly weights: Uint8Array<ArrayBuffer>
  /** [rows, inputs]. */
  readonly x: Float32Array<ArrayBuffer>
  /** Of [rows, outputs]. */
  readonly expected: ExpectedOutputs
}

export interface AttentionData {
  readonly kind: 'attention'
  readonly positions: number
  readonly heads: number
  readonly kvHeads: number
  readonly headSize: number
  /** [heads, headSize], already rotated. */
  readonly query: Float32Array<ArrayBuffer>
  /** [positions, kvHeads, headSize]; values that a half holds exactly. */
  readonly keys: Float32Array<ArrayBuffer>
  readonly values: Float32Array<ArrayBuffer>
  /** Of [heads, headSize], all of it. */
  readonly expected: ExpectedOutputs
}

export type CaseData = ProjectionData | AttentionData

/** Multiply-adds that the reference may take: a tenth of a second of JavaScript. */
const REFERENCE_MACS_MAX = 2 ** 25
/** Of the first row, at most. */
const FIRST_ROW_SAMPLE = 512

export function makeCaseData({ kernel, format, shape, rows }: SuiteCase): CaseData {
  if (kernel === 'attention_decode') return attentionData(shape)
  const [outputs = 0, inputs = 0] = shape
  const weights = randomWeights(format, outputs, inputs, 1)
  const x = noiseValues(2, rows * inputs)
  const sampleCount = Math.min(rows * outputs, Math.max(256, Math.floor(REFERENCE_MACS_MAX / inputs)))
  const indices = sampleIndices(rows, outputs, sampleCount)
  const type = formatType(format)
  const rowBytes = (inputs / blockSize(type)) * blockBytes(type)
  const values = new Float64Array(indices.length)
  // Samples of one output follow each other in no order that helps; its row of weights is decoded once for each sample.
  for (const [at, index] of indices.entries()) {
    const output = index % outputs
    const row = Math.floor(index / outputs)
    const w = dequantize(type, weights.subarray(output * rowBytes, (output + 1) * rowBytes))
    let sum = 0
    for (let k = 0; k < inputs; k++) sum += (w[k] ?? 0) * (x[row * inputs + k] ?? 0)
    values[at] = sum
  }
  return { kind: 'projection', outputs, inputs, rows, weights, x, expected: { indices, values } }
}

/** All indices of [rows, outputs] where `count` allows, else a part of the first row and a sample of the whole. */
export function sampleIndices(rows: number, outputs: number, count: number): Uint32Array {
  const total = rows * outputs
  if (count >= total) return Uint32Array.from({ length: total }, (_, index) => index)
  const noise = noiseWords(3, 2 * count)
  const firstRow = Math.min(FIRST_ROW_SAMPLE, count)
  const chosen = new Set<number>()
  for (const [at, word] of noise.entries()) {
    if (chosen.size === count) break
    chosen.add(word % (at < firstRow ? outputs : total))
  }
  return Uint32Array.from(chosen).sort()
}

function attentionData(shape: readonly number[]): AttentionData {
  const [positions = 0, heads = 0, kvHeads = 0, headSize = 0] = shape
  // 11 bits: exact in a half. Small scores, so that no position outweighs the others and each counts in the check.
  const halves = (seed: number, count: number) => noiseValues(seed, count).map((value) => Math.round(value * 1024) / 1024)
  const query = halves(4, heads * headSize)
  const keys = halves(5, positions * kvHeads * headSize)
  const values = halves(6, positions * kvHeads * headSize)
  const data = { kind: 'attention' as const, positions, heads, kvHeads, headSize, query, keys, values }
  const expected = attendExactly(data)
  return { ...data, expected: { indices: Uint32Array.from({ length: expected.length }, (_, index) => index), values: expected } }
}

/** softmax(q·K^T / √headSize)·V in f64, [heads, headSize]. */
function attendExactly({ positions, heads, kvHeads, headSize, query, keys, values }: Omit<AttentionData, 'expected'>): Float64Array {
  const out = new Float64Array(heads * headSize)
  const scores = new Float64Array(positions)
  for (let head = 0; head < heads; head++) {
    const kvHead = Math.floor((head * kvHeads) / heads)
    let best = Number.NEGATIVE_INFINITY
    for (let position = 0; position < positions; position++) {
      const at = (position * kvHeads + kvHead) * headSize
      let sum = 0
      for (let d = 0; d < headSize; d++) sum += (query[head * headSize + d] ?? 0) * (keys[at + d] ?? 0)
      scores[position] = sum / Math.sqrt(headSize)
      best = Math.max(best, scores[position] ?? 0)
    }
    let total = 0
    for (let position = 0; position < positions; position++) {
      const weight = Math.exp((scores[position] ?? 0) - best)
      const at = (position * kvHeads + kvHead) * headSize
      total += weight
      for (let d = 0; d < headSize; d++) out[head * headSize + d] = (out[head * headSize + d] ?? 0) + weight * (values[at + d] ?? 0)
    }
    for (let d = 0; d < headSize; d++) out[head * headSize + d] = (out[head * headSize + d] ?? 0) / total
  }
  return out
}

/**
 * One transformer layer and the head, over a few rows, as plain loops, for every architecture: what a layer has not, its weights
 * say. Activations are rounded to f32 where the GPU stores f32; sums, norms and the softmax are f64. No fusion and no tiling:
 * this is what the kernels are compared with.
 */

import { architectureTraits, type ModelConfig } from '../../model/index.ts'
import { attend, type CpuKv, type CpuRow, writeKv } from './attention.ts'
import { runDense, runExperts } from './feedForward.ts'
import { add, addBias, rmsNorm, softCap } from './math.ts'
import { rotate } from './rope.ts'
import type { CpuScratch } from './scratch.ts'
import type { CpuLayer, CpuWeights, Projection } from './weights.ts'

/** Runs `rows` through one layer: reads and writes `s.x`, appends to `kv`. */
export function runLayer(config: ModelConfig, layer: CpuLayer, kv: CpuKv, rows: readonly CpuRow[], s: CpuScratch): void {
  const count = rows.length
  const epsilon = config.rmsEpsilon
  rmsNorm(s.x, layer.attentionNorm, count, epsilon, s.normed)
  project(layer.query, s.normed, count, s.query)
  project(layer.key, s.normed, count, s.key)
  project(layer.value, s.normed, count, s.value)
  if (layer.queryNorm !== null) rmsNorm(s.query, layer.queryNorm, count * config.headCount, epsilon, s.query)
  if (layer.keyNorm !== null) rmsNorm(s.key, layer.keyNorm, count * config.kvHeadCount, epsilon, s.key)
  rows.forEach(({ position }, row) => {
    rotate(s.query, row, config.headCount, config.headSize, position, layer.rope)
    rotate(s.key, row, config.kvHeadCount, config.headSize, position, layer.rope)
  })
  writeKv(config, kv, rows, s)
  attend(config, kv, rows, layer.window, s)
  layer.attentionOutput.multiply(s.attention, count, s.delta)
  addToResidual(config, layer.postAttentionNorm, count, s)

  rmsNorm(s.x, layer.feedForwardNorm, count, epsilon, s.normed)
  const { activation } = architectureTraits(config.architecture)
  if (layer.feedForward.kind === 'dense') runDense(config, layer.feedForward, activation, count, s)
  else runExperts(config, layer.feedForward, activation, count, s)
  addToResidual(config, layer.postFeedForwardNorm, count, s)
}

function project({ matrix, bias }: Projection, x: Float32Array, count: number, y: Float32Array): void {
  matrix.multiply(x, count, y)
  if (bias !== null) addBias(y, bias, count)
}

function addToResidual(config: ModelConfig, postNorm: Float32Array | null, count: number, s: CpuScratch): void {
  if (postNorm !== null) rmsNorm(s.delta, postNorm, count, config.rmsEpsilon, s.delta)
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
  const cap = config.logitSoftCap
  if (cap !== null) for (let i = 0; i < logits.length; i++) logits[i] = softCap(logits[i] ?? 0, cap)
}

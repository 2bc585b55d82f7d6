/**
 * One transformer layer and the head, over a few rows, for every architecture: what a layer has not, its weights say. No fusion: each step
 * is one call of the processor's arithmetic.
 */

import { writeRopeAngles } from '../../kernels/index.ts'
import { architectureTraits } from '../../model/index.ts'
import { required } from '../../shared/index.ts'
import { writeKv } from './attention.ts'
import type { CpuModel } from './cpuModel.ts'
import { runDense, runExperts } from './feedForward.ts'
import type { CpuRow } from './processor.ts'
import type { CpuLayer, Projection } from './weights.ts'

/** Before the layers: tells the arithmetic the rows, and writes their angles for each kind of rotation. */
export function takeRows({ config, arithmetic, ropes }: CpuModel, rows: readonly CpuRow[]): void {
  arithmetic.takeRows(rows)
  for (const { frequencies, angles } of ropes)
    for (const [row, { position }] of rows.entries()) {
      writeRopeAngles(angles, row * config.ropeDimensions, position, frequencies, config.ropeMagnitude)
    }
}

/** Runs the rows that were taken through one layer: reads and writes the scratch's `x`, appends to the layer's KV. */
export function runLayer(model: CpuModel, layerNumber: number, rows: readonly CpuRow[]): void {
  const { config, arithmetic, scratch: s } = model
  const layer = required(model.weights.layers.get(layerNumber), `layer ${layerNumber}`)
  const kv = required(model.kv.get(layerNumber), `KV of layer ${layerNumber}`)
  const { angles } = required(model.ropes[layer.rope], `angles of layer ${layerNumber}`)
  const count = rows.length
  arithmetic.rmsNorm(s.x, layer.attentionNorm, count, s.normed)
  project(layer.query, s.normed, count, s.query)
  project(layer.key, s.normed, count, s.key)
  project(layer.value, s.normed, count, s.value)
  if (layer.queryNorm !== null) arithmetic.rmsNorm(s.query, layer.queryNorm, count * config.headCount, s.query)
  if (layer.keyNorm !== null) arithmetic.rmsNorm(s.key, layer.keyNorm, count * config.kvHeadCount, s.key)
  arithmetic.rotate({ vectors: s.query, count, heads: config.headCount, angles })
  arithmetic.rotate({ vectors: s.key, count, heads: config.kvHeadCount, angles })
  writeKv(config, kv, rows, s.key, s.value)
  arithmetic.attend({ kv, window: layer.window, query: s.query, output: s.attention })
  layer.attentionOutput.multiply(s.attention, count, s.delta)
  addToResidual(model, layer.postAttentionNorm, count)

  arithmetic.rmsNorm(s.x, layer.feedForwardNorm, count, s.normed)
  runFeedForward(model, layer, count)
  addToResidual(model, layer.postFeedForwardNorm, count)
}

function runFeedForward({ config, arithmetic, scratch }: CpuModel, { feedForward }: CpuLayer, count: number): void {
  const { activation } = architectureTraits(config.architecture)
  if (feedForward.kind === 'dense') runDense({ config, arithmetic, activation, scratch }, feedForward, count)
  else runExperts({ config, arithmetic, activation, scratch }, feedForward, count)
}

function project({ matrix, bias }: Projection, x: Float32Array, count: number, y: Float32Array): void {
  matrix.multiply(x, count, y)
  if (bias === null) return
  for (let row = 0; row < count; row++)
    for (let i = 0; i < bias.length; i++) y[row * bias.length + i] = (y[row * bias.length + i] ?? 0) + (bias[i] ?? 0)
}

function addToResidual({ config, arithmetic, scratch: s }: CpuModel, postNorm: Float32Array | null, count: number): void {
  if (postNorm !== null) arithmetic.rmsNorm(s.delta, postNorm, count, s.delta)
  arithmetic.add(s.x, s.delta, count * config.width)
}

/** Logits of the first `count` rows of the scratch's `x`: [count, vocabulary]. */
export function runHead({ config, arithmetic, weights, scratch: s, logits }: CpuModel, count: number): Float32Array {
  const head = required(weights.head, 'the head')
  arithmetic.rmsNorm(s.x, head.norm, count, s.normed)
  head.matrix.multiply(s.normed, count, logits)
  const values = count * config.vocabularySize
  if (config.logitSoftCap !== null) arithmetic.softCap(logits, config.logitSoftCap, values)
  return logits.subarray(0, values)
}

/** What a pass computes in: one set of buffers for all layers. */

import { attentionWidths, type ModelConfig } from '../../model/index.ts'

/** All [rows, …]. */
export interface CpuScratch {
  /** The residual, width. */
  readonly x: Float32Array
  /** What a norm gives to the matrices behind it, width. */
  readonly normed: Float32Array
  /** What a matrix adds to the residual, width. */
  readonly delta: Float32Array
  readonly query: Float32Array
  readonly key: Float32Array
  readonly value: Float32Array
  readonly attention: Float32Array
  /** Of the feed-forward, or of one expert. */
  readonly gate: Float32Array
  readonly up: Float32Array
  /** Scores of the experts. */
  readonly router: Float32Array
  /** One expert's output; empty in a dense model. */
  readonly expert: Float32Array
}

type BufferName = keyof CpuScratch

function rowFloats(config: ModelConfig): Record<BufferName, number> {
  const { width, feedForwardWidth, experts } = config
  const { query, kv } = attentionWidths(config)
  return {
    x: width,
    normed: width,
    delta: width,
    query,
    key: kv,
    value: kv,
    attention: query,
    gate: feedForwardWidth,
    up: feedForwardWidth,
    router: experts?.count ?? 0,
    expert: experts === null ? 0 : width,
  }
}

/** f32 values of each buffer for passes of `rows` rows. */
export function cpuScratchFloats(config: ModelConfig, rows: number): number[] {
  return Object.values(rowFloats(config)).map((floats) => rows * floats)
}

/** `floats` allocates. */
export function createCpuScratch(config: ModelConfig, rows: number, floats: (count: number) => Float32Array): CpuScratch {
  const counts = rowFloats(config)
  const buffer = (name: BufferName) => floats(rows * counts[name])
  return {
    x: buffer('x'),
    normed: buffer('normed'),
    delta: buffer('delta'),
    query: buffer('query'),
    key: buffer('key'),
    value: buffer('value'),
    attention: buffer('attention'),
    gate: buffer('gate'),
    up: buffer('up'),
    router: buffer('router'),
    expert: buffer('expert'),
  }
}

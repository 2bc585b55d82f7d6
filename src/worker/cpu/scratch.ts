/** What a pass of the CPU twin computes in: one set of buffers for all layers. */

import { attentionWidths, type ModelConfig } from '../../model/index.ts'

type Buffer = Float32Array<ArrayBuffer>

/** All [rows, …]. */
export interface CpuScratch {
  /** The residual, width. */
  readonly x: Buffer
  /** What a norm gives to the matrices behind it, width. */
  readonly normed: Buffer
  /** What a matrix adds to the residual, width. */
  readonly delta: Buffer
  readonly query: Buffer
  readonly key: Buffer
  readonly value: Buffer
  readonly attention: Buffer
  /** Of the feed-forward, or of one expert. */
  readonly gate: Buffer
  readonly up: Buffer
  /** Scores of the experts. */
  readonly router: Buffer
  readonly byteLength: number
}

type BufferName = Exclude<keyof CpuScratch, 'byteLength'>

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
  }
}

/** f32 values of scratch that one row of a pass needs. */
export function cpuScratchRowFloats(config: ModelConfig): number {
  return Object.values(rowFloats(config)).reduce((sum, floats) => sum + floats, 0)
}

export function createCpuScratch(config: ModelConfig, rows: number): CpuScratch {
  const floats = rowFloats(config)
  const buffer = (name: BufferName) => new Float32Array(rows * floats[name])
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
    byteLength: 4 * rows * cpuScratchRowFloats(config),
  }
}

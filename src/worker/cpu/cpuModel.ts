/** What a loaded span is made of for the CPU twin, and how much memory that takes. */

import { isLastSpan, type ModelConfig, type Span, spanBytes } from '../../model/index.ts'
import type { LoadRequest } from '../engine.ts'
import { EngineError } from '../errors.ts'
import { KV_BLOCK_POSITIONS, KvBlocks, kvBlockCount } from '../kvBlocks.ts'
import type { CpuKv } from './attention.ts'
import { type CpuScratch, cpuScratchRowFloats, createCpuScratch } from './scratch.ts'
import type { CpuWeights } from './weights.ts'

/** Rows computed together: a row of weights is dequantized once for all of them. */
export const CPU_PASS_ROWS = 64
/** Rows of logits held at once: those of a vocabulary of 128,000 take 4 MB. */
export const CPU_HEAD_ROWS = 8

/** What `load` builds and `unload` drops. */
export interface CpuModel {
  readonly config: ModelConfig
  readonly span: Span
  readonly weights: CpuWeights
  readonly slots: KvBlocks
  /** By the layer's number in the model. */
  readonly kv: ReadonlyMap<number, CpuKv>
  readonly scratch: CpuScratch
  /** [CPU_HEAD_ROWS, vocabulary] where the span has the head. */
  readonly logits: Float32Array<ArrayBuffer>
  readonly kvBytes: number
}

/** Throws an EngineError `does-not-fit` before anything is loaded. */
export function assertFits(request: LoadRequest): void {
  const sizes = loadSizes(request)
  const needed = sizes.weightBytes + sizes.kvBytes + sizes.scratchBytes
  if (needed > request.memoryBytesMax) throw doesNotFit(request, sizes, needed)
}

/** Allocates KV and scratch around the weights. */
export function buildModel(request: LoadRequest, weights: CpuWeights): CpuModel {
  const { span, manifest } = request
  const { config } = manifest
  const sizes = loadSizes(request)
  const floats = sizes.kvBytes / 4 / 2 / (span.endLayer - span.firstLayer)
  const kv = new Map<number, CpuKv>()
  for (const layer of weights.layers.keys()) kv.set(layer, { keys: new Float32Array(floats), values: new Float32Array(floats) })
  return {
    config,
    span,
    weights,
    slots: new KvBlocks(sizes.kvBlocks, span),
    kv,
    scratch: createCpuScratch(config, CPU_PASS_ROWS),
    logits: new Float32Array(isLastSpan(config, span) ? CPU_HEAD_ROWS * config.vocabularySize : 0),
    kvBytes: sizes.kvBytes,
  }
}

interface LoadSizes {
  readonly weightBytes: number
  readonly kvBlocks: number
  readonly kvBytes: number
  readonly scratchBytes: number
}

function loadSizes({ manifest, span, kvPositions }: LoadRequest): LoadSizes {
  const { config } = manifest
  const kvBlocks = kvBlockCount(kvPositions)
  const positionBytes = 2 * 4 * config.kvHeadCount * config.headSize
  const logits = isLastSpan(config, span) ? CPU_HEAD_ROWS * config.vocabularySize : 0
  return {
    weightBytes: spanBytes(manifest, span),
    kvBlocks,
    kvBytes: (span.endLayer - span.firstLayer) * kvBlocks * KV_BLOCK_POSITIONS * positionBytes,
    scratchBytes: 4 * (CPU_PASS_ROWS * cpuScratchRowFloats(config) + logits),
  }
}

function doesNotFit({ span, memoryBytesMax }: LoadRequest, sizes: LoadSizes, needed: number): EngineError {
  const mb = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`
  return new EngineError(
    'does-not-fit',
    `layers ${span.firstLayer} to ${span.endLayer - 1} need ${mb(needed)} (weights ${mb(sizes.weightBytes)}, KV ${mb(sizes.kvBytes)}, ` +
      `scratch ${mb(sizes.scratchBytes)}), more than the ${mb(memoryBytesMax)} pledged; pledge more, or take fewer layers`,
  )
}

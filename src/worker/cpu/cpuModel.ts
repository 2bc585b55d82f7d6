/** What a loaded span is made of, and how much memory that takes. */

import { attentionWidths, isLastSpan, type Manifest, type ModelConfig, type Span, spanParts } from '../../model/index.ts'
import type { LoadRequest } from '../engine.ts'
import { EngineError } from '../errors.ts'
import { KV_BLOCK_POSITIONS, KvBlocks, kvBlockCount } from '../kvBlocks.ts'
import type { Arithmetic, CpuKv, Processor, ProcessorNeeds } from './processor.ts'
import { type CpuScratch, cpuScratchFloats, createCpuScratch } from './scratch.ts'
import { type CpuWeights, loadCpuWeights, tensorRole } from './weights.ts'

/** Rows computed together. */
export const CPU_PASS_ROWS = 64
/** Rows of logits held at once: those of a vocabulary of 128,000 take 4 MB. */
export const CPU_HEAD_ROWS = 8
/** Kinds of rotation among a model's layers: one for all, or one for the layers with a window and one for the others. */
const ROPE_KINDS_MAX = 2

/** What `load` builds and `unload` drops. */
export interface CpuModel {
  readonly config: ModelConfig
  readonly span: Span
  readonly memory: MemoryPlan
  readonly arithmetic: Arithmetic
  readonly weights: CpuWeights
  readonly slots: KvBlocks
  /** By the layer's number in the model. */
  readonly kv: ReadonlyMap<number, CpuKv>
  readonly scratch: CpuScratch
  /** Of each kind of rotation: its frequencies, and the angles of the rows of the pass. */
  readonly ropes: readonly { readonly frequencies: Float64Array; readonly angles: Float32Array }[]
  /** [CPU_HEAD_ROWS, vocabulary] where the span has the head. */
  readonly logits: Float32Array
}

/** Bytes. */
export interface MemoryPlan {
  readonly weightBytes: number
  readonly kvBytes: number
  readonly scratchBytes: number
  readonly totalBytes: number
}

/** Rejects with an EngineError `does-not-fit` before anything is loaded, and with what loading rejects with. */
export async function loadCpuModel(processor: Processor, request: LoadRequest): Promise<CpuModel> {
  const { manifest, span, kvPositions } = request
  const { config } = manifest
  const memory = planMemory(processor, manifest, span, kvPositions)
  if (memory.totalBytes > request.memoryBytesMax) throw doesNotFit(request, memory)
  const arithmetic = processor.start(config, needsOf(processor, manifest, span, kvPositions))
  try {
    const weights = await loadCpuWeights(request, arithmetic)
    const floats = (count: number) => arithmetic.floats(count)
    const slots = new KvBlocks(kvBlockCount(kvPositions), span)
    const kvFloats = layerKvFloats(config, kvPositions)
    return {
      config,
      span,
      memory,
      arithmetic,
      weights,
      slots,
      kv: new Map([...weights.layers.keys()].map((layer) => [layer, { keys: floats(kvFloats), values: floats(kvFloats) }])),
      scratch: createCpuScratch(config, CPU_PASS_ROWS, floats),
      ropes: weights.ropes.map((frequencies) => ({ frequencies, angles: floats(angleFloats(config)) })),
      logits: floats(logitFloats(config, span)),
    }
  } catch (error) {
    arithmetic.release()
    throw error
  }
}

/** What a load takes, without refusing any. */
export function planMemory(processor: Processor, manifest: Manifest, span: Span, kvPositions: number): MemoryPlan {
  const { config } = manifest
  const needs = needsOf(processor, manifest, span, kvPositions)
  const parts = spanParts(manifest, span)
  const embeddingBytes = parts.reduce((sum, part) => sum + (tensorRole(manifest, span, part) === 'embedding' ? part.byteLength : 0), 0)
  const weightBytes = needs.matrixBytes + 4 * vectorFloats(manifest, span).reduce(add, 0) + embeddingBytes
  const kvBytes = 2 * 4 * (span.endLayer - span.firstLayer) * layerKvFloats(config, kvPositions)
  const bufferBytes = 4 * needs.bufferFloats + processor.extraBytes(config, needs)
  // Vectors and KV are buffers too.
  const scratchBytes = bufferBytes + needs.matrixBytes + embeddingBytes - weightBytes - kvBytes
  return { weightBytes, kvBytes, scratchBytes, totalBytes: weightBytes + kvBytes + scratchBytes }
}

function needsOf(processor: Processor, manifest: Manifest, span: Span, kvPositions: number): ProcessorNeeds {
  const { config } = manifest
  const matrices = spanParts(manifest, span).filter((part) => tensorRole(manifest, span, part) === 'matrix')
  const buffers = [
    ...vectorFloats(manifest, span),
    ...new Array<number>(2 * (span.endLayer - span.firstLayer)).fill(layerKvFloats(config, kvPositions)),
    ...cpuScratchFloats(config, CPU_PASS_ROWS),
    ...new Array<number>(ROPE_KINDS_MAX).fill(angleFloats(config)),
    logitFloats(config, span),
  ]
  return {
    matrixBytes: matrices.reduce((sum, part) => sum + processor.matrixBytes(part), 0),
    matrices: matrices.length,
    bufferFloats: buffers.reduce(add, 0),
    buffers: buffers.length,
    rows: CPU_PASS_ROWS,
    kvPositions: kvBlockCount(kvPositions) * KV_BLOCK_POSITIONS,
  }
}

function vectorFloats(manifest: Manifest, span: Span): number[] {
  const vectors = spanParts(manifest, span).filter((part) => tensorRole(manifest, span, part) === 'vector')
  return vectors.map(({ shape }) => shape[0] ?? 0)
}

/** Floats of one layer's keys, or of its values. */
function layerKvFloats(config: ModelConfig, kvPositions: number): number {
  return kvBlockCount(kvPositions) * KV_BLOCK_POSITIONS * attentionWidths(config).kv
}

function angleFloats(config: ModelConfig): number {
  return CPU_PASS_ROWS * config.ropeDimensions
}

function logitFloats(config: ModelConfig, span: Span): number {
  return isLastSpan(config, span) ? CPU_HEAD_ROWS * config.vocabularySize : 0
}

function add(a: number, b: number): number {
  return a + b
}

function doesNotFit({ span, memoryBytesMax }: LoadRequest, { weightBytes, kvBytes, scratchBytes, totalBytes }: MemoryPlan): EngineError {
  const mb = (bytes: number, round = Math.ceil) => `${round(bytes / 1e5) / 10} MB`
  return new EngineError(
    'does-not-fit',
    `layers ${span.firstLayer} to ${span.endLayer - 1} need ${mb(totalBytes)} (weights ${mb(weightBytes)}, KV ${mb(kvBytes)}, ` +
      `scratch ${mb(scratchBytes)}), more than the ${mb(memoryBytesMax, Math.floor)} pledged; pledge more, or take fewer layers`,
  )
}

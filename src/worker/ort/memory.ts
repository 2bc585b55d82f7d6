/**
 * Memory: how many bytes a span takes here, told before anything is allocated. Weights are f32 and up to seven times the file's
 * bytes; KV lies in main memory; scratch is what passes and loading need beside, in WebAssembly's memory and outside.
 */

import { attentionWidths, isLastSpan, type Manifest, type ManifestTensor, type ModelConfig, type Span } from '../../model/index.ts'
import { EngineError } from '../errors.ts'
import { KV_BLOCK_POSITIONS, kvBlockCount } from '../kvBlocks.ts'
import { qkvWidth } from './layerGraphs.ts'
import { planSpan, type SpanPlan } from './spanPlan.ts'

/** Rows that go through the matrices together: 60 GFLOP/s at 128 rows, 52 at 64 (docs/benchmarks/wasm-4.md). */
export const PASS_ROWS = 128
/** Rows of one prompt that attend together. */
export const TILE_ROWS = 32
/** Rows of logits held at once. */
export const HEAD_ROWS = 8

/** ONNX Runtime's own code and tables, measured: 30 MB after its start. */
const RUNTIME_BYTES = 32 * 1024 * 1024
/** What each graph takes beside its weights: its nodes and names. */
const GRAPH_BYTES = 32 * 1024
/** WebAssembly's memory ends at 4 GiB; the rest is for the stacks of threads and what is never filled between allocations. */
const HEAP_BYTES_MAX = 3.5 * 1024 ** 3

export interface MemoryPlan {
  readonly weightBytes: number
  readonly kvBytes: number
  readonly scratchBytes: number
  readonly totalBytes: number
}

/** Throws an EngineError `does-not-fit` where the span takes more than was pledged, or than WebAssembly can address. */
export function planMemory(manifest: Manifest, span: Span, plan: SpanPlan, kvPositions: number): MemoryPlan {
  const { config } = manifest
  const { weightBytes } = plan
  const graphs = plan.steps.reduce((sum, step) => sum + step.graphs.length, 0)
  const kvBytes = 2 * 4 * (span.endLayer - span.firstLayer) * kvBlockCount(kvPositions) * KV_BLOCK_POSITIONS * attentionWidths(config).kv
  const loadBytes = 2 * plan.largestGraphBytes + stepBytesMax(plan)
  const passBytes = passScratchBytes(config, kvPositions, isLastSpan(config, span))
  const scratchBytes = RUNTIME_BYTES + graphs * GRAPH_BYTES + Math.max(loadBytes, passBytes)
  return { weightBytes, kvBytes, scratchBytes, totalBytes: weightBytes + kvBytes + scratchBytes }
}

/** The most f32 values that one pass holds at a time: rows of PASS_ROWS through the widest layer, a tile's scores, logits. */
function passScratchBytes(config: ModelConfig, kvPositions: number, head: boolean): number {
  const { query, kv } = attentionWidths(config)
  // Inputs and outputs of a graph exist on both sides of WebAssembly's wall.
  const row = 6 * config.width + 2 * qkvWidth(config) + 4 * query + 5 * config.feedForwardWidth
  const blocks = kvBlockCount(kvPositions)
  // Of every block: scores in four stages, its part of the sum, its keys and values on both sides.
  const tile = blocks * TILE_ROWS * (4 * config.headCount * KV_BLOCK_POSITIONS + query) + 4 * blocks * KV_BLOCK_POSITIONS * kv
  const logits = head ? 2 * HEAD_ROWS * config.vocabularySize : 0
  return 4 * (PASS_ROWS * row + tile + logits)
}

/** The most bytes of the file that lie in main memory at a time; the embedding stays, and is counted as a weight. */
function stepBytesMax({ steps, embedding }: SpanPlan): number {
  const bytesOf = (tensors: readonly ManifestTensor[]) =>
    tensors.reduce((sum, tensor) => sum + (tensor === embedding ? 0 : tensor.byteLength), 0)
  return Math.max(...steps.map(({ tensors }) => bytesOf(tensors)))
}

export function refuseAbove(memory: MemoryPlan, memoryBytesMax: number): void {
  if (memory.totalBytes > memoryBytesMax)
    throw new EngineError(
      'does-not-fit',
      `the span takes ${megabytes(memory.totalBytes)} without a GPU (weights as f32 ${megabytes(memory.weightBytes)}, ` +
        `KV cache ${megabytes(memory.kvBytes)}, scratch ${megabytes(memory.scratchBytes)}), but ${megabytes(memoryBytesMax)} are pledged; ` +
        'pledge more or take fewer layers',
    )
  const heapBytes = memory.weightBytes + memory.scratchBytes
  if (heapBytes > HEAP_BYTES_MAX)
    throw new EngineError(
      'does-not-fit',
      `the span takes ${megabytes(heapBytes)} of WebAssembly's memory, which ends at ${megabytes(HEAP_BYTES_MAX)}; take fewer layers`,
    )
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}

/** Bytes that a load takes, without refusing any. */
export function spanMemory(manifest: Manifest, span: Span, kvPositions: number): MemoryPlan {
  return planMemory(manifest, span, planSpan(manifest, span), kvPositions)
}

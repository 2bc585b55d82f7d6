/**
 * Memory: how many GPU bytes a span takes, told before anything is allocated, so that a load is refused in words and not by a
 * lost device. Counts every buffer of the engine but the few hundred bytes of uniforms.
 */

import {
  type AttentionShape,
  candidatesWords,
  GROUP_ROWS_MAX,
  type KvType,
  kvBlockBytes,
  PANEL_OUTPUTS,
  panelCount,
  partialsBytes,
  ROUTE_WORDS,
  ROW_WORDS,
  splitCount,
  TOP_K_LIMIT,
  WORK_STRIDE_BYTES,
} from '../../kernels/index.ts'
import { attentionWidths, isLastSpan, layerTraits, type Manifest, type ModelConfig, type Span } from '../../model/index.ts'
import { kvBlockCount } from '../kvBlocks.ts'
import { ropeTables } from './ropeTables.ts'
import { planWeights } from './weightPlan.ts'

/** Rows of one prompt run: enough to share what unpacking the weights costs, few enough for small scratch buffers. */
export const PROMPT_ROWS = 128

/** Rows whose metadata one submission carries: a pass of more, of which no stage is asked, becomes several. */
export const SUBMISSION_ROWS = 8 * PROMPT_ROWS

/** Rows that come or go in one submission: a prompt run and many decode runs. */
export const IO_ROWS = 2 * PROMPT_ROWS

/** Entries of work of one submission: two a row and some for the runs. */
export const SUBMISSION_WORKS = 2 * SUBMISSION_ROWS + 64

/** Sizes in bytes of the buffers that every pass uses. */
export interface ScratchSizes {
  readonly residual: number
  readonly hidden: number
  readonly qkv: number
  readonly attention: number
  readonly gateUp: number
  readonly activated: number
  /** Of a mixture of experts: the router's logits, its choices, each chosen expert's output. */
  readonly routerLogits: number
  readonly routes: number
  readonly expertOutputs: number
  readonly partials: number
  readonly headHidden: number
  readonly logits: number
  readonly input: number
  readonly output: number
  readonly flags: number
  readonly readback: number
  readonly works: number
  readonly rows: number
  readonly tables: number
  readonly angles: number
}

export interface MemoryPlan {
  readonly weightBytes: number
  readonly kvBytes: number
  readonly scratchBytes: number
  readonly totalBytes: number
}

/** Elements of a row that is read as vec4s: logits of the vocabulary, or of the experts. */
export function wholeVec4s(elements: number): number {
  return 4 * Math.ceil(elements / 4)
}

/** Attention of layer `layer`. */
export function attentionShape(config: ModelConfig, kvPositions: number, layer: number): AttentionShape {
  return {
    heads: config.headCount,
    kvHeads: config.kvHeadCount,
    headSize: config.headSize,
    splits: splitCount(kvBlockCount(kvPositions) * 32),
    scale: config.attentionScale,
    softCap: config.attentionSoftCap,
    window: layerTraits(config, layer).window,
  }
}

export function scratchSizes(config: ModelConfig, span: Span, kvPositions: number): ScratchSizes {
  const rows = (elements: number) => 4 * PROMPT_ROWS * elements
  const { query, kv } = attentionWidths(config)
  const experts = config.experts
  const used = experts?.used ?? 1
  const head = isLastSpan(config, span)
  const logits = head ? 4 * GROUP_ROWS_MAX * wholeVec4s(config.vocabularySize) : 16
  const io = 4 * IO_ROWS * config.width
  const output = Math.max(io, head ? 4 * GROUP_ROWS_MAX * Math.max(config.vocabularySize, candidatesWords(TOP_K_LIMIT, GROUP_ROWS_MAX)) : 0)
  const flags = 16
  return {
    residual: rows(config.width),
    hidden: rows(config.width),
    qkv: rows(query + 2 * kv),
    attention: rows(query),
    // Joined gate and up are whole panels.
    gateUp: rows(2 * used * PANEL_OUTPUTS * panelCount(config.feedForwardWidth)),
    activated: rows(used * config.feedForwardWidth),
    routerLogits: experts === null ? 16 : rows(wholeVec4s(experts.count)),
    routes: experts === null ? 16 : rows(ROUTE_WORDS * used),
    expertOutputs: experts === null ? 16 : rows(used * config.width),
    partials: partialsBytes(attentionShape(config, kvPositions, span.firstLayer), GROUP_ROWS_MAX),
    headHidden: head ? 4 * GROUP_ROWS_MAX * config.width : 16,
    logits,
    // Also where the span begins with layer 0: a slot may begin later.
    input: io,
    output,
    flags,
    readback: output + flags,
    works: SUBMISSION_WORKS * WORK_STRIDE_BYTES,
    rows: SUBMISSION_ROWS * ROW_WORDS * 4,
    tables: Math.max(16, 4 * kvBlockCount(kvPositions)),
    angles: Math.max(16, SUBMISSION_ROWS * ropeTables(config).length * config.ropeDimensions * 4),
  }
}

export interface MemoryRequest {
  readonly manifest: Manifest
  readonly span: Span
  readonly kvPositions: number
  readonly kvType: KvType
  /** The device's `maxStorageBufferBindingSize`; it hardly matters. */
  readonly bindingBytesMax: number
}

/** GPU bytes that a load takes. Throws an EngineError `does-not-fit` where no device of this kind can hold the span. */
export function planMemory(request: MemoryRequest): MemoryPlan {
  const { manifest, span, kvPositions, kvType, bindingBytesMax } = request
  const { config } = manifest
  const weightBytes = planWeights(manifest, span, bindingBytesMax).bytes
  const kvBytes =
    2 * (span.endLayer - span.firstLayer) * kvBlockCount(kvPositions) * kvBlockBytes(kvType, config.kvHeadCount, config.headSize)
  const scratchBytes = Object.values(scratchSizes(config, span, kvPositions)).reduce((sum: number, bytes: number) => sum + bytes, 0)
  return { weightBytes, kvBytes, scratchBytes, totalBytes: weightBytes + kvBytes + scratchBytes }
}

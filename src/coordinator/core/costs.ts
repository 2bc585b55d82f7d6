/**
 * Costs: what a span of a model takes, as plain numbers, so that placement needs no manifest. Memory is what an engine
 * needs at most, whichever it is: KV in f32, weights as a GPU lays them, scratch beside. Placement trusts these numbers;
 * an engine that needs more says `does-not-fit`, and is given less.
 */

import {
  attentionWidths,
  headMultiplyAccumulates,
  layerBytes,
  layerMultiplyAccumulates,
  type Manifest,
  type ModelConfig,
  type Span,
  spanBytes,
} from '../../model/index.ts'
import { KV_BLOCK_POSITIONS, KV_POSITIONS_MIN, KV_POSITIONS_WANTED } from './limits.ts'

export interface ModelCosts {
  readonly layerCount: number
  readonly contextLength: number
  /** Weights of the largest layer; all layers count as large. */
  readonly layerBytes: number
  readonly embeddingBytes: number
  /** Final norm and head; a tied head's are the embedding's. */
  readonly headBytes: number
  /** Of embedding and head, what a peer with both holds only once. */
  readonly sharedHeadBytes: number
  readonly kvBytesPerPositionPerLayer: number
  readonly scratchBytes: number
  /** Scratch of the last span beside: logits. */
  readonly headScratchBytes: number
  readonly macsPerLayer: number
  readonly headMacs: number
}

/** What engines promise of weights on a GPU, whatever their type: whole words a block, whole panels of outputs. */
const LAYOUT_GROWTH = 1.1
/** Rows of one prompt pass, over which an engine's scratch buffers reach. */
const SCRATCH_ROWS = 128
/** Bytes of dequantized weights for each column of the widest matrix: a panel of 64 outputs in f32. */
const PANEL_BYTES_PER_COLUMN = 4 * 64
/** What is noted of each row for each expert that it uses. */
const EXPERT_ROUTE_VALUES = 8
/** Buffers of fixed size, metadata of a pass, partial sums of attention. */
const SCRATCH_FIXED_BYTES = 8 * 1024 * 1024
/** Rows whose logits an engine computes at a time, in three buffers: logits, output, readback. */
const LOGIT_ROWS = 3 * 8

export function costsOf(manifest: Manifest): ModelCosts {
  const { config } = manifest
  const layers = Array.from({ length: config.layerCount }, (_, layer) => layerBytes(manifest, layer))
  const bytesOf = (firstLayer: number, endLayer: number) => spanBytes(manifest, { firstLayer, endLayer })
  const sum = (firstLayer: number, endLayer: number) => layers.slice(firstLayer, endLayer).reduce((total, bytes) => total + bytes, 0)
  const last = config.layerCount - 1
  // Of a one-layer model nothing can be told apart, and nothing has to be: both ends are always at one peer.
  const embeddingBytes = last === 0 ? 0 : bytesOf(0, 1) - sum(0, 1)
  const headBytes = last === 0 ? bytesOf(0, 1) - sum(0, 1) : bytesOf(last, last + 1) - sum(last, last + 1)
  const bothBytes = bytesOf(0, last + 1) - sum(0, last + 1)
  const onGpu = (bytes: number) => Math.ceil(bytes * LAYOUT_GROWTH)
  return {
    layerCount: config.layerCount,
    contextLength: config.contextLength,
    layerBytes: onGpu(Math.max(...layers)),
    embeddingBytes: onGpu(embeddingBytes),
    headBytes: onGpu(headBytes),
    sharedHeadBytes: Math.max(0, onGpu(embeddingBytes + headBytes - bothBytes)),
    kvBytesPerPositionPerLayer: 2 * 4 * config.kvHeadCount * config.headSize,
    scratchBytes: scratchBytes(config),
    headScratchBytes: LOGIT_ROWS * 4 * config.vocabularySize,
    macsPerLayer: layerMultiplyAccumulates(config),
    headMacs: headMultiplyAccumulates(config),
  }
}

/** Residual, hidden and three buffers of twice the rows that come and go; attention; feed-forward, of each used expert. */
function scratchBytes(config: ModelConfig): number {
  const { width, feedForwardWidth, experts } = config
  const { query, kv } = attentionWidths(config)
  const used = experts?.used ?? 1
  const routed = experts === null ? 0 : 2 * experts.count + used * (width + EXPERT_ROUTE_VALUES)
  const rowValues = 8 * width + 2 * query + 2 * kv + 3 * used * feedForwardWidth + routed
  const columnsMax = Math.max(width, query, feedForwardWidth)
  return 4 * SCRATCH_ROWS * rowValues + PANEL_BYTES_PER_COLUMN * columnsMax + SCRATCH_FIXED_BYTES
}

/** Bytes of a span whatever its layers: ends and scratch. */
export function fixedBytes(costs: ModelCosts, span: { readonly first: boolean; readonly last: boolean }): number {
  let bytes = costs.scratchBytes
  if (span.first) bytes += costs.embeddingBytes
  if (span.last) bytes += costs.headBytes + costs.headScratchBytes
  if (span.first && span.last) bytes -= costs.sharedHeadBytes
  return bytes
}

/** The most layers that `memoryBytes` hold with `kvPositions` of KV; 0 where not even one fits. */
export function layersThatFit(
  costs: ModelCosts,
  memoryBytes: number,
  ends: { readonly first: boolean; readonly last: boolean },
  kvPositions: number,
): number {
  const perLayer = costs.layerBytes + kvPositions * costs.kvBytesPerPositionPerLayer
  return Math.max(0, Math.floor((memoryBytes - fixedBytes(costs, ends)) / perLayer))
}

export function endsOf(costs: ModelCosts, span: Span): { readonly first: boolean; readonly last: boolean } {
  return { first: span.firstLayer === 0, last: span.endLayer === costs.layerCount }
}

export function spanFits(costs: ModelCosts, span: Span, memoryBytes: number): boolean {
  return layersThatFit(costs, memoryBytes, endsOf(costs, span), kvPositionsMin(costs)) >= span.endLayer - span.firstLayer
}

/** The least KV that a stage must have. */
export function kvPositionsMin(costs: ModelCosts): number {
  return Math.min(KV_POSITIONS_MIN, costs.contextLength)
}

/** The KV that a stage of `span` gets: as much as fits, up to what is wanted, in whole blocks. */
export function kvPositionsFor(costs: ModelCosts, span: Span, memoryBytes: number): number {
  const layers = span.endLayer - span.firstLayer
  const free = memoryBytes - fixedBytes(costs, endsOf(costs, span)) - layers * costs.layerBytes
  const fits = Math.floor(free / (layers * costs.kvBytesPerPositionPerLayer))
  const wanted = Math.min(fits, KV_POSITIONS_WANTED, Math.max(costs.contextLength, kvPositionsMin(costs)))
  return Math.max(kvPositionsMin(costs), wanted - (wanted % KV_BLOCK_POSITIONS))
}

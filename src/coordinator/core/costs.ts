/**
 * Costs: what a span of a model takes, as plain numbers, so that placement needs no manifest. Memory is what an engine
 * needs at most, whichever it is: KV in f32, weights in the form that it keeps, scratch beside. Placement trusts these numbers;
 * an engine that needs more says `does-not-fit`, and is given less.
 */

import {
  attentionWidths,
  headMultiplyAccumulates,
  layerMultiplyAccumulates,
  layerParts,
  type Manifest,
  type ManifestTensor,
  type ModelConfig,
  type Span,
  spanParts,
  unpackedBytes,
} from '../../model/index.ts'
import { KV_BLOCK_POSITIONS, KV_POSITIONS_MIN, KV_POSITIONS_WANTED } from './limits.ts'

/** How an engine keeps weights: in the file's blocks as a GPU lays them, or taken apart as the engine without a GPU does. */
export type WeightForm = 'blocks' | 'unpacked'

/** What a peer has for layers. */
export interface Room {
  readonly memoryBytes: number
  readonly weightForm: WeightForm
}

/** Bytes, for one form of the weights. */
export interface FormCosts {
  /** Weights of the largest layer; all layers count as large. */
  readonly layerBytes: number
  readonly embeddingBytes: number
  /** Final norm and head; a tied head's are the embedding's. */
  readonly headBytes: number
  /** Of embedding and head, what a peer with both holds only once. */
  readonly sharedHeadBytes: number
  readonly scratchBytes: number
  /** Scratch of the last span beside: logits. */
  readonly headScratchBytes: number
}

export interface ModelCosts {
  readonly layerCount: number
  readonly contextLength: number
  readonly forms: Readonly<Record<WeightForm, FormCosts>>
  readonly kvBytesPerPositionPerLayer: number
  readonly macsPerLayer: number
  readonly headMacs: number
}

/** Blocks of Q3_K grow from 110 to 112 bytes on a GPU, no type's by more; panels of outputs are filled up. */
const LAYOUT_GROWTH = 1.05
/** Rows of one prompt pass, over which an engine's scratch buffers reach. */
const SCRATCH_ROWS = 128
/** What is noted of each row for each expert that it uses. */
const EXPERT_ROUTE_VALUES = 8
/** Buffers of fixed size, metadata of a pass, partial sums of attention. */
const SCRATCH_FIXED_BYTES = 8 * 1024 * 1024
/** Rows whose logits an engine computes at a time, in three buffers: logits, output, readback. */
const LOGIT_ROWS = 3 * 8

/** What the engine without a GPU takes for its code and for the threads of a large machine. */
const WASM_FIXED_BYTES = 36 * 1024 * 1024
/** Threads of a large machine, each of which keeps the scores of its row there. */
const WASM_THREADS = 8
/** Rows of one pass there. */
const WASM_ROWS = 64
/** Of each value that a matrix multiplies: an i16, its block's scale, its group's sum. */
const WASM_ROUNDED_BYTES = 2 + 4 / 32 + 4 / 16
/** Rows whose logits exist there at a time. */
const WASM_LOGIT_ROWS = 8
/** What each tensor's parts waste there between them. */
const WASM_TENSOR_BYTES = 4 * 128

export function costsOf(manifest: Manifest): ModelCosts {
  const { config } = manifest
  return {
    layerCount: config.layerCount,
    contextLength: config.contextLength,
    forms: { blocks: blockCosts(manifest), unpacked: unpackedCosts(manifest) },
    kvBytesPerPositionPerLayer: 2 * 4 * attentionWidths(config).kv,
    macsPerLayer: layerMultiplyAccumulates(config),
    headMacs: headMultiplyAccumulates(config),
  }
}

function blockCosts(manifest: Manifest): FormCosts {
  const { layerBytes, embeddingBytes, headBytes, bothBytes } = partBytes(manifest, fileBytes)
  const onGpu = (bytes: number) => Math.ceil(bytes * LAYOUT_GROWTH)
  return {
    layerBytes: onGpu(layerBytes),
    embeddingBytes: onGpu(embeddingBytes),
    headBytes: onGpu(headBytes),
    sharedHeadBytes: Math.max(0, onGpu(embeddingBytes + headBytes - bothBytes)),
    scratchBytes: scratchBytes(manifest.config),
    headScratchBytes: LOGIT_ROWS * 4 * manifest.config.vocabularySize,
  }
}

/** An embedding that is not the head too stays in the file's blocks there. */
function unpackedCosts(manifest: Manifest): FormCosts {
  const { config } = manifest
  const inFile = partBytes(manifest, fileBytes)
  const apart = partBytes(manifest, ({ type, shape }) => WASM_TENSOR_BYTES + unpackedBytes(type, elementCount(shape)))
  return {
    layerBytes: apart.layerBytes,
    embeddingBytes: inFile.embeddingBytes,
    headBytes: apart.headBytes,
    sharedHeadBytes: config.tiedHead ? inFile.embeddingBytes : 0,
    scratchBytes: Math.ceil(WASM_FIXED_BYTES + wasmPassBytes(config)),
    headScratchBytes: WASM_LOGIT_ROWS * 4 * config.vocabularySize,
  }
}

function fileBytes({ byteLength }: ManifestTensor): number {
  return byteLength
}

function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1)
}

/** Bytes of a model's parts, by what one tensor takes. */
function partBytes(manifest: Manifest, bytesOf: (tensor: ManifestTensor) => number) {
  const sum = (tensors: readonly ManifestTensor[]) => tensors.reduce((total, tensor) => total + bytesOf(tensor), 0)
  const ofSpan = (firstLayer: number, endLayer: number) => sum(spanParts(manifest, { firstLayer, endLayer }))
  const layers = Array.from({ length: manifest.config.layerCount }, (_, layer) => sum(layerParts(manifest, layer)))
  const last = layers.length - 1
  // Of a one-layer model nothing can be told apart, and nothing has to be: both ends are always at one peer.
  const bothBytes = ofSpan(0, last + 1) - layers.reduce((total, bytes) => total + bytes, 0)
  return {
    layerBytes: Math.max(...layers),
    embeddingBytes: last === 0 ? 0 : ofSpan(0, 1) - (layers[0] ?? 0),
    headBytes: last === 0 ? bothBytes : ofSpan(last, last + 1) - (layers[last] ?? 0),
    bothBytes,
  }
}

/** Residual, hidden and three buffers of twice the rows that come and go; attention; feed-forward, of each used expert. */
function scratchBytes(config: ModelConfig): number {
  const { width, feedForwardWidth, experts } = config
  const { query, kv } = attentionWidths(config)
  const used = experts?.used ?? 1
  const routed = experts === null ? 0 : 2 * experts.count + used * (width + EXPERT_ROUTE_VALUES)
  const rowValues = 8 * width + 2 * query + 2 * kv + 3 * used * feedForwardWidth + routed
  return 4 * SCRATCH_ROWS * rowValues + SCRATCH_FIXED_BYTES
}

/** What a pass of the engine without a GPU needs: rows through the widest layer with their sums by groups, scores over the whole context. */
function wasmPassBytes(config: ModelConfig): number {
  const { width, feedForwardWidth, ropeDimensions } = config
  const { query, kv } = attentionWidths(config)
  const positions = Math.max(kvPositionsMin(config), Math.min(KV_POSITIONS_WANTED, config.contextLength))
  const experts = config.experts?.count ?? 0
  const row = 3 * width + 2 * query + 2 * kv + 2 * feedForwardWidth + 2 * ropeDimensions + experts + width
  const rounded = (WASM_ROUNDED_BYTES * Math.max(width, query, feedForwardWidth)) / 4
  return 4 * (WASM_ROWS * (row + rounded) + WASM_THREADS * positions + config.vocabularySize / 1024)
}

/** Bytes of a span whatever its layers: ends and scratch. */
export function fixedBytes(costs: FormCosts, span: { readonly first: boolean; readonly last: boolean }): number {
  let bytes = costs.scratchBytes
  if (span.first) bytes += costs.embeddingBytes
  if (span.last) bytes += costs.headBytes + costs.headScratchBytes
  if (span.first && span.last) bytes -= costs.sharedHeadBytes
  return bytes
}

/** What is downloaded for a span, about: whichever the engine, blocks as they are in the file. */
export function downloadBytes(costs: ModelCosts, span: Span): number {
  const { layerBytes, scratchBytes, headScratchBytes } = costs.forms.blocks
  const ends = endsOf(costs, span)
  const scratch = scratchBytes + (ends.last ? headScratchBytes : 0)
  return (span.endLayer - span.firstLayer) * layerBytes + fixedBytes(costs.forms.blocks, ends) - scratch
}

/** The most layers that `room` holds with `kvPositions` of KV; 0 where not even one fits. */
export function layersThatFit(
  costs: ModelCosts,
  room: Room,
  ends: { readonly first: boolean; readonly last: boolean },
  kvPositions: number,
): number {
  const form = costs.forms[room.weightForm]
  const perLayer = form.layerBytes + kvPositions * costs.kvBytesPerPositionPerLayer
  return Math.max(0, Math.floor((room.memoryBytes - fixedBytes(form, ends)) / perLayer))
}

export function endsOf(costs: ModelCosts, span: Span): { readonly first: boolean; readonly last: boolean } {
  return { first: span.firstLayer === 0, last: span.endLayer === costs.layerCount }
}

export function spanFits(costs: ModelCosts, span: Span, room: Room): boolean {
  return layersThatFit(costs, room, endsOf(costs, span), kvPositionsMin(costs)) >= span.endLayer - span.firstLayer
}

/** The least KV that a stage must have. */
export function kvPositionsMin({ contextLength }: Pick<ModelCosts, 'contextLength'>): number {
  return Math.min(KV_POSITIONS_MIN, contextLength)
}

/** What a span takes with so much KV. */
export function heldBytes(
  costs: ModelCosts,
  span: Span,
  { weightForm, kvPositions }: { weightForm: WeightForm; kvPositions: number },
): number {
  const form = costs.forms[weightForm]
  const perLayer = form.layerBytes + kvPositions * costs.kvBytesPerPositionPerLayer
  return fixedBytes(form, endsOf(costs, span)) + (span.endLayer - span.firstLayer) * perLayer
}

/** The KV that a stage of `span` gets: as much as fits, up to what is wanted, in whole blocks. */
export function kvPositionsFor(costs: ModelCosts, span: Span, { memoryBytes, weightForm }: Room): number {
  const layers = span.endLayer - span.firstLayer
  const form = costs.forms[weightForm]
  const free = memoryBytes - fixedBytes(form, endsOf(costs, span)) - layers * form.layerBytes
  const fits = Math.floor(free / (layers * costs.kvBytesPerPositionPerLayer))
  const wanted = Math.min(fits, KV_POSITIONS_WANTED, Math.max(costs.contextLength, kvPositionsMin(costs)))
  return Math.max(kvPositionsMin(costs), wanted - (wanted % KV_BLOCK_POSITIONS))
}

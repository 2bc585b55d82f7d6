/** The tensors of a span, loaded for the CPU twin. What a file stores fused is cut into its parts here: the pass knows one form. */

import {
  type ArchitectureTraits,
  architectureTraits,
  attentionWidths,
  isFirstSpan,
  isLastSpan,
  type LoadTensor,
  layerTraits,
  type Manifest,
  type ModelConfig,
  ROPE_DIVISORS,
  type Span,
  spanParts,
} from '../../model/index.ts'
import { required } from '../../shared/index.ts'
import { EngineError } from '../errors.ts'
import { Matrix } from './matrix.ts'
import { type CpuRope, createRope } from './rope.ts'

/** y = W·x + b. */
export interface Projection {
  readonly matrix: Matrix
  readonly bias: Float32Array | null
}

export interface GatedMatrices {
  readonly gate: Matrix
  readonly up: Matrix
  readonly down: Matrix
}

export interface Experts {
  /** [experts, width]. */
  readonly router: Matrix
  readonly each: readonly GatedMatrices[]
}

/** Norms that an architecture has not are null. */
export interface CpuLayer {
  readonly attentionNorm: Float32Array
  readonly query: Projection
  readonly key: Projection
  readonly value: Projection
  readonly queryNorm: Float32Array | null
  readonly keyNorm: Float32Array | null
  readonly attentionOutput: Matrix
  readonly postAttentionNorm: Float32Array | null
  readonly feedForwardNorm: Float32Array
  readonly feedForward: ({ readonly kind: 'dense' } & GatedMatrices) | ({ readonly kind: 'experts' } & Experts)
  readonly postFeedForwardNorm: Float32Array | null
  readonly rope: CpuRope
  /** Positions that a row sees, its own included; null: all. */
  readonly window: number | null
}

export interface CpuWeights {
  /** By the layer's number in the model. */
  readonly layers: ReadonlyMap<number, CpuLayer>
  readonly embedding: Matrix | null
  readonly head: { readonly norm: Float32Array; readonly matrix: Matrix } | null
  readonly byteLength: number
}

export interface LoadWeightsRequest {
  readonly manifest: Manifest
  readonly span: Span
  readonly loadTensor: LoadTensor
  readonly onProgress: (bytesLoaded: number, bytesTotal: number) => void
  readonly signal: AbortSignal
}

/** Loads the span's tensors one after another. Rejects with what `loadTensor` rejects with, or an EngineError `aborted`. */
export async function loadCpuWeights(request: LoadWeightsRequest): Promise<CpuWeights> {
  const { manifest, span, signal } = request
  const { config } = manifest
  const parts = spanParts(manifest, span)
  const bytesTotal = parts.reduce((sum, part) => sum + part.byteLength, 0)
  const matrices = new Map<string, Matrix>()
  let bytesLoaded = 0
  request.onProgress(0, bytesTotal)
  for (const part of parts) {
    if (signal.aborted) throw new EngineError('aborted', 'loading was stopped before all weights were there')
    matrices.set(part.name, Matrix.ofTensor(part, await request.loadTensor(part, signal)))
    bytesLoaded += part.byteLength
    request.onProgress(bytesLoaded, bytesTotal)
  }
  const matrix = (name: string) => required(matrices.get(name), name)
  const [divisors] = ROPE_DIVISORS.flatMap((name) => matrices.get(name) ?? []).map(vectorOf)
  const layers = new Map<number, CpuLayer>()
  for (let layer = span.firstLayer; layer < span.endLayer; layer++) {
    const { rope, window } = layerTraits(config, layer)
    const weights = layerOf(config, (name) => matrix(`blk.${layer}.${name}`))
    layers.set(layer, { ...weights, window, rope: createRope(config, rope, divisors ?? null) })
  }
  return {
    layers,
    embedding: isFirstSpan(span) ? matrix('token_embd.weight') : null,
    head: isLastSpan(config, span)
      ? { norm: vectorOf(matrix('output_norm.weight')), matrix: matrix(config.tiedHead ? 'token_embd.weight' : 'output.weight') }
      : null,
    byteLength: bytesTotal,
  }
}

type Find = (name: string) => Matrix

function layerOf(config: ModelConfig, find: Find): Omit<CpuLayer, 'rope' | 'window'> {
  const traits = architectureTraits(config.architecture)
  const vector = (name: string) => vectorOf(find(name))
  const vectorIf = (condition: boolean, name: string) => (condition ? vector(name) : null)
  return {
    attentionNorm: vector('attn_norm.weight'),
    ...projectionsOf(config, traits, find),
    queryNorm: vectorIf(traits.headNorms, 'attn_q_norm.weight'),
    keyNorm: vectorIf(traits.headNorms, 'attn_k_norm.weight'),
    attentionOutput: find('attn_output.weight'),
    postAttentionNorm: vectorIf(traits.postNorms, 'post_attention_norm.weight'),
    feedForwardNorm: vector('ffn_norm.weight'),
    feedForward:
      config.experts === null ? { kind: 'dense', ...denseOf(config, traits, find) } : { kind: 'experts', ...expertsOf(config, find) },
    postFeedForwardNorm: vectorIf(traits.postNorms, 'post_ffw_norm.weight'),
  }
}

function projectionsOf(config: ModelConfig, traits: ArchitectureTraits, find: Find): Pick<CpuLayer, 'query' | 'key' | 'value'> {
  const { query, kv } = attentionWidths(config)
  if (traits.fusedQkv) {
    const fused = find('attn_qkv.weight')
    const part = (firstRow: number, count: number) => ({ matrix: fused.slice(firstRow, count), bias: null })
    return { query: part(0, query), key: part(query, kv), value: part(query + kv, kv) }
  }
  const part = (name: string) => ({ matrix: find(`${name}.weight`), bias: traits.qkvBias ? vectorOf(find(`${name}.bias`)) : null })
  return { query: part('attn_q'), key: part('attn_k'), value: part('attn_v') }
}

function denseOf({ feedForwardWidth }: ModelConfig, traits: ArchitectureTraits, find: Find): GatedMatrices {
  const up = find('ffn_up.weight')
  const down = find('ffn_down.weight')
  if (traits.fusedGateUp) return { gate: up.slice(0, feedForwardWidth), up: up.slice(feedForwardWidth, feedForwardWidth), down }
  return { gate: find('ffn_gate.weight'), up, down }
}

function expertsOf({ feedForwardWidth, width, experts }: ModelConfig, find: Find): Experts {
  const gate = find('ffn_gate_exps.weight')
  const up = find('ffn_up_exps.weight')
  const down = find('ffn_down_exps.weight')
  const each = Array.from({ length: experts?.count ?? 0 }, (_, expert) => ({
    gate: gate.slice(expert * feedForwardWidth, feedForwardWidth),
    up: up.slice(expert * feedForwardWidth, feedForwardWidth),
    down: down.slice(expert * width, width),
  }))
  return { router: find('ffn_gate_inp.weight'), each }
}

function vectorOf(matrix: Matrix): Float32Array {
  const values = new Float32Array(matrix.columns)
  matrix.readRow(0, values, 0)
  return values
}

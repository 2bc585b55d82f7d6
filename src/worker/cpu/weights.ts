/** The tensors of a span, loaded. What a file stores fused is cut into its parts here: the pass knows one form. */

import { ropeFrequencies } from '../../kernels/index.ts'
import {
  type ArchitectureTraits,
  architectureTraits,
  attentionWidths,
  dequantize,
  EMBEDDING,
  HEAD,
  isFirstSpan,
  isLastSpan,
  type LayerRope,
  type LoadTensor,
  layerTraits,
  type Manifest,
  type ManifestTensor,
  type ModelConfig,
  ROPE_DIVISORS,
  type Span,
  spanParts,
} from '../../model/index.ts'
import { assert, required } from '../../shared/index.ts'
import { EngineError } from '../errors.ts'
import { FileMatrix } from './matrix.ts'
import type { Arithmetic, Matrix } from './processor.ts'

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
  /** Index of its kind of rotation in CpuWeights. */
  readonly rope: number
  /** Positions that a row sees, its own included; null: all. */
  readonly window: number | null
}

export interface CpuWeights {
  /** By the layer's number in the model. */
  readonly layers: ReadonlyMap<number, CpuLayer>
  readonly embedding: Matrix | null
  readonly head: { readonly norm: Float32Array; readonly matrix: Matrix } | null
  /** Angle a position of each rotated pair, radians, for each kind of rotation among the layers. */
  readonly ropes: readonly Float64Array[]
}

export interface LoadWeightsRequest {
  readonly manifest: Manifest
  readonly span: Span
  readonly loadTensor: LoadTensor
  readonly onProgress: (bytesLoaded: number, bytesTotal: number) => void
  readonly signal: AbortSignal
}

/** What a tensor of a span is to the pass. */
export type TensorRole = 'vector' | 'matrix' | 'embedding'

/** An embedding is read by rows alone, and stays as it lies in the file, unless it is the head too. */
export function tensorRole({ config }: Manifest, span: Span, { name, shape }: ManifestTensor): TensorRole {
  if (shape.length === 1) return 'vector'
  return name === EMBEDDING && !(config.tiedHead && isLastSpan(config, span)) ? 'embedding' : 'matrix'
}

/** Loads the span's tensors one after another. Rejects with what `loadTensor` rejects with, or an EngineError `aborted`. */
export async function loadCpuWeights(request: LoadWeightsRequest, arithmetic: Arithmetic): Promise<CpuWeights> {
  const { manifest, span } = request
  const { config } = manifest
  const { matrices, vectors } = await loadTensors(request, arithmetic)
  const find: Find = {
    matrix: (name) => required(matrices.get(name), name),
    vector: (name) => required(vectors.get(name), name),
  }
  const divisors = ROPE_DIVISORS.map((name) => vectors.get(name)).find((vector) => vector !== undefined) ?? null
  const kinds = new Map<string, LayerRope>()
  const layers = new Map<number, CpuLayer>()
  for (let layer = span.firstLayer; layer < span.endLayer; layer++) {
    const { rope, window } = layerTraits(config, layer)
    const key = JSON.stringify(rope)
    kinds.set(key, rope)
    const weights = layerOf(config, {
      matrix: (name) => find.matrix(`blk.${layer}.${name}`),
      vector: (name) => find.vector(`blk.${layer}.${name}`),
    })
    layers.set(layer, { ...weights, window, rope: [...kinds.keys()].indexOf(key) })
  }
  return {
    layers,
    embedding: isFirstSpan(span) ? find.matrix(EMBEDDING) : null,
    head: isLastSpan(config, span)
      ? { norm: find.vector('output_norm.weight'), matrix: find.matrix(config.tiedHead ? EMBEDDING : HEAD) }
      : null,
    ropes: [...kinds.values()].map((rope) =>
      ropeFrequencies({ ...rope, divisors: rope.divisors ? divisors : null }, config.ropeDimensions),
    ),
  }
}

async function loadTensors(request: LoadWeightsRequest, arithmetic: Arithmetic) {
  const { manifest, span, signal } = request
  const parts = spanParts(manifest, span)
  const bytesTotal = parts.reduce((sum, part) => sum + part.byteLength, 0)
  const matrices = new Map<string, Matrix>()
  const vectors = new Map<string, Float32Array>()
  let bytesLoaded = 0
  request.onProgress(0, bytesTotal)
  for (const part of parts) {
    if (signal.aborted) throw new EngineError('aborted', 'loading was stopped before all weights were there')
    const bytes = await request.loadTensor(part, signal)
    assert(bytes.byteLength === part.byteLength, `${part.name}: ${bytes.byteLength} of ${part.byteLength} bytes`)
    const role = tensorRole(manifest, span, part)
    if (role === 'matrix') matrices.set(part.name, arithmetic.matrix(part, bytes))
    else if (role === 'embedding') matrices.set(part.name, FileMatrix.ofTensor(part, bytes))
    else {
      const values = dequantize(part.type, bytes)
      const vector = arithmetic.floats(values.length)
      vector.set(values)
      vectors.set(part.name, vector)
    }
    bytesLoaded += part.byteLength
    request.onProgress(bytesLoaded, bytesTotal)
  }
  return { matrices, vectors }
}

/** Finds what was loaded, by name. */
interface Find {
  readonly matrix: (name: string) => Matrix
  readonly vector: (name: string) => Float32Array
}

function layerOf(config: ModelConfig, find: Find): Omit<CpuLayer, 'rope' | 'window'> {
  const traits = architectureTraits(config.architecture)
  const { matrix, vector } = find
  const vectorIf = (condition: boolean, name: string) => (condition ? vector(name) : null)
  return {
    attentionNorm: vector('attn_norm.weight'),
    ...projectionsOf(config, traits, find),
    queryNorm: vectorIf(traits.headNorms, 'attn_q_norm.weight'),
    keyNorm: vectorIf(traits.headNorms, 'attn_k_norm.weight'),
    attentionOutput: matrix('attn_output.weight'),
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
    const fused = find.matrix('attn_qkv.weight')
    const part = (firstRow: number, count: number) => ({ matrix: fused.slice(firstRow, count), bias: null })
    return { query: part(0, query), key: part(query, kv), value: part(query + kv, kv) }
  }
  const part = (name: string) => ({ matrix: find.matrix(`${name}.weight`), bias: traits.qkvBias ? find.vector(`${name}.bias`) : null })
  return { query: part('attn_q'), key: part('attn_k'), value: part('attn_v') }
}

function denseOf({ feedForwardWidth }: ModelConfig, traits: ArchitectureTraits, find: Find): GatedMatrices {
  const up = find.matrix('ffn_up.weight')
  const down = find.matrix('ffn_down.weight')
  if (traits.fusedGateUp) return { gate: up.slice(0, feedForwardWidth), up: up.slice(feedForwardWidth, feedForwardWidth), down }
  return { gate: find.matrix('ffn_gate.weight'), up, down }
}

function expertsOf({ feedForwardWidth, width, experts }: ModelConfig, find: Find): Experts {
  const gate = find.matrix('ffn_gate_exps.weight')
  const up = find.matrix('ffn_up_exps.weight')
  const down = find.matrix('ffn_down_exps.weight')
  const each = Array.from({ length: experts?.count ?? 0 }, (_, expert) => ({
    gate: gate.slice(expert * feedForwardWidth, feedForwardWidth),
    up: up.slice(expert * feedForwardWidth, feedForwardWidth),
    down: down.slice(expert * width, width),
  }))
  return { router: find.matrix('ffn_gate_inp.weight'), each }
}

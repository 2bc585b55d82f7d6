/** The tensors of a span, loaded for the CPU twin. */

import { isFirstSpan, isLastSpan, type LoadTensor, type Manifest, type Span, spanParts } from '../../model/index.ts'
import { required } from '../../shared/index.ts'
import { EngineError } from '../errors.ts'
import { Matrix } from './matrix.ts'

export interface CpuLayer {
  readonly attentionNorm: Float32Array
  readonly query: Matrix
  readonly key: Matrix
  readonly value: Matrix
  readonly attentionOutput: Matrix
  readonly feedForwardNorm: Float32Array
  readonly gate: Matrix
  readonly up: Matrix
  readonly down: Matrix
}

export interface CpuWeights {
  /** By the layer's number in the model. */
  readonly layers: ReadonlyMap<number, CpuLayer>
  readonly embedding: Matrix | null
  readonly head: { readonly norm: Float32Array; readonly matrix: Matrix } | null
  /** Angle of one position for each rotated pair, radians. */
  readonly ropeFrequencies: Float64Array
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
    matrices.set(part.name, new Matrix(part, await request.loadTensor(part, signal)))
    bytesLoaded += part.byteLength
    request.onProgress(bytesLoaded, bytesTotal)
  }
  const matrix = (name: string) => required(matrices.get(name), name)
  const layers = new Map<number, CpuLayer>()
  for (let layer = span.firstLayer; layer < span.endLayer; layer++) {
    layers.set(
      layer,
      layerOf((name) => matrix(`blk.${layer}.${name}.weight`)),
    )
  }
  const factors = matrices.get('rope_freqs.weight')
  return {
    layers,
    embedding: isFirstSpan(span) ? matrix('token_embd.weight') : null,
    head: isLastSpan(config, span)
      ? { norm: vectorOf(matrix('output_norm.weight')), matrix: matrix(config.tiedHead ? 'token_embd.weight' : 'output.weight') }
      : null,
    ropeFrequencies: ropeFrequencies(config.ropeBase, config.ropeDimensions, factors === undefined ? null : vectorOf(factors)),
    byteLength: bytesTotal,
  }
}

function layerOf(matrix: (name: string) => Matrix): CpuLayer {
  return {
    attentionNorm: vectorOf(matrix('attn_norm')),
    query: matrix('attn_q'),
    key: matrix('attn_k'),
    value: matrix('attn_v'),
    attentionOutput: matrix('attn_output'),
    feedForwardNorm: vectorOf(matrix('ffn_norm')),
    gate: matrix('ffn_gate'),
    up: matrix('ffn_up'),
    down: matrix('ffn_down'),
  }
}

function vectorOf(matrix: Matrix): Float32Array {
  const values = new Float32Array(matrix.columns)
  matrix.readRow(0, values, 0)
  return values
}

/** base^(−2i/d) / factor[i], i the pair; factors are Llama 3's `rope_freqs`. */
function ropeFrequencies(base: number, dimensions: number, factors: Float32Array | null): Float64Array {
  return Float64Array.from({ length: dimensions / 2 }, (_, pair) => base ** ((-2 * pair) / dimensions) / (factors?.[pair] ?? 1))
}

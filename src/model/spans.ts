/** What a span of layers consists of and costs: its tensors, their bytes, its arithmetic. Placement and loading ask here. */

import { assert } from '../shared/index.ts'
import { attentionWidths } from './architecture.ts'
import { EMBEDDING, HEAD, layerTensors, OUTPUT_NORM, ROPE_DIVISORS } from './tensors.ts'
import type { Manifest, ManifestTensor, ModelConfig, Span } from './types.ts'

export function isFirstSpan(span: Span): boolean {
  return span.firstLayer === 0
}

export function isLastSpan(config: ModelConfig, span: Span): boolean {
  return span.endLayer === config.layerCount
}

export function sameSpan(a: Span, b: Span): boolean {
  return a.firstLayer === b.firstLayer && a.endLayer === b.endLayer
}

/** Whether all layers of `inner` are in `outer`. */
export function coversSpan(outer: Span, inner: Span): boolean {
  return outer.firstLayer <= inner.firstLayer && inner.endLayer <= outer.endLayer
}

/**
 * The tensors that a peer with `span` loads, each once, in file order. The embedding goes with layer 0; the final norm and
 * the head with the last layer (a tied head is the embedding again); the RoPE divisors with every span.
 */
export function spanParts(manifest: Manifest, span: Span): ManifestTensor[] {
  const { config } = manifest
  assert(
    Number.isInteger(span.firstLayer) && 0 <= span.firstLayer && span.firstLayer < span.endLayer && span.endLayer <= config.layerCount,
    `span [${span.firstLayer}, ${span.endLayer}) of ${config.layerCount} layers`,
  )
  const names = new Set(ROPE_DIVISORS)
  if (isFirstSpan(span)) names.add(EMBEDDING)
  if (isLastSpan(config, span)) names.add(OUTPUT_NORM).add(config.tiedHead ? EMBEDDING : HEAD)
  for (let layer = span.firstLayer; layer < span.endLayer; layer++) for (const name of layerTensors(config, layer).keys()) names.add(name)
  return manifest.tensors.filter((tensor) => names.has(tensor.name)).sort((a, b) => a.byteOffset - b.byteOffset)
}

/** Bytes of the span's tensors in the file; what two ends of one span share counts once. */
export function spanBytes(manifest: Manifest, span: Span): number {
  return sumBytes(spanParts(manifest, span))
}

/** The tensors of one layer alone, without embedding, head and what all spans share. */
export function layerParts(manifest: Manifest, layer: number): ManifestTensor[] {
  const names = layerTensors(manifest.config, layer)
  return manifest.tensors.filter((tensor) => names.has(tensor.name))
}

function sumBytes(tensors: readonly ManifestTensor[]): number {
  return tensors.reduce((sum, tensor) => sum + tensor.byteLength, 0)
}

/** Multiply-accumulates of one position in the matrices of one layer, the experts used counted; attention over the past is not. */
export function layerMultiplyAccumulates(config: ModelConfig): number {
  const { width, feedForwardWidth, experts } = config
  const { query, kv } = attentionWidths(config)
  const feedForward = 3 * feedForwardWidth * (experts?.used ?? 1) + (experts?.count ?? 0)
  return width * (2 * query + 2 * kv + feedForward)
}

/** Multiply-accumulates of one position in the head; a gather of the embedding costs none. */
export function headMultiplyAccumulates(config: ModelConfig): number {
  return config.width * config.vocabularySize
}

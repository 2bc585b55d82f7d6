/**
 * Span plan: the graphs that a span is computed with, and what of the file each is made of, before a byte is loaded. Steps are loaded
 * one after the other, so that only one step's tensors lie in main memory at a time.
 */

import {
  EMBEDDING,
  HEAD,
  isFirstSpan,
  isLastSpan,
  type Manifest,
  type ManifestTensor,
  ROPE_DIVISORS,
  type Span,
  spanParts,
} from '../../model/index.ts'
import { required } from '../../shared/index.ts'
import { enterGraph, expertGraph, headGraph, leaveGraph, type PlannedGraph } from './layerGraphs.ts'
import { elementCount } from './runtime.ts'

/** The head is cut by outputs into graphs of this many bytes: a vocabulary of 256,000 would need gigabytes twice while it loads. */
const HEAD_GRAPH_BYTES = 32 * 1024 * 1024

/** Where a graph belongs in the forward pass. */
export type GraphPlace =
  | { readonly kind: 'enter' | 'leave'; readonly layer: number }
  | { readonly kind: 'expert'; readonly layer: number; readonly expert: number }
  | { readonly kind: 'head' }

export interface PlacedGraph {
  readonly place: GraphPlace
  readonly graph: PlannedGraph
}

/** Tensors that are loaded, each once, and the graphs made of them. */
export interface LoadStep {
  readonly tensors: readonly ManifestTensor[]
  readonly graphs: readonly PlacedGraph[]
}

export interface SpanPlan {
  readonly steps: readonly LoadStep[]
  /** Kept as it lies in the file, rows are dequantized when they are asked for. Null behind the first layer. */
  readonly embedding: ManifestTensor | null
  readonly ropeDivisors: ManifestTensor | null
  /** Read outside of graphs: the norms of heads. */
  readonly vectors: ReadonlySet<ManifestTensor>
  /** f32 weights of all graphs, and the embedding's bytes. */
  readonly weightBytes: number
  /** f32 weights of the largest graph: they exist twice while it is made. */
  readonly largestGraphBytes: number
}

export function planSpan(manifest: Manifest, span: Span): SpanPlan {
  const { config } = manifest
  const parts = spanParts(manifest, span)
  const graphs: PlacedGraph[][] = []
  for (let layer = span.firstLayer; layer < span.endLayer; layer++) {
    const experts = Array.from({ length: config.experts?.count ?? 0 }, (_, expert) => expert)
    graphs.push([{ place: { kind: 'enter', layer }, graph: enterGraph(config, layer) }])
    graphs.push([{ place: { kind: 'leave', layer }, graph: leaveGraph(config, layer) }])
    if (experts.length > 0)
      graphs.push(experts.map((expert) => ({ place: { kind: 'expert', layer, expert }, graph: expertGraph(config, layer, expert) })))
  }
  if (isLastSpan(config, span)) graphs.push(headGraphs(manifest))
  const steps = graphs.map((step): LoadStep => ({ graphs: step, tensors: tensorsOf(step, parts) }))
  const embedding = isFirstSpan(span) ? required(parts.find(isNamed(EMBEDDING)), EMBEDDING) : null
  const ropeDivisors = parts.find(({ name }) => ROPE_DIVISORS.includes(name)) ?? null
  const loaded = new Set(steps.flatMap(({ tensors }) => tensors))
  const alone = parts.filter((tensor) => !loaded.has(tensor))
  const sizes = graphs.flat().map(({ graph }) => graphBytes(graph))
  return {
    steps: [...alone.map((tensor): LoadStep => ({ tensors: [tensor], graphs: [] })), ...steps],
    embedding,
    ropeDivisors,
    vectors: new Set(alone.filter((tensor) => tensor !== embedding && tensor !== ropeDivisors)),
    weightBytes: sizes.reduce((sum, bytes) => sum + bytes, embedding?.byteLength ?? 0),
    largestGraphBytes: Math.max(...sizes),
  }
}

function headGraphs({ config }: Manifest): PlacedGraph[] {
  const rowsAtOnce = Math.max(16, Math.floor(HEAD_GRAPH_BYTES / (4 * config.width) / 16) * 16)
  return Array.from({ length: Math.ceil(config.vocabularySize / rowsAtOnce) }, (_, index) => {
    const from = index * rowsAtOnce
    const count = Math.min(rowsAtOnce, config.vocabularySize - from)
    return { place: { kind: 'head' }, graph: headGraph(config, config.tiedHead ? EMBEDDING : HEAD, from, count) }
  })
}

function tensorsOf(graphs: readonly PlacedGraph[], parts: readonly ManifestTensor[]): ManifestTensor[] {
  const names = new Set(graphs.flatMap(({ graph }) => graph.weights.flatMap(({ sources }) => sources.map(({ tensor }) => tensor))))
  return [...names].map((name) => required(parts.find(isNamed(name)), name))
}

function isNamed(name: string): (tensor: ManifestTensor) => boolean {
  return (tensor) => tensor.name === name
}

/** Bytes of a graph's weights. */
export function graphBytes({ weights }: PlannedGraph): number {
  return 4 * weights.reduce((sum, { dims }) => sum + elementCount(dims), 0)
}

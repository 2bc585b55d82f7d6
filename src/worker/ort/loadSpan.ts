/** Loads what the plan names: tensor by tensor, dequantized to f32 into one graph's weights at a time. */

import { blockBytes, blockSize, dequantize, dequantizeInto, type LoadTensor, type ManifestTensor, ModelError } from '../../model/index.ts'
import { assert, required } from '../../shared/index.ts'
import { EngineError } from '../errors.ts'
import type { PlannedGraph, TensorRows } from './layerGraphs.ts'
import { elementCount, OrtGraph, type OrtRuntime } from './runtime.ts'
import { graphBytes, type PlacedGraph, type SpanPlan } from './spanPlan.ts'

/** Rows of a matrix as the file's bytes. */
export interface RowSource {
  readonly tensor: ManifestTensor
  readonly bytes: Uint8Array
}

export interface LoadedGraph extends PlacedGraph {
  readonly session: OrtGraph
}

export interface LoadedSpan {
  readonly graphs: readonly LoadedGraph[]
  readonly embedding: RowSource | null
  readonly ropeDivisors: Float32Array | null
  /** Tensors that the plan wants as they are, by name. */
  readonly vectors: ReadonlyMap<string, Float32Array>
}

export interface LoadSpanRequest {
  readonly runtime: OrtRuntime
  readonly plan: SpanPlan
  readonly loadTensor: LoadTensor
  readonly onProgress: (bytesLoaded: number, bytesTotal: number) => void
  readonly signal: AbortSignal
}

/** Rejects with what `loadTensor` rejects with, or an EngineError `aborted`; nothing is held then. */
export async function loadSpan(request: LoadSpanRequest): Promise<LoadedSpan> {
  const { runtime, plan, onProgress, signal } = request
  const bytesTotal = plan.steps.flatMap(({ tensors }) => tensors).reduce((sum, { byteLength }) => sum + byteLength, 0)
  let bytesLoaded = 0
  let embedding: RowSource | null = null
  let ropeDivisors: Float32Array | null = null
  const vectors = new Map<string, Float32Array>()
  const graphs: LoadedGraph[] = []
  onProgress(0, bytesTotal)
  try {
    for (const step of plan.steps) {
      const sources = new Map<string, RowSource>()
      for (const tensor of step.tensors) {
        const source = { tensor, bytes: await loadOne(request.loadTensor, tensor, signal) }
        sources.set(tensor.name, source)
        if (tensor === plan.embedding) embedding = source
        if (plan.vectors.has(tensor)) vectors.set(tensor.name, dequantize(tensor.type, source.bytes))
        if (tensor === plan.ropeDivisors) ropeDivisors = dequantize(tensor.type, source.bytes)
        bytesLoaded += tensor.byteLength
        onProgress(bytesLoaded, bytesTotal)
      }
      for (const placed of step.graphs) {
        if (signal.aborted) throw aborted()
        graphs.push({ ...placed, session: await OrtGraph.create(runtime, placed.graph, graphValues(placed.graph, sources)) })
      }
    }
  } catch (error) {
    for (const { session } of graphs) session.release()
    throw error
  }
  return { graphs, embedding, ropeDivisors, vectors }
}

function graphValues(graph: PlannedGraph, sources: ReadonlyMap<string, RowSource>): Float32Array<ArrayBuffer> {
  const values = new Float32Array(graphBytes(graph) / 4)
  let at = 0
  for (const weight of graph.weights) {
    const end = at + elementCount(weight.dims)
    for (const rows of weight.sources) at += readRows(required(sources.get(rows.tensor), rows.tensor), rows, values, at)
    assert(at === end, `${weight.name} ends at ${at}, not at ${end}`)
  }
  return values
}

/** Writes rows as f32 from `at`; returns how many values they are. */
export function readRows(
  { tensor, bytes }: RowSource,
  { from, count }: Omit<TensorRows, 'tensor'>,
  into: Float32Array,
  at: number,
): number {
  const columns = required(tensor.shape[0], `the columns of ${tensor.name}`)
  const rowBytes = (columns / blockSize(tensor.type)) * blockBytes(tensor.type)
  dequantizeInto(tensor.type, bytes, from * rowBytes, into, at, count * columns)
  return count * columns
}

async function loadOne(loadTensor: LoadTensor, tensor: ManifestTensor, signal: AbortSignal): Promise<Uint8Array> {
  if (signal.aborted) throw aborted()
  try {
    const bytes = await loadTensor(tensor, signal)
    assert(bytes.byteLength === tensor.byteLength, `${tensor.name}: ${bytes.byteLength} of ${tensor.byteLength} bytes`)
    return bytes
  } catch (error) {
    if (signal.aborted || (error instanceof ModelError && error.reason === 'aborted')) throw aborted()
    throw error
  }
}

function aborted(): EngineError {
  return new EngineError('aborted', 'loading was stopped before it was done')
}

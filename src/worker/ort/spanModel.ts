/** What a loaded span is made of: its graphs by their places, the KV cache, the embedding. `load` builds it, `unload` drops it. */

import { ropeFrequencies } from '../../kernels/index.ts'
import { architectureTraits, attentionWidths, layerTraits, type ModelConfig, type Span } from '../../model/index.ts'
import { required } from '../../shared/index.ts'
import type { LoadRequest } from '../engine.ts'
import { KV_BLOCK_POSITIONS, KvBlocks, kvBlockCount } from '../kvBlocks.ts'
import { Attention, type LayerAttention } from './attention.ts'
import { type LoadedSpan, loadSpan, type RowSource, readRows } from './loadSpan.ts'
import { type MemoryPlan, planMemory, refuseAbove } from './memory.ts'
import type { OrtGraph, OrtRuntime } from './runtime.ts'
import { planSpan } from './spanPlan.ts'

export interface SpanLayer extends LayerAttention {
  readonly enter: OrtGraph
  readonly leave: OrtGraph
  /** By number; none in a dense model. */
  readonly experts: readonly OrtGraph[]
}

export interface SpanModel {
  readonly config: ModelConfig
  readonly span: Span
  readonly memory: MemoryPlan
  readonly slots: KvBlocks
  readonly attention: Attention
  /** By the layer's number in the model. */
  readonly layers: ReadonlyMap<number, SpanLayer>
  readonly embedding: RowSource | null
  /** Outputs of the head, one graph behind the other; none before the last layer. */
  readonly head: readonly OrtGraph[]
  release(): void
}

/** Rejects with an EngineError `does-not-fit` before anything is loaded, and with what loading rejects with. */
export async function loadSpanModel(runtime: OrtRuntime, request: LoadRequest): Promise<SpanModel> {
  const { manifest, span, kvPositions, memoryBytesMax } = request
  const { config } = manifest
  const plan = planSpan(manifest, span)
  const memory = planMemory(manifest, span, plan, kvPositions)
  refuseAbove(memory, memoryBytesMax)
  const loaded = await loadSpan({ ...request, runtime, plan })
  const attention = await Attention.create(runtime, config)
  const slots = new KvBlocks(kvBlockCount(kvPositions), span)
  return {
    config,
    span,
    memory,
    slots,
    attention,
    layers: new Map(layersOf(config, span, loaded, slots.blocksTotal)),
    embedding: loaded.embedding,
    head: graphsAt(loaded, ({ kind }) => kind === 'head'),
    release() {
      for (const { session } of loaded.graphs) session.release()
      attention.release()
    },
  }
}

function graphsAt(loaded: LoadedSpan, isWanted: (place: LoadedSpan['graphs'][number]['place']) => boolean): OrtGraph[] {
  return loaded.graphs.filter(({ place }) => isWanted(place)).map(({ session }) => session)
}

function* layersOf(config: ModelConfig, span: Span, loaded: LoadedSpan, blocks: number): Generator<[number, SpanLayer]> {
  const kvFloats = blocks * KV_BLOCK_POSITIONS * attentionWidths(config).kv
  const rotations = new Map<string, Float64Array>()
  for (let layer = span.firstLayer; layer < span.endLayer; layer++) {
    const at = (kind: 'enter' | 'leave' | 'expert') => graphsAt(loaded, (place) => place.kind === kind && place.layer === layer)
    const { window, rope } = layerTraits(config, layer)
    const key = JSON.stringify(rope)
    const divisors = rope.divisors ? loaded.ropeDivisors : null
    const frequencies = rotations.get(key) ?? ropeFrequencies({ ...rope, divisors }, config.ropeDimensions)
    rotations.set(key, frequencies)
    yield [
      layer,
      {
        enter: required(at('enter')[0], `enter of layer ${layer}`),
        leave: required(at('leave')[0], `leave of layer ${layer}`),
        experts: at('expert'),
        kv: { keys: new Float32Array(kvFloats), values: new Float32Array(kvFloats) },
        frequencies,
        window,
        headNorms: headNormsOf(config, layer, loaded),
      },
    ]
  }
}

function headNormsOf(config: ModelConfig, layer: number, { vectors }: LoadedSpan): SpanLayer['headNorms'] {
  if (!architectureTraits(config.architecture).headNorms) return null
  const vector = (name: string) => required(vectors.get(`blk.${layer}.${name}.weight`), name)
  return { query: vector('attn_q_norm'), key: vector('attn_k_norm') }
}

/** The residual that layer 0 begins with: [ids, width]. */
export function embed({ config, embedding }: SpanModel, ids: Uint32Array): Float32Array {
  const { width } = config
  const x = new Float32Array(ids.length * width)
  const source = required(embedding, 'the embedding')
  ids.forEach((id, row) => {
    readRows(source, { from: id, count: 1 }, x, row * width)
  })
  if (!architectureTraits(config.architecture).scaledEmbedding) return x
  const scale = Math.fround(Math.sqrt(width))
  return x.map((value) => value * scale)
}

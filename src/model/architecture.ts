/**
 * Architectures: what one family of models does differently from another, declared once. Files are checked, spans are cut and
 * every engine builds its forward pass from these descriptions; nobody else asks for an architecture's name.
 * Source of each: the model's own code in transformers, and llama.cpp's src/models for what GGUF stores.
 */

import type { Architecture, ModelConfig } from './types.ts'

export interface ArchitectureTraits {
  /** Which elements of a head RoPE turns together: (2i, 2i+1), or (i, i + dimensions / 2). */
  readonly ropePairs: 'adjacent' | 'halves'
  /** One tensor `attn_qkv` instead of three. */
  readonly fusedQkv: boolean
  /** One tensor `ffn_up` that holds the gate's outputs first, then up's. */
  readonly fusedGateUp: boolean
  /** Queries, keys and values get a bias. */
  readonly qkvBias: boolean
  /** Each head's query and key are RMS-normed before RoPE, with weights `attn_q_norm` and `attn_k_norm` of head size. */
  readonly headNorms: boolean
  /** What attention and feed-forward give is RMS-normed again before it is added to the residual. */
  readonly postNorms: boolean
  /** Of the gate: gate·up is `activation(gate) · up`. */
  readonly activation: 'silu' | 'gelu'
  /** The feed-forward is a mixture of experts: the router's softmax, its best `expertsUsed`, their weights summing to 1. */
  readonly experts: boolean
  /** Embeddings are multiplied by √width. */
  readonly scaledEmbedding: boolean
  /** Which layers see only the last `slidingWindow` positions, of a model that has a window: all, or all but every n-th. */
  readonly windowPeriod: number | null
  /** Layers within a window rotate by this base where the file gives none; null: by the model's own. */
  readonly windowRopeBase: number | null
  /** What a file means that says nothing: older converters left these out. */
  readonly defaults: Pick<ModelConfig, 'slidingWindow' | 'attentionSoftCap' | 'logitSoftCap'>
}

const plain: ArchitectureTraits = {
  ropePairs: 'halves',
  fusedQkv: false,
  fusedGateUp: false,
  qkvBias: false,
  headNorms: false,
  postNorms: false,
  activation: 'silu',
  experts: false,
  scaledEmbedding: false,
  windowPeriod: null,
  windowRopeBase: null,
  defaults: { slidingWindow: null, attentionSoftCap: null, logitSoftCap: null },
}

const gemma: ArchitectureTraits = { ...plain, postNorms: true, activation: 'gelu', scaledEmbedding: true }

const traits: Readonly<Record<Architecture, ArchitectureTraits>> = {
  // Converters permute the rows of Q and K, so that neighbors are rotated together.
  llama: { ...plain, ropePairs: 'adjacent' },
  qwen2: { ...plain, qkvBias: true },
  qwen3: { ...plain, headNorms: true },
  qwen3moe: { ...plain, headNorms: true, experts: true },
  gemma2: { ...gemma, windowPeriod: 2, defaults: { slidingWindow: 4096, attentionSoftCap: 50, logitSoftCap: 30 } },
  gemma3: { ...gemma, headNorms: true, windowPeriod: 6, windowRopeBase: 10_000 },
  phi3: { ...plain, fusedQkv: true, fusedGateUp: true },
}

export const architectures: readonly Architecture[] = Object.keys(traits).filter((name): name is Architecture => name in traits)

export function architectureTraits(architecture: Architecture): ArchitectureTraits {
  return traits[architecture]
}

/** How one layer rotates queries and keys: pair i of position p turns by p · positionScale · base^(−2i/dimensions) / divisor[i]. */
export interface LayerRope {
  readonly base: number
  readonly positionScale: number
  /** Whether the file's divisors (`rope_freqs`, or `rope_factors_short`) apply. */
  readonly divisors: boolean
}

export interface LayerTraits {
  /** Positions that a row sees, its own included: keys k with position − window < k ≤ position. Null: all. */
  readonly window: number | null
  readonly rope: LayerRope
}

/** What differs between the layers of one model. */
export function layerTraits(config: ModelConfig, layer: number): LayerTraits {
  const { windowPeriod } = traits[config.architecture]
  const windowed = config.slidingWindow !== null && (windowPeriod === null || layer % windowPeriod < windowPeriod - 1)
  const window = windowed ? config.slidingWindow : null
  if (windowed && config.windowRopeBase !== null) {
    return { window, rope: { base: config.windowRopeBase, positionScale: 1, divisors: false } }
  }
  return { window, rope: { base: config.ropeBase, positionScale: config.ropePositionScale, divisors: true } }
}

/** Elements of one position's queries, and of its keys (as many as its values). */
export function attentionWidths(config: ModelConfig): { readonly query: number; readonly kv: number } {
  return { query: config.headCount * config.headSize, kv: config.kvHeadCount * config.headSize }
}

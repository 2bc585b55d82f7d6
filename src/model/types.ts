/**
 * The nouns of a model file that other folders speak about: tensors, the configuration of the architecture, the manifest,
 * a span, and the ports that weights come through. Parsing lives in gguf/, hashing in manifest.ts.
 */

import type { ManifestHash, ModelId } from '../shared/index.ts'

/** GGML's names of the tensor types that this engine computes with. */
export type TensorType =
  | 'F32'
  | 'F16'
  | 'BF16'
  | 'Q4_0'
  | 'Q4_1'
  | 'Q5_0'
  | 'Q5_1'
  | 'Q8_0'
  | 'Q2_K'
  | 'Q3_K'
  | 'Q4_K'
  | 'Q5_K'
  | 'Q6_K'
  | 'IQ4_NL'
  | 'IQ4_XS'
  | 'MXFP4'

export interface TensorInfo {
  readonly name: string
  readonly type: TensorType
  /** GGML's order: `shape[0]` is the contiguous axis (the inputs of a matrix), `shape[1]` counts its rows (the outputs). */
  readonly shape: readonly number[]
  /** From the start of the file. */
  readonly byteOffset: number
  readonly byteLength: number
}

/** By the names that GGUF gives them; each is described in architecture.ts. */
export type Architecture = 'llama' | 'qwen2' | 'qwen3' | 'qwen3moe' | 'gemma2' | 'gemma3' | 'phi3'

/** What the forward pass needs to know of a model, read from its metadata. All sizes in elements. What its architecture implies: architecture.ts. */
export interface ModelConfig {
  readonly architecture: Architecture
  readonly layerCount: number
  /** Width of the residual stream (`embedding_length`). */
  readonly width: number
  readonly headCount: number
  readonly kvHeadCount: number
  readonly headSize: number
  /** Of a dense layer; of one expert in a mixture of experts. */
  readonly feedForwardWidth: number
  /** Null in a dense model. */
  readonly experts: { readonly count: number; readonly used: number } | null
  readonly vocabularySize: number
  readonly contextLength: number
  readonly rmsEpsilon: number
  readonly ropeBase: number
  /** How many leading dimensions of a head are rotated. */
  readonly ropeDimensions: number
  /** Positions are multiplied by it before they are turned into angles (linear scaling: 1 / factor). */
  readonly ropePositionScale: number
  /** Cosines and sines are multiplied by it (LongRoPE's attention factor). */
  readonly ropeMagnitude: number
  /** Base of the layers within a window; null: the same as of all. */
  readonly windowRopeBase: number | null
  /** Positions that a windowed layer sees; null: every layer sees all. Which layers: `layerTraits`. */
  readonly slidingWindow: number | null
  /** Scores are multiplied by it: mostly 1 / √headSize. */
  readonly attentionScale: number
  /** Scores become cap · tanh(score / cap); null: they stay. */
  readonly attentionSoftCap: number | null
  /** The same for the logits. */
  readonly logitSoftCap: number | null
  /** The head is the token embedding: no `output.weight` in the file. */
  readonly tiedHead: boolean
}

export interface ManifestTensor extends TensorInfo {
  /** Of the tensor's bytes in the file, 64 hex digits. */
  readonly sha256: string
}

export interface Manifest {
  readonly format: 'tabswarm-manifest-1'
  readonly id: ModelId
  readonly name: string
  readonly license: string | null
  readonly fileBytes: number
  /** The file's first bytes: magic, metadata (with the tokenizer), tensor table. */
  readonly header: { readonly byteLength: number; readonly sha256: string }
  readonly config: ModelConfig
  readonly tensors: readonly ManifestTensor[]
}

export interface HashedManifest {
  readonly manifest: Manifest
  /** SHA-256 of the manifest's canonical JSON. */
  readonly hash: ManifestHash
}

/** Layers [firstLayer, endLayer). The embedding belongs to layer 0, the final norm and head to the last layer: see `spanParts`. */
export interface Span {
  readonly firstLayer: number
  readonly endLayer: number
}

/** Random access to a model file's bytes: an HTTP server with ranges, a local file, memory. Rejects with a ModelError. */
export interface WeightSource {
  read(range: { readonly byteOffset: number; readonly byteLength: number }, signal: AbortSignal): Promise<Uint8Array>
}

/** A whole model file whose length is known. */
export interface ModelFile extends WeightSource {
  readonly byteLength: number
}

/** Bytes of one tensor, already checked against its hash. Rejects with a ModelError. */
export type LoadTensor = (tensor: ManifestTensor, signal: AbortSignal) => Promise<Uint8Array>

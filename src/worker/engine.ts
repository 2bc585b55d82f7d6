/**
 * Engine: the one interface behind which a span of layers is computed. The WGSL engine and the CPU twin implement it and
 * pass one acceptance suite; stages, the Node CLI and tests only know this. It sees rows of a batch, never who owns them.
 */

import type { LoadTensor, Manifest, Span } from '../model/index.ts'
import type { PositionCandidates, RowEncoding, RowKind } from '../protocol/index.ts'
import type { Result } from '../shared/index.ts'

/** Where one session's KV blocks are; valid from `open` to `close`. */
export type Slot = number

export interface EngineInfo {
  readonly engine: 'webgpu' | 'wasm' | 'cpu'
  /** What a person should read: the adapter's description, or vendor and architecture. */
  readonly adapter: string
  /** Engine, vendor, architecture, kernel version and variants in one string: equal classes give equal bits. */
  readonly numericClass: string
  readonly kvType: 'f32' | 'f16'
}

export interface LoadRequest {
  readonly manifest: Manifest
  readonly span: Span
  readonly loadTensor: LoadTensor
  /** GPU bytes for weights, KV pool and scratch together; the load is refused with `does-not-fit` above it. */
  readonly memoryBytesMax: number
  /** Capacity of the KV pool in positions for the whole span; all open sessions share it. Rounded up to whole blocks. */
  readonly kvPositions: number
  readonly onProgress: (bytesLoaded: number, bytesTotal: number) => void
  readonly signal: AbortSignal
}

/** Consecutive positions of one session, all of one kind. */
export interface Segment {
  readonly slot: Slot
  readonly kind: RowKind
  readonly firstPosition: number
  readonly input:
    | { readonly kind: 'tokens'; readonly ids: Uint32Array }
    /** `rowCount` rows as they came from the wire, see protocol/rows: [rowCount, rowBytes(encoding, width)]. */
    | { readonly kind: 'rows'; readonly encoding: RowEncoding; readonly rowCount: number; readonly bytes: Uint8Array }
  readonly output: /** The residual after the slot's last layer, packed for the wire. */
    | { readonly kind: 'rows'; readonly encoding: RowEncoding }
    /**
     * For the last `resultCount` rows (0 … rowCount) the `topK` best logits and the logsumexp over the vocabulary; and the logits of the tokens
     * that each names, as many of each: `named` [resultCount, n], n at most NAMED_TOKENS_MAX.
     */
    | { readonly kind: 'candidates'; readonly resultCount: number; readonly topK: number; readonly named?: Uint32Array }
    /** For the last `resultCount` rows all logits. Large: vocabulary × 4 bytes a row. */
    | { readonly kind: 'logits'; readonly resultCount: number }
}

/** The k best logits of one position, best first, ties to the lowest id; and those of the tokens that its row named. */
export type Candidates = PositionCandidates

export type SegmentOutput =
  | { readonly kind: 'rows'; readonly bytes: Uint8Array }
  | { readonly kind: 'candidates'; readonly positions: readonly Candidates[] }
  /** Row-major [resultCount, vocabulary]. */
  | { readonly kind: 'logits'; readonly values: Float32Array }

/** What a pass cost an engine that runs on a GPU. */
export interface PassStats {
  readonly dispatches: number
  /** Dispatches of the layers alone, on average of a layer and a run. */
  readonly dispatchesPerLayer: number
  readonly submits: number
  readonly bytesRead: number
}

export interface ForwardResult {
  /** One for each segment, in order. */
  readonly outputs: readonly SegmentOutput[]
  /** From the call until the packed result was readable, without waiting in any queue, milliseconds. */
  readonly computeMs: number
  /** Of engines on a GPU. */
  readonly stats?: PassStats
}

export interface EngineUsage {
  readonly weightBytes: number
  readonly kvBytes: number
  readonly scratchBytes: number
  readonly kvBlocksTotal: number
  readonly kvBlocksFree: number
  readonly openSlots: number
}

/** `reason` of the EngineError that calls reject with. */
export type EngineErrorReason = 'does-not-fit' | 'device-lost' | 'not-loaded' | 'bad-batch' | 'not-finite' | 'no-adapter' | 'aborted'

export interface Engine {
  readonly info: EngineInfo
  /** Replaces whatever was loaded; open slots must have been closed. */
  load(request: LoadRequest): Promise<void>
  /** Frees weights, KV and scratch to the byte. */
  unload(): void
  /**
   * Reserves KV blocks for `maxPositions` positions over `span`, a part of the loaded span, or says `no-room`.
   * No overcommit: an opened slot never runs out.
   */
  open(request: { readonly span: Span; readonly maxPositions: number }): Result<Slot, 'no-room'>
  /** Positions ≥ `length` are forgotten; O(1). */
  truncate(slot: Slot, length: number): void
  /** Frees it. What was unloaded or disposed has none to free: nothing happens then, for its owner may hear of that last. */
  close(slot: Slot): void
  /** Number of positions in the slot's KV cache. */
  length(slot: Slot): number
  /**
   * One pass over all segments (each of another slot). A segment must begin at its slot's length: appends its positions.
   * Rejects with an EngineError: `bad-batch` (nothing was computed), `not-finite` (the outputs hold NaN or infinity; the
   * segments' slots are truncated to where they were), `device-lost`.
   */
  forward(segments: readonly Segment[]): Promise<ForwardResult>
  usage(): EngineUsage
  /** Resolves once, when the device is lost for another reason than `dispose`. */
  readonly lost: Promise<{ readonly message: string }>
  dispose(): void
}

/** What the coordinator and its driver's process say to each other. All of it can be cloned; nothing of it is kept. */

import type { DriverAnswer, DriverEvent, DriverRequest, Prompt } from '../coordinator/gateway/index.ts'
import type { Manifest } from '../model/index.ts'
import type { ManifestHash, ModelId, PeerId } from '../shared/index.ts'

/** A model's text side: what tokenizes prompts, and what the coordinator announces the model with. */
export interface DriverModel {
  readonly manifest: Manifest
  readonly manifestHash: ManifestHash
  /** The file's first bytes, as the manifest's `header` says. */
  readonly header: Uint8Array
}

export interface DriverFailure {
  readonly reason: string
  readonly message: string
  readonly retryAfterMs: number | null
}

export type ToDriver =
  /** The coordinator listens there. */
  | { readonly kind: 'connect'; readonly origin: string; readonly models: readonly DriverModel[] }
  | { readonly kind: 'ask'; readonly id: number; readonly request: DriverRequest }
  | { readonly kind: 'stop'; readonly id: number }
  | { readonly kind: 'count'; readonly id: number; readonly modelId: ModelId; readonly prompt: Prompt }
  /** Stops all answers, signs what is to be signed, and ends the process. */
  | { readonly kind: 'close' }

export type FromDriver =
  /** It was told of another ledger than before. */
  | { readonly kind: 'alarm'; readonly what: string }
  /** First of all: as which peer it will connect. */
  | { readonly kind: 'identity'; readonly peerId: PeerId }
  | { readonly kind: 'event'; readonly id: number; readonly event: DriverEvent }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: DriverAnswer }
  | { readonly kind: 'counted'; readonly id: number; readonly tokens: number }
  | { readonly kind: 'failed'; readonly id: number; readonly failure: DriverFailure }

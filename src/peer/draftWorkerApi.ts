/** What the page may ask of a worker that drafts, through comlink: one small model, whole, and a session of it for each answer. */

import type { Manifest } from '../model/index.ts'
import type { DraftToken, Sampling } from '../session/index.ts'
import type { EngineChoice, EngineInfo } from '../worker/index.ts'
import type { Outcome } from './outcome.ts'
import type { LoadProgress } from './workerApi.ts'

export interface DraftLoadRequest {
  readonly manifest: Manifest
  /** Same-origin URL of the model file. */
  readonly modelUrl: string
  readonly engine: EngineChoice
  /** Of all answers at one time. */
  readonly kvPositions: number
}

export interface LoadedDraftModel {
  readonly engine: EngineInfo['engine']
  readonly adapter: string
  /** Weights, KV cache and scratch. */
  readonly memoryBytes: number
}

export interface DraftOpenRequest {
  readonly maxPositions: number
  readonly sampling: Sampling
  /** See DraftSessionOptions. */
  readonly topK: number
}

/** The page's side, passed as comlink proxies. */
export interface DraftWorkerEvents {
  readonly onProgress: (progress: LoadProgress) => void
  /** The GPU went, and all sessions with it. */
  readonly onLost: (message: string) => void
}

export interface DraftWorkerApi {
  /** Once: opens the engine that was chosen and loads the whole model. The worker is ended to free it. */
  load(request: DraftLoadRequest, events: DraftWorkerEvents): Promise<Outcome<LoadedDraftModel>>
  /** A session for one answer; `no-room` where other answers hold the memory. */
  open(request: DraftOpenRequest): Promise<Outcome<number>>
  /** As DraftSource's, of that session. */
  draft(session: number, ids: readonly number[], count: number): Promise<Outcome<readonly DraftToken[]>>
  close(session: number): Promise<void>
}

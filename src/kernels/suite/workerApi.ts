/** What suite.worker.ts offers the page through comlink. Errors cross as `{reason, message}` in the outcome, never as text. */

import type { ErrorBody, Result } from '../../shared/index.ts'
import type { SuiteAdapter, SuiteCase, SuiteEvent, SuiteProgress } from './types.ts'

export interface SuiteRunRequest {
  readonly cases: readonly SuiteCase[]
  /** Compare with ONNX Runtime; its files are fetched from this site at the first such run. */
  readonly baseline: 'ort' | null
}

export type SuiteMessage = SuiteEvent | { readonly kind: 'progress'; readonly progress: SuiteProgress }

export interface SuiteApi {
  /** Opens the GPU and measures what it reaches at best (about a second); later calls answer the same. */
  adapter(): Promise<Result<SuiteAdapter, ErrorBody>>
  /** Resolves when every case is measured, failed, or the run was cancelled. One run at a time. */
  run(request: SuiteRunRequest, listen: (message: SuiteMessage) => void): Promise<Result<'done' | 'cancelled', ErrorBody>>
  /** Ends the run within about 100 ms (a call to the GPU that is under way is waited for). */
  cancel(): Promise<void>
}

/** What ONNX Runtime's WebGPU build has to download once, in bytes, for the sentence beside the choice. */
export const ORT_DOWNLOAD_BYTES = 27_300_000

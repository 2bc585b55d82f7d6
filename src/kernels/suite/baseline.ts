/** What the suite asks of a library that it compares with. ONNX Runtime's: ortBaseline.ts. */

import type { CaseData } from './caseData.ts'
import type { Sampler } from './sampler.ts'
import type { SuiteCase } from './types.ts'

export interface BaselineSubject extends Sampler {
  /** Library, version and operator. */
  readonly name: string
  readonly accuracyLevel: number | null
  /** First row of outputs of the last sample, [outputs]. */
  firstRow(): Float32Array
  destroy(): Promise<void>
}

/** `reason`: why there is nothing to compare with, as a sentence's end. */
export type PreparedBaseline = { readonly subject: BaselineSubject } | { readonly reason: string }

export interface Baseline {
  /** `calls`: how many one sample will have. Rejects when the library fails; the case goes on without it. */
  prepare(entry: SuiteCase, data: CaseData, calls: number): Promise<PreparedBaseline>
}

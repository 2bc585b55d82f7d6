/** What the parts of a span program share: the request that they are built from, a run as the kernels see it, and steps. */

import type { KernelDevice, KvType, WorkBinding } from '../../kernels/index.ts'
import type { ModelConfig, Span } from '../../model/index.ts'
import type { RowKind } from '../../protocol/index.ts'
import type { LayerKv, Scratch } from './buffers.ts'
import type { Tuning } from './tuning.ts'
import type { WeightPlan } from './weightPlan.ts'
import type { Weights } from './weights.ts'

export interface ProgramRequest {
  readonly kernels: KernelDevice
  readonly config: ModelConfig
  readonly span: Span
  readonly plan: WeightPlan
  readonly weights: Weights
  readonly scratch: Scratch
  readonly kv: readonly LayerKv[]
  readonly kvType: KvType
  readonly kvPositions: number
  readonly tuning: Tuning
  /** Filled while the program is built: variants that are not needed yet, each once or more. */
  readonly laterVariants: (() => Promise<unknown>)[]
}

/** A run as the kernels see it. */
export interface RunExtent {
  readonly kind: RowKind
  readonly span: Span
  readonly rows: number
  readonly positionLast: number
  readonly work: WorkBinding
  /** Each piece's rows are consecutive positions of one slot. */
  readonly pieces: readonly { readonly rows: number; readonly work: WorkBinding }[]
}

/** Some dispatches of one run. */
export type Step = (pass: GPUComputePassEncoder, run: RunExtent) => void

/** A dispatch over all rows of a run, as a step. */
export function rowsStep(dispatch: (pass: GPUComputePassEncoder, extent: { readonly rows: number }, work: WorkBinding) => void): Step {
  return (pass, { rows, work }) => dispatch(pass, { rows }, work)
}

/** A subject: one of our kernels bound to the buffers of one case, ready to be dispatched any number of times. */

import type { MatmulForm, MatvecTuning } from '../index.ts'
import type { ExpectedOutputs } from './caseData.ts'
import type { GpuBuffers } from './gpuBuffers.ts'

export interface Subject {
  /** Adds one call's dispatches. */
  readonly encode: (pass: GPUComputePassEncoder) => void
  readonly output: GPUBuffer
  /** Bytes from one row of outputs to the next. */
  readonly rowStrideBytes: number
  readonly rows: number
  /** Values of one row. */
  readonly outputs: number
  readonly expected: ExpectedOutputs
  /** What the kernel promises. */
  readonly nmseMax: number
  readonly buffers: GpuBuffers
}

/** What the engine chooses for an adapter; handed in, so that the suite times what the engine runs. */
export interface SuiteTuning {
  readonly lanes: number
  readonly matvec: MatvecTuning
  readonly matmul: MatmulForm
}

/** What `bench kernels` asks of the two places that the suite can run in: this process, and a headless tab. */

import type { SuiteAdapter, SuiteCase, SuiteEvent, SuiteProgress } from '../kernels/suite/index.ts'
import type { GpuAdapterName } from '../node/index.ts'

export interface TerminalRun {
  readonly adapter: GpuAdapterName
  readonly compare: boolean
  /** Made when the adapter is known: without f16 there is no f16 attention. */
  readonly casesFor: (adapter: SuiteAdapter) => readonly SuiteCase[]
  readonly listen: (event: SuiteEvent) => void
  readonly onProgress: (progress: SuiteProgress) => void
}

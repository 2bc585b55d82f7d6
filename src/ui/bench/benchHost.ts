/**
 * What the Benchmark page needs from its host, handed in by src/main.tsx: a worker that runs the suite, a clock, files. Each worker
 * serves one run and is ended with it, which gives the GPU back whatever it was doing.
 */

import type { SuiteApi } from '../../kernels/suite/index.ts'

/** The page's end of a SuiteApi: a comlink remote, whose callbacks travel as proxies, or a script in tests. */
export interface SuiteWorker {
  readonly api: SuiteApi
  terminate(): void
}

export interface BenchHost {
  /** Why nothing can run in this browser; null where it can. */
  readonly obstacle: 'no-webgpu' | 'insecure' | null
  readonly kernelVersion: string
  readonly nowMs: () => number
  readonly after: (delayMs: number, callback: () => void) => void
  readonly startSuite: () => SuiteWorker
}

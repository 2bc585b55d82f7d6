/** The engine without a GPU, in Node: the kernels that tabs run. */

import { openSimdHost } from '../../src/node/index.ts'
import { createCpuEngine, createSimdProcessor, type Engine } from '../../src/worker/index.ts'

export async function createTestSimdEngine(threads = 1): Promise<Engine> {
  const processor = createSimdProcessor(await openSimdHost(threads))
  return createCpuEngine({ processor, nowMs: () => performance.now() })
}

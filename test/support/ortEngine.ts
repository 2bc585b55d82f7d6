/** The engine without a GPU, in Node: the same WebAssembly build that tabs load, with one thread. */

import * as runtime from 'onnxruntime-web'
import { createOrtEngine, type Engine } from '../../src/worker/index.ts'

runtime.env.wasm.numThreads = 1

export async function createTestOrtEngine(): Promise<Engine> {
  return createOrtEngine({ runtime, description: '1 thread', nowMs: () => performance.now() })
}

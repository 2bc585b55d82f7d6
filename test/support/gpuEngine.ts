/**
 * The WGSL engine on the adapter that this process was started for (the test runner sets the environment; see
 * scripts/test.mjs). Without an adapter the tests fail; whether they are run at all is the runner's decision.
 */

import { nodeClock, readShader } from '../../src/node/index.ts'
import { createWebGpuEngine, type Engine } from '../../src/worker/index.ts'
import { sharedGpu } from './sharedGpu.ts'

/** All on one device. */
export async function createGpuEngine(kv?: 'f32' | 'f16'): Promise<Engine> {
  const { device, info } = await sharedGpu()
  return createWebGpuEngine({ device, adapterInfo: info, shaders: readShader, clock: nodeClock, ...(kv === undefined ? {} : { kv }) })
}

import { engineSuite } from '../support/engineSuite.ts'
import { createGpuEngine } from '../support/gpuEngine.ts'
import { isShortRun } from '../support/shortRun.ts'

engineSuite('WGSL engine, f32 KV', () => createGpuEngine('f32'))
// Of two adapters lavapipe, whose own type it is, computes with an f16 cache; `npm run test:long` has both do it.
if (!isShortRun) engineSuite('WGSL engine, f16 KV', () => createGpuEngine('f16'))

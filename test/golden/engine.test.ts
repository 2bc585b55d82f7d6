import { engineSuite } from '../support/engineSuite.ts'
import { createGpuEngine } from '../support/gpuEngine.ts'
import { proofs } from '../support/proofs.ts'

engineSuite('WGSL engine, f32 KV', () => createGpuEngine('f32'))
// Of two adapters lavapipe, whose own type it is, computes with an f16 cache; `npm run test:long` has both do it.
if (proofs !== 'half') engineSuite('WGSL engine, f16 KV', () => createGpuEngine('f16'))

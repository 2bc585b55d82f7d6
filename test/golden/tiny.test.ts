import { createGpuEngine } from '../support/gpuEngine.ts'
import { proofs } from '../support/proofs.ts'
import { tinySuite } from '../support/tinySuite.ts'

tinySuite('WGSL engine, f32 KV', () => createGpuEngine('f32'), 1e-8)
// Of two adapters lavapipe, whose own type it is, computes with an f16 cache; `npm run test:long` has both do it.
if (proofs !== 'half') tinySuite('WGSL engine, f16 KV', () => createGpuEngine('f16'), 1e-5)

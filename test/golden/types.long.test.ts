import { createGpuEngine } from '../support/gpuEngine.ts'
import { typesSuite } from '../support/typesSuite.ts'

typesSuite('WGSL engine, f32 KV', () => createGpuEngine('f32'), 1e-8)

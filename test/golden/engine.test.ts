import { engineSuite } from '../support/engineSuite.ts'
import { createGpuEngine } from '../support/gpuEngine.ts'

engineSuite('WGSL engine, f32 KV', () => createGpuEngine('f32'))
engineSuite('WGSL engine, f16 KV', () => createGpuEngine('f16'))

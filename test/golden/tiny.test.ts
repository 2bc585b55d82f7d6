import { createGpuEngine } from '../support/gpuEngine.ts'
import { tinySuite } from '../support/tinySuite.ts'

tinySuite('WGSL engine, f32 KV', () => createGpuEngine('f32'), 1e-8)
tinySuite('WGSL engine, f16 KV', () => createGpuEngine('f16'), 1e-5)

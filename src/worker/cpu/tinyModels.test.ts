import { tinySuite } from '../../../test/support/tinySuite.ts'
import { createCpuEngine } from './cpuEngine.ts'

tinySuite('CPU twin', async () => createCpuEngine({ nowMs: () => performance.now() }), 1e-8)

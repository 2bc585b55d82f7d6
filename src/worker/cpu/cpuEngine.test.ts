import { engineSuite } from '../../../test/support/engineSuite.ts'
import { createCpuEngine } from './cpuEngine.ts'

engineSuite('CPU twin', async () => createCpuEngine({ nowMs: () => performance.now() }))

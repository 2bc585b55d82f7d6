import { createTestSimdEngine } from '../../../test/support/simdEngine.ts'
import { tinySuite } from '../../../test/support/tinySuite.ts'

tinySuite('SIMD engine', () => createTestSimdEngine(2), 1e-8)

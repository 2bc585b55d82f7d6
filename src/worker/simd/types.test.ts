import { createTestSimdEngine } from '../../../test/support/simdEngine.ts'
import { typesSuite } from '../../../test/support/typesSuite.ts'

typesSuite('SIMD engine', createTestSimdEngine, 1e-8)

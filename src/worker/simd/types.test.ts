import { createTestSimdEngine } from '../../../test/support/simdEngine.ts'
import { typesSuite } from '../../../test/support/typesSuite.ts'

// Activations are multiplied in 16 bits: less than f16 rows between two tabs lose.
typesSuite('SIMD engine', createTestSimdEngine, 1e-7)

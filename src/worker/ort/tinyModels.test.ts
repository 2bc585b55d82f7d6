import { createTestOrtEngine } from '../../../test/support/ortEngine.ts'
import { tinySuite } from '../../../test/support/tinySuite.ts'

tinySuite('WASM engine', createTestOrtEngine, 1e-8)

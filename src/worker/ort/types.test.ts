import { createTestOrtEngine } from '../../../test/support/ortEngine.ts'
import { typesSuite } from '../../../test/support/typesSuite.ts'

typesSuite('WASM engine', createTestOrtEngine, 1e-8)

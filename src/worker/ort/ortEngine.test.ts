import { engineSuite } from '../../../test/support/engineSuite.ts'
import { createTestOrtEngine } from '../../../test/support/ortEngine.ts'

engineSuite('WASM engine', createTestOrtEngine)

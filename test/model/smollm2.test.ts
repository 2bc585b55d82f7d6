/** The default model without a GPU, all of it. */

import { goldenSuite } from '../support/goldenSuite.ts'
import { createTestSimdEngine } from '../support/simdEngine.ts'

goldenSuite('without a GPU, f32 rows between 2 spans', {
  createEngine: () => createTestSimdEngine(2),
  rows: 'f32',
  spanCount: 2,
  bound: 0.012,
  marginMin: 0.024,
  takes: () => true,
  stepsMax: Number.POSITIVE_INFINITY,
})

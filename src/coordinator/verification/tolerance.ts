/** The tolerance in use: measured, not chosen. docs/benchmarks/tolerance.md derives it from docs/benchmarks/tolerance.json. */

import type { DistanceTable } from './distanceTable.ts'

/**
 * The largest distance of honest rows. One for all pairs of classes, also those that nobody has measured: between engines of one class rows are equal, and
 * what a pair of its own would gain is noise of less than a hundredth of a row.
 */
export const MEASURED_TOLERANCE: DistanceTable['tolerance'] = { default: 0.012, pairs: [] }

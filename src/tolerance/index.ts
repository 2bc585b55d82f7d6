/** tolerance: recorded sessions replayed by several engines and by cheats, the distances between them, and the tolerance that follows. */

export { compareOutputs, type Places } from './distances.ts'
export { type EngineRows, type MeasureRequest, measureEngine, record, type WholeLoad } from './measureEngine.ts'
export { cutSpans, type RecordedSession, type RecordRequest } from './recording.ts'
export { distanceTable, distanceTableText } from './table.ts'
export { type HonestPair, type Measured, type ToleranceReport, toleranceReport } from './tolerance.ts'

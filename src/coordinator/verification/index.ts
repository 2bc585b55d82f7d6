/** coordinator/verification: receipts compared, work proven, audits drawn and judged. Pure: events in, effects out. */

export { Segment } from './segment.ts'
export { settle } from './settle.ts'
export { Verification } from './verification.ts'

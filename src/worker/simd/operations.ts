/** The operations of the kernels by their numbers in assembly/work.ts; their arguments are told there, beside each. */
export const OPERATIONS = {
  multiplyGroups: 0,
  roundRows: 1,
  multiplyFloats: 2,
  attend: 3,
  rmsNorm: 4,
  gateUp: 5,
  softCap: 6,
  add: 7,
  rotate: 8,
  sumPowers: 9,
} as const

/** Size of the pieces that threads take, in the same order of magnitude for all operations: some microseconds of one core. */
export const CHUNK_WORK = 32 * 1024

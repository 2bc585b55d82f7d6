/** Speed probe of the engine without a GPU: multiply-accumulates a second in decode's matrices, for a volunteer's pledge. */

import { machineBytes, type SimdHost, SimdMachine } from './machine.ts'
import {
  allocateRoundedRows,
  createSimdMatrix,
  MATRIX_ALLOCATIONS,
  type MatrixShape,
  roundedRowsBytes,
  simdMatrixBytes,
} from './matrices.ts'

/** A matrix of 9 MB: what one row reads of it comes from memory or a large cache, as in a model. */
const COLUMNS = 2048
const OUTPUTS = 4096
const MATRIX: MatrixShape = { type: 'Q8_0', shape: [COLUMNS, OUTPUTS] }
/** Of zeros: any bytes are a matrix, and the time does not depend on them. */
const MATRIX_FILE_BYTES = (COLUMNS * OUTPUTS * 34) / 32
/** The first runs touch memory and wake threads. */
const WARM_UP_RUNS = 2
const RUNS = 12

/** Multiply-accumulates a second of one row: the best run, since whatever else the machine does only makes one slower. */
export function measureSimdMacsPerSecond(host: SimdHost, nowMs: () => number): number {
  const rounded = roundedRowsBytes(1, COLUMNS)
  const bytes = simdMatrixBytes(MATRIX) + 4 * (COLUMNS + OUTPUTS) + rounded.reduce((sum, part) => sum + part, 0)
  const machine = new SimdMachine(host, machineBytes(bytes, MATRIX_ALLOCATIONS + rounded.length + 2))
  try {
    const matrix = createSimdMatrix(machine, allocateRoundedRows(machine, 1, COLUMNS), MATRIX, new Uint8Array(MATRIX_FILE_BYTES))
    const [x, y] = [machine.floats(COLUMNS), machine.floats(OUTPUTS)]
    for (let run = 0; run < WARM_UP_RUNS; run++) matrix.multiply(x, 1, y)
    let bestMs = Number.POSITIVE_INFINITY
    for (let run = 0; run < RUNS; run++) {
      const startMs = nowMs()
      matrix.multiply(x, 1, y)
      bestMs = Math.min(bestMs, Math.max(0.01, nowMs() - startMs))
    }
    return (COLUMNS * OUTPUTS * 1000) / bestMs
  } finally {
    machine.release()
  }
}

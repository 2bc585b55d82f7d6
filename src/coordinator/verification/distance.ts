/**
 * How far an auditor's rows are from those that a stage committed to: the worst row's relative L2 distance decides, since a cheat may touch
 * few rows; a quantile beside it tells an outlier from a stage that is wrong everywhere. Equal hashes need none of this.
 */

import type { PositionCandidates } from '../../protocol/index.ts'
import { assert } from '../../shared/index.ts'

export interface RowsDistance {
  /** Relative L2 distance of the worst row; infinite where a value is not finite or a row is missing. */
  readonly worst: number
  /** Its index; −1 of no rows. */
  readonly worstRow: number
  /** The least distance that QUANTILE of the rows do not exceed. */
  readonly quantile: number
}

/** Which quantile is told beside the worst row. */
const QUANTILE = 0.9

/**
 * Of `one` and `other`, [rows, width] each: ‖a − b‖ ÷ max(‖a‖, ‖b‖) a row, 0 of two rows of zeros; at most 2, and the same both ways.
 * Sums are in f64, so that no row overflows.
 */
export function rowsDistance(one: Float32Array, other: Float32Array, width: number): RowsDistance {
  assert(width > 0 && one.length % width === 0, `${one.length} values are no whole rows of ${width}`)
  const distances = Array.from({ length: one.length / width }, (_, row) => rowDistance(one, other, row * width, width))
  // Rows that only the other side has are as wrong as missing ones.
  if (other.length > one.length) distances.push(Number.POSITIVE_INFINITY)
  return summarize(distances)
}

function rowDistance(one: Float32Array, other: Float32Array, at: number, width: number): number {
  let [apart, here, there] = [0, 0, 0]
  for (let column = at; column < at + width; column++) {
    const [a, b] = [one[column] ?? Number.NaN, other[column] ?? Number.NaN]
    apart += (a - b) * (a - b)
    here += a * a
    there += b * b
  }
  return ratio(apart, Math.max(here, there))
}

/**
 * The same of the last stage's rows, candidates: of logarithms of probabilities, over the ids of either side. One that the other side
 * did not name is there as unlikely as the least that it named: it can't be more likely.
 */
export function candidatesDistance(one: readonly PositionCandidates[], other: readonly PositionCandidates[]): RowsDistance {
  const rows = Math.max(one.length, other.length)
  return summarize(Array.from({ length: rows }, (_, row) => positionDistance(one[row], other[row])))
}

function positionDistance(one: PositionCandidates | undefined, other: PositionCandidates | undefined): number {
  if (one === undefined || other === undefined || one.position !== other.position) return Number.POSITIVE_INFINITY
  const [here, there] = [logProbabilities(one), logProbabilities(other)]
  const [hereLeast, thereLeast] = [Math.min(0, ...here.values()), Math.min(0, ...there.values())]
  let [apart, hereSquares, thereSquares] = [0, 0, 0]
  for (const id of new Set([...here.keys(), ...there.keys()])) {
    const [a, b] = [here.get(id) ?? hereLeast, there.get(id) ?? thereLeast]
    apart += (a - b) * (a - b)
    hereSquares += a * a
    thereSquares += b * b
  }
  return ratio(apart, Math.max(hereSquares, thereSquares))
}

function logProbabilities({ ids, logits, logSumExp }: PositionCandidates): Map<number, number> {
  return new Map(Array.from(ids, (id, rank) => [id, (logits[rank] ?? Number.NaN) - logSumExp]))
}

/** The root of a ratio of squares; infinite where one of them is no number. */
function ratio(apart: number, whole: number): number {
  if (!Number.isFinite(apart) || !Number.isFinite(whole)) return Number.POSITIVE_INFINITY
  return whole === 0 ? 0 : Math.sqrt(apart / whole)
}

function summarize(distances: readonly number[]): RowsDistance {
  const sorted = [...distances].sort((a, b) => a - b)
  const worst = sorted.at(-1) ?? 0
  return { worst, worstRow: distances.indexOf(worst), quantile: sorted[Math.ceil(QUANTILE * sorted.length) - 1] ?? 0 }
}

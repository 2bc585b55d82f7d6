/**
 * The arithmetic that stands for a model: a deterministic function of a few lines with a transformer's shape. Each layer adds what
 * all earlier positions had, so a wrong, missing or doubled row, or one of the other kind, changes every token after it. Values are whole numbers below
 * 2,039, exact in f32 and in f16e: any split into spans must give equal tokens.
 */

import type { PositionCandidates, RowKind } from '../protocol/index.ts'

/** Values are below it. */
const MODULUS = 2_039
/** So many different rankings there are. */
const LOGIT_MODULUS = 1_009

/** Values of a row. */
export const ARITHMETIC_WIDTH = 4

/** The row of a token, [ARITHMETIC_WIDTH]. */
export function embed(id: number): number[] {
  const first = id * 17 + 1
  return [first % MODULUS, (first + 5) % MODULUS, (first + 10) % MODULUS, (first + 15) % MODULUS]
}

/** The row of `values` that begins there, [ARITHMETIC_WIDTH]: whole numbers again, since each remainder of floats would be a call. */
export function rowAt(values: Float32Array, at: number): number[] {
  return [(values[at] ?? 0) | 0, (values[at + 1] ?? 0) | 0, (values[at + 2] ?? 0) | 0, (values[at + 3] ?? 0) | 0]
}

/**
 * Passes `row` through a layer, in place; `before` is the layer's sum at the position before. Returns the sum at this one: the KV.
 * Kinds differ more than the numeric paths of a real engine, so that no rounding hides a row that was replayed as the other.
 */
export function passLayer(row: number[], before: number, layer: number, kind: RowKind): number {
  let total = kind === 'prompt' ? 0 : 1
  for (let column = 0; column < row.length; column++) total += row[column] ?? 0
  const sum = (before * 3 + total) % MODULUS
  for (let column = 0; column < row.length; column++) row[column] = ((row[column] ?? 0) * 31 + sum * (column + 1) + layer) % MODULUS
  return sum
}

type Ranking = Omit<PositionCandidates, 'position'>

/** Rankings that were computed already, by size of the vocabulary and by seed. */
const rankings = new Map<number, (Ranking | undefined)[]>()

/** The `topK` best of the vocabulary after the last layer. */
export function candidatesOf(row: readonly number[], position: number, vocabularySize: number, topK: number): PositionCandidates {
  let seed = 0
  for (let column = 0; column < row.length; column++) seed += (row[column] ?? 0) * (column + 1)
  seed %= LOGIT_MODULUS
  const known = rankings.get(vocabularySize) ?? []
  if (known.length === 0) rankings.set(vocabularySize, known)
  const ranking = known[seed] ?? rankAll(seed, vocabularySize)
  known[seed] = ranking
  const { logSumExp, ids, logits } = ranking
  return topK === vocabularySize
    ? { position, logSumExp, ids, logits }
    : { position, logSumExp, ids: ids.subarray(0, topK), logits: logits.subarray(0, topK) }
}

function rankAll(seed: number, vocabularySize: number): Ranking {
  const ids = new Uint32Array(vocabularySize)
  const logits = new Float32Array(vocabularySize)
  let total = 0
  for (let id = 0; id < vocabularySize; id++) {
    const logit = Math.fround(((seed * (id + 1) * 7_919) % LOGIT_MODULUS) / 100)
    total += Math.exp(logit)
    // Sorted as they come: best first, ties to the lowest id.
    let rank = id
    for (; rank > 0 && (logits[rank - 1] ?? 0) < logit; rank--) {
      logits[rank] = logits[rank - 1] ?? 0
      ids[rank] = ids[rank - 1] ?? 0
    }
    logits[rank] = logit
    ids[rank] = id
  }
  return { logSumExp: Math.log(total), ids, logits }
}

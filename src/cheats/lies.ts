/** Lies: rows that are sent in the place of those that were computed. Each knows one session's rows so far, and those of the session before. */

import { decodeRows, encodeRows } from '../protocol/index.ts'
import type { Candidates, Segment } from '../worker/engine.ts'
import { disguised, passedOn, type SentRow } from './sentRows.ts'

export interface Moment {
  readonly segment: Segment
  /** Of the row in its segment's input. */
  readonly index: number
  readonly position: number
  /** What was computed for it. */
  readonly honest: SentRow
  /** What was computed for the row before it in this session; null: nothing, or it was not asked for. */
  readonly before: SentRow | null
  /** What was computed in a session that has ended, by position. */
  readonly earlier: readonly SentRow[]
  /** Of a row of activations. */
  readonly width: number
}

/** What is sent for one row. */
export type Lie = (moment: Moment) => SentRow

/** A row's values each moved by a normal deviation of `share` × the root mean square of them all: so far away is the row, about. */
export function noise(share: number, random: () => number): Lie {
  return ({ honest, width }) => {
    if (honest.kind === 'candidates') return { kind: 'candidates', candidates: noisyCandidates(honest.candidates, share, random) }
    const values = decodeRows(honest.encoding, honest.bytes, width)
    const deviation = share * rootMeanSquare(values)
    const moved = values.map((value) => value + deviation * normal(random))
    return { ...honest, bytes: encodeRows(honest.encoding, moved, width) }
  }
}

/** The same of logarithms of probabilities, best first again and none above 1: a driver looks at that, and takes another stage. */
function noisyCandidates({ position, logSumExp, ids, logits }: Candidates, share: number, random: () => number): Candidates {
  const deviation = share * rootMeanSquare(logits.map((logit) => logit - logSumExp))
  const ranked = Array.from(ids, (id, rank) => ({ id, logit: Math.fround((logits[rank] ?? 0) + deviation * normal(random)) }))
  ranked.sort((a, b) => b.logit - a.logit || a.id - b.id)
  return {
    position,
    logSumExp: Math.max(logSumExp, ranked[0]?.logit ?? logSumExp),
    ids: Uint32Array.from(ranked, ({ id }) => id),
    logits: Float32Array.from(ranked, ({ logit }) => logit),
  }
}

/** An earlier session's row of the same position, or of another one where that was shorter. The first session is honest. */
export const otherSession: Lie = ({ earlier, position, honest, width }) => {
  const row = earlier[position % Math.max(1, earlier.length)]
  return row === undefined ? honest : (disguised(row, position, honest, width) ?? honest)
}

/** Every second row is the one before it once more. */
export const repeatRow: Lie = ({ before, position, honest, width }) =>
  position % 2 === 0 || before === null ? honest : (disguised(before, position, honest, width) ?? honest)

/** Every n-th row goes on as it came in, or is the one before it once more where token ids came in or candidates go out. */
export function lazy(every: number): Lie {
  return ({ segment, index, width, before, position, honest }) => {
    if (position % every !== every - 1) return honest
    const repeated = before === null ? null : disguised(before, position, honest, width)
    return passedOn(segment, index, width) ?? repeated ?? honest
  }
}

function rootMeanSquare(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length)
}

/** Box and Muller 1958. */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}

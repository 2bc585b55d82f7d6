/**
 * LapLedger: the rows of a session, which of them are under way, and whether results are what they must be. The last stage is a
 * stranger: its positions, counts, ids and numbers are checked here before anyone samples from them.
 */

import {
  decodeCandidates,
  NAMED_TOKENS_MAX,
  type PositionCandidates,
  type ResultsFrame,
  ROWS_MAX,
  type RowKind,
} from '../protocol/index.ts'
import { assert, err, ok, type Result, required } from '../shared/index.ts'
import type { Lap, LapResults } from './chain.ts'

/** logSumExp ≥ the best logit, in exact arithmetic; f32 sums over 10⁵ logits may miss it by this much (relative and absolute). */
const LOG_SUM_EXP_SLACK = 1e-3

interface Row {
  readonly id: number
  readonly kind: RowKind
  readonly wanted: boolean
  /** Tokens that it names. */
  readonly named: readonly number[]
}

export class LapLedger {
  readonly #vocabularySize: number
  readonly #topK: number
  /** Positions up to which each stage has reported its laps over the present chain, */
  #heard: number[]
  /** and which it had when that was opened. */
  #had: number[]
  /** Index = position: what a lost first stage is given again. */
  readonly #rows: Row[] = []
  #submittedMax = 0
  /** Results that have come may come once more from here on. */
  #repeatsFrom = Number.POSITIVE_INFINITY
  #answered = 0
  #epoch = 0

  constructor(options: { readonly vocabularySize: number; readonly topK: number; readonly stageCount: number }) {
    this.#vocabularySize = options.vocabularySize
    this.#topK = options.topK
    this.#heard = new Array<number>(options.stageCount).fill(0)
    this.#had = [...this.#heard]
  }

  get epoch(): number {
    return this.#epoch
  }

  /** Positions that have been submitted. */
  get submitted(): number {
    return this.#rows.length
  }

  /** The most that there ever were, before some were taken back. */
  get submittedMax(): number {
    return this.#submittedMax
  }

  /** Positions that have come back. */
  get answered(): number {
    return this.#answered
  }

  /** Rows that have been sent and not come back. */
  get outstanding(): number {
    return this.#rows.length - this.#answered
  }

  /** Of a position that was submitted. */
  kindAt(position: number): RowKind {
    return required(this.#rows[position], `the row of position ${position}`).kind
  }

  submit(lap: Lap): void {
    assert(lap.firstPosition === this.#rows.length, `lap at position ${lap.firstPosition}; ${this.#rows.length} were submitted`)
    assert(lap.ids.length > 0 && lap.resultCount <= lap.ids.length, `${lap.resultCount} results of ${lap.ids.length} rows`)
    const firstWanted = lap.ids.length - lap.resultCount
    const { named = [] } = lap
    const each = named.length / Math.max(1, lap.resultCount)
    assert(Number.isInteger(each) && each <= NAMED_TOKENS_MAX, `${named.length} named tokens of ${lap.resultCount} results`)
    for (const [index, id] of lap.ids.entries()) {
      const result = index - firstWanted
      this.#rows.push({
        id,
        kind: lap.kind,
        wanted: result >= 0,
        named: result < 0 ? [] : [...named.slice(result * each, (result + 1) * each)],
      })
    }
    this.#submittedMax = Math.max(this.#submittedMax, this.#rows.length)
  }

  /** The submitted rows from a position on that one frame can hold: alike, at most `rowsMax`, the wanted ones last. */
  lapFrom(firstPosition: number, rowsMax: number): Lap {
    const first = this.#rows[firstPosition]
    assert(first !== undefined && rowsMax > 0, `rows from ${firstPosition} of ${this.#rows.length}`)
    const ids: number[] = []
    const names: (readonly number[])[] = []
    for (const { id, kind, wanted, named } of this.#rows.slice(firstPosition, firstPosition + Math.min(rowsMax, ROWS_MAX))) {
      const before = names.at(-1)
      if (kind !== first.kind || (before !== undefined && (!wanted || before.length !== named.length))) break
      ids.push(id)
      if (wanted) names.push(named)
    }
    const named = names.flat()
    const lap = { firstPosition, ids: Uint32Array.from(ids), kind: first.kind, resultCount: names.length }
    return named.length === 0 ? lap : { ...lap, named: Uint32Array.from(named) }
  }

  /** Another chain of so many stages: what the stages have said of their laps says nothing of it. */
  restart(stageCount: number): void {
    this.#heard = new Array<number>(stageCount).fill(0)
    this.#had = [...this.#heard]
  }

  /** Forgets positions ≥ `length`, which must have been answered; returns the new epoch. */
  truncate(length: number): number {
    assert(length >= 0 && length <= this.#answered, `truncate to ${length}; ${this.#answered} positions were answered`)
    this.#rows.length = length
    this.#answered = length
    this.#heard = this.#heard.map((heard) => Math.min(heard, length))
    this.#had = this.#had.map((had) => Math.min(had, length))
    this.#epoch++
    return this.#epoch
  }

  /**
   * Positions were taken back while a chain was being opened: a stage that was told of it by its `open`, which says the least length only, goes
   * back to `length`, and so results of what the driver has already come again.
   */
  expectRepeats(length: number): void {
    this.#repeatsFrom = Math.min(this.#repeatsFrom, length)
  }

  /**
   * A stage says that it has computed positions < `endPosition`; in an older epoch other rows may have had them. Returns whether it has got on:
   * who only says the same again has not.
   */
  heard(stageIndex: number, epoch: number, endPosition: number): boolean {
    if (epoch !== this.#epoch) return false
    const before = this.#heard[stageIndex] ?? 0
    this.#heard[stageIndex] = Math.min(Math.max(before, endPosition), this.#rows.length)
    return (this.#heard[stageIndex] ?? 0) > before
  }

  /** Positions that a stage kept of an earlier chain. */
  kept(stageIndex: number): number {
    return this.#had[stageIndex] ?? 0
  }

  /** Positions that a stage has computed of the present rows: those that it kept, and those that it has reported. */
  computed(stageIndex: number): number {
    return Math.max(this.#heard[stageIndex] ?? 0, this.kept(stageIndex))
  }

  /** A stage keeps positions < `nextPosition` of an earlier chain: it computes none of them again. */
  opened(stageIndex: number, nextPosition: number): void {
    this.#had[stageIndex] = nextPosition
  }

  /**
   * The first stage that has not reported all rows under way; the last one if all have, the first if there are none: it has no room for more. `isFetching`: the last
   * stage owes logits of a row that came back.
   */
  slowestStage(isFetching = false): number {
    if (this.outstanding === 0 && !isFetching) return 0
    const index = this.#heard.findIndex((_, stage) => this.computed(stage) < this.#rows.length)
    return index < 0 ? this.#heard.length - 1 : index
  }

  /** The results, null for those of an older epoch and for repeated ones, or the rule that the frame breaks. */
  accept(received: ResultsFrame): Result<LapResults | null, string> {
    if (received.epoch < this.#epoch) return ok(null)
    if (received.epoch > this.#epoch) return err(`results of epoch ${received.epoch}; the session is in epoch ${this.#epoch}`)
    const repeated = received.firstPosition >= this.#repeatsFrom ? Math.max(0, this.#answered - received.firstPosition) : 0
    if (repeated >= received.rowCount) return ok(null)
    const frame = withoutFirst(received, repeated)
    const endPosition = frame.firstPosition + frame.rowCount
    if (frame.firstPosition !== this.#answered || endPosition > this.#rows.length || frame.rowCount === 0) {
      const got = `results of positions ${frame.firstPosition}–${endPosition - 1}`
      return err(`${got}; expected from ${this.#answered}, below ${this.#rows.length}`)
    }
    for (let position = frame.firstPosition; position < endPosition; position++) {
      const wanted = this.#rows[position]?.wanted === true
      if (wanted !== position >= endPosition - frame.resultCount)
        return err(`candidates of position ${position} are ${wanted ? 'missing' : 'there unasked'}`)
    }
    const expectedTopK = Math.min(this.#topK, this.#vocabularySize)
    if (frame.resultCount > 0 && frame.topK !== expectedTopK)
      return err(`${frame.topK} candidates a position; the grant says ${expectedTopK}`)
    const decoded = decodeCandidates(frame, this.#vocabularySize)
    if (!decoded.ok) return decoded
    for (const candidates of decoded.value) {
      const { position, logSumExp, logits } = candidates
      if (!this.#namesAsAsked(candidates)) return err(`position ${position}: other tokens' logits than were asked for`)
      const best = logits[0] ?? 0
      if (logSumExp < best - LOG_SUM_EXP_SLACK * (1 + Math.abs(best))) {
        return err(`position ${position}: logSumExp ${logSumExp} is below the best logit ${best}`)
      }
    }
    this.#answered = endPosition
    this.#repeatsFrom = Number.POSITIVE_INFINITY
    this.heard(this.#heard.length - 1, frame.epoch, endPosition)
    return ok({ firstPosition: frame.firstPosition, rowCount: frame.rowCount, candidates: decoded.value })
  }

  #namesAsAsked({ position, named }: PositionCandidates): boolean {
    const asked = this.#rows[position]?.named ?? []
    return asked.length === (named?.ids.length ?? 0) && asked.every((id, index) => id === named?.ids[index])
  }
}

function withoutFirst(frame: ResultsFrame, rowCount: number): ResultsFrame {
  if (rowCount === 0) return frame
  const resultCount = Math.min(frame.resultCount, frame.rowCount - rowCount)
  const dropped = frame.resultCount - resultCount
  const behind = (bytes: Uint8Array) => (dropped === 0 ? bytes : bytes.subarray((dropped * bytes.byteLength) / frame.resultCount))
  const left = { firstPosition: frame.firstPosition + rowCount, rowCount: frame.rowCount - rowCount, resultCount }
  return { ...frame, ...left, payload: behind(frame.payload), ...(frame.named !== undefined && { named: behind(frame.named) }) }
}

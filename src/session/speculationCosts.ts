/**
 * LapCosts: how long a lap of so many rows takes on this chain, from the laps there were. Links that are far away make rows
 * nearly free, a processor that computes row by row makes each as dear as a lap. Medians, because a lap now and then waits
 * for somebody else's work.
 */

/** Laps of one row that are remembered, few, since a chain is now busy and now not; and how many before anything is said. */
const ONE_ROW_LAPS = 5
const ONE_ROW_LAPS_MIN = 3

/** Laps of several rows that are remembered, and for how many laps they tell what the next will take: others come and go. */
const MORE_ROWS_LAPS = 64
const FRESH_LAPS = 32

/** What one more row costs, in laps of one row, before it was measured; it counts as much as three rows that were. */
const PRIOR = { value: 0.35, weight: 3 }

export class LapCosts {
  /** Milliseconds of the last laps of one row. */
  readonly #oneRow: number[] = []
  /** What each row beyond the first cost in a lap, in laps of one row; as many rows as they were, as much they count. */
  readonly #more: { readonly lap: number; readonly value: number; readonly weight: number }[] = []
  #laps = 0
  #oneRowMs: number | null = null
  #rowLaps = PRIOR.value
  /** Samples that `#rowLaps` is the median of, beside the prior. */
  #freshCount = 0
  #paidRowLaps = PRIOR.value

  /** What a lap of one row takes, milliseconds, above 0; null before enough of them were seen. */
  get oneRowMs(): number | null {
    return this.#oneRowMs
  }

  /** How many laps of one row a lap of `rowCount` rows takes; at least 1. */
  lapsOf(rowCount: number): number {
    return 1 + (rowCount - 1) * this.#rowLaps
  }

  /** What each row beyond a lap's first has cost so far, in laps of one row. */
  get paidRowLaps(): number {
    return this.#paidRowLaps
  }

  /** What each row beyond a lap's first may cost: the dearest that rows were, as what they take now may be long unmeasured. */
  get rowLapsMost(): number {
    return Math.max(this.#rowLaps, this.#paidRowLaps)
  }

  observe(rowCount: number, lapMs: number): void {
    this.#laps++
    if (rowCount === 1) this.#observeOneRow(lapMs)
    else if (this.#oneRowMs !== null) this.#observeRows(rowCount - 1, lapMs / this.#oneRowMs - 1)
    if (this.#more.length === 0) return
    const fresh = this.#more.filter(({ lap }) => this.#laps - lap < FRESH_LAPS)
    // A lap of one row adds none: as many are the same.
    if (rowCount > 1 || fresh.length !== this.#freshCount) this.#rowLaps = weightedMedian([...fresh, PRIOR])
    this.#freshCount = fresh.length
  }

  #observeRows(rows: number, laps: number): void {
    // Rows cost no more than laps of their own would; what took longer was another's doing.
    this.#more.push({ lap: this.#laps, value: Math.min(1, Math.max(0, laps) / rows), weight: rows })
    if (this.#more.length > MORE_ROWS_LAPS) this.#more.shift()
    this.#paidRowLaps = weightedMedian([...this.#more, PRIOR])
  }

  #observeOneRow(lapMs: number): void {
    this.#oneRow.push(lapMs)
    if (this.#oneRow.length > ONE_ROW_LAPS) this.#oneRow.shift()
    if (this.#oneRow.length < ONE_ROW_LAPS_MIN) return
    const sorted = [...this.#oneRow].sort((a, b) => a - b)
    const medianMs = sorted[Math.ceil(sorted.length / 2) - 1] ?? 0
    // A clock that stands still, or is too coarse, measures nothing.
    this.#oneRowMs = medianMs > 0 ? medianMs : null
  }
}

/** The least value that half of the weight is not above. */
function weightedMedian(samples: readonly { readonly value: number; readonly weight: number }[]): number {
  const sorted = [...samples].sort((a, b) => a.value - b.value)
  let left = sorted.reduce((sum, { weight }) => sum + weight, 0) / 2
  for (const { value, weight } of sorted) {
    left -= weight
    if (left <= 0) return value
  }
  return 0
}

/** Arithmetic on counts of rows by kind. */

import { type RowCounts, rowTotal } from '../../protocol/index.ts'

export const NO_ROWS: RowCounts = { prompt: 0, decode: 0, results: 0 }

export function rowsOf({ prompt, decode, results }: RowCounts): RowCounts {
  return { prompt, decode, results }
}

export function combine(one: RowCounts, other: RowCounts, join: (a: number, b: number) => number): RowCounts {
  return {
    prompt: join(one.prompt, other.prompt),
    decode: join(one.decode, other.decode),
    results: join(one.results, other.results),
  }
}

export function addRows(one: RowCounts, other: RowCounts): RowCounts {
  return combine(one, other, (a, b) => a + b)
}

/** What is left of each kind, at least none. */
export function takeRows(from: RowCounts, rows: RowCounts): RowCounts {
  return combine(from, rows, (a, b) => Math.max(0, a - b))
}

export function leastRows(one: RowCounts, other: RowCounts): RowCounts {
  return combine(one, other, Math.min)
}

/** The most of each kind that any of them says; none of none. */
export function mostRows(all: readonly RowCounts[]): RowCounts {
  return all.reduce((most, rows) => combine(most, rows, Math.max), NO_ROWS)
}

export function hasMore(one: RowCounts, other: RowCounts): boolean {
  return one.prompt > other.prompt || one.decode > other.decode || one.results > other.results
}

/** `rows` within `cap` and `extra` rows of either kind beside; what is too much is taken from decode rows. */
export function capRows(rows: RowCounts, cap: RowCounts, extra = 0): RowCounts {
  const prompt = Math.min(rows.prompt, cap.prompt + extra)
  const decode = Math.min(rows.decode, cap.decode + extra, Math.max(0, rowTotal(cap) + extra - prompt))
  return { prompt, decode, results: Math.min(rows.results, cap.results + extra, prompt + decode) }
}

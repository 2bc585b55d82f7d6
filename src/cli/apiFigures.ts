/** apiFigures: what many streamed answers came to: their times and speeds by percentile, and their errors by code. Pure. */

/** One request as its client saw it. */
export type ApiSample =
  /** Of the first text, from the request on; of the tokens after it. */
  | { readonly kind: 'answered'; readonly firstMs: number; readonly tokens: number; readonly tokensPerSecond: number }
  | { readonly kind: 'failed'; readonly code: string }

export interface Percentiles {
  readonly p50: number
  readonly p90: number
  readonly p99: number
}

export interface ApiFigures {
  readonly requests: number
  readonly answered: number
  readonly tokens: number
  /** Null: nothing was answered. */
  readonly firstTextMs: Percentiles | null
  /** Of each stream. */
  readonly tokensPerSecond: Percentiles | null
  /** Of all streams together. */
  readonly tokensPerSecondInAll: number
  readonly errors: Readonly<Record<string, number>>
}

export function apiFigures(samples: readonly ApiSample[], durationMs: number): ApiFigures {
  const answered = samples.flatMap((sample) => (sample.kind === 'answered' ? [sample] : []))
  const tokens = answered.reduce((sum, sample) => sum + sample.tokens, 0)
  const errors: Record<string, number> = {}
  for (const sample of samples) if (sample.kind === 'failed') errors[sample.code] = (errors[sample.code] ?? 0) + 1
  return {
    requests: samples.length,
    answered: answered.length,
    tokens,
    firstTextMs: percentilesOf(answered.map(({ firstMs }) => firstMs)),
    // Slowest last, as with times: nine of ten streams are at least as fast as p90 says.
    tokensPerSecond: percentilesOf(
      answered.map(({ tokensPerSecond }) => tokensPerSecond),
      'falling',
    ),
    tokensPerSecondInAll: rounded((tokens * 1_000) / durationMs),
    errors,
  }
}

/** By nearest rank. Null: there are no values. */
export function percentilesOf(values: readonly number[], order: 'rising' | 'falling' = 'rising'): Percentiles | null {
  const sorted = [...values].sort((one, other) => (order === 'rising' ? one - other : other - one))
  const at = (part: number) => sorted[Math.ceil(part * sorted.length) - 1]
  const [p50, p90, p99] = [at(0.5), at(0.9), at(0.99)]
  return p50 === undefined || p90 === undefined || p99 === undefined ? null : { p50: rounded(p50), p90: rounded(p90), p99: rounded(p99) }
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10
}

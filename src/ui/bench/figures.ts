/** Measured numbers as people read them: three digits, a unit that fits, never more precision than was measured. */

/** `0.0421` ms → `42.1 µs`. */
export function formatTime(ms: number): string {
  if (ms < 1) return `${digits(1000 * ms)} µs`
  return ms < 1000 ? `${digits(ms)} ms` : `${digits(ms / 1000)} s`
}

export function formatBandwidth(gbPerSecond: number): string {
  return gbPerSecond >= 1000 ? `${digits(gbPerSecond / 1000)} TB/s` : `${digits(gbPerSecond)} GB/s`
}

/** Two operations for each multiply-add. */
export function formatRate(gflops: number): string {
  return gflops >= 1000 ? `${digits(gflops / 1000)} TFLOP/s` : `${digits(gflops)} GFLOP/s`
}

/** `0.623` → `62 %`; small shares keep a digit. */
export function formatShare(share: number): string {
  const percent = 100 * share
  return `${percent >= 9.95 ? Math.round(percent) : percent.toFixed(1)} %`
}

/** How many times as fast as the other: `2.13 ×`. */
export function formatRatio(ratio: number): string {
  return `${digits(ratio)} ×`
}

/** `1.2e-7`; an exact result is `0`. */
export function formatError(nmse: number): string {
  return nmse === 0 ? '0' : nmse.toExponential(1)
}

/** Half the distance between the quartiles, relative to the median: `± 3 %`. */
export function formatSpread(median: number, lower: number, upper: number): string {
  return `± ${formatShare((upper - lower) / (2 * median))}`
}

export function formatTokensPerSecond(tokensPerSecond: number): string {
  return `${digits(tokensPerSecond)} tokens/s`
}

/** Three significant digits, below one two; an exponent only for what is next to nothing. */
function digits(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en-US')
  return value >= 10
    ? value.toFixed(1)
    : value >= 1
      ? value.toFixed(2)
      : value >= 0.0001 || value === 0
        ? value.toPrecision(2)
        : value.toExponential(1)
}

/** The functions of one number that the CPU twin computes, in f64. */

export function silu(x: number): number {
  return x / (1 + Math.exp(-x))
}

/** The tanh form, which the Gemma models are trained with. */
export function gelu(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))
}

export function softCap(x: number, cap: number): number {
  return cap * Math.tanh(x / cap)
}

/** Σ e^(x − greatest) over the first `count` values. */
export function sumPowers(x: Float32Array, greatest: number, count: number): number {
  let sum = 0
  for (let i = 0; i < count; i++) sum += Math.exp((x[i] ?? 0) - greatest)
  return sum
}

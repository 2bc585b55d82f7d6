/** The small functions of the CPU twin: f64 inside, f32 where they are stored. */

/** y = x / sqrt(mean(x²) + ε) · weight for `count` vectors of the weight's length; y may be x. */
export function rmsNorm(x: Float32Array, weight: Float32Array, count: number, epsilon: number, y: Float32Array): void {
  const width = weight.length
  for (let row = 0; row < count; row++) {
    let squares = 0
    for (let i = 0; i < width; i++) squares += (x[row * width + i] ?? 0) ** 2
    const scale = 1 / Math.sqrt(squares / width + epsilon)
    for (let i = 0; i < width; i++) y[row * width + i] = (x[row * width + i] ?? 0) * scale * (weight[i] ?? 0)
  }
}

export function add(x: Float32Array, delta: Float32Array, count: number): void {
  for (let i = 0; i < count; i++) x[i] = (x[i] ?? 0) + (delta[i] ?? 0)
}

/** Adds `bias` to each of `count` rows of x. */
export function addBias(x: Float32Array, bias: Float32Array, count: number): void {
  for (let row = 0; row < count; row++)
    for (let i = 0; i < bias.length; i++) x[row * bias.length + i] = (x[row * bias.length + i] ?? 0) + (bias[i] ?? 0)
}

/** gate = activation(gate) · up. */
export function gateUp(activation: 'silu' | 'gelu', gate: Float32Array, up: Float32Array, count: number): void {
  const activate = activation === 'silu' ? silu : gelu
  for (let i = 0; i < count; i++) gate[i] = activate(gate[i] ?? 0) * (up[i] ?? 0)
}

function silu(x: number): number {
  return x / (1 + Math.exp(-x))
}

/** The tanh form, which the Gemma models are trained with. */
function gelu(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))
}

/** cap · tanh(x / cap); null: x. */
export function softCap(x: number, cap: number | null): number {
  return cap === null ? x : cap * Math.tanh(x / cap)
}

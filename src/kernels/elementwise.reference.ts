/** The truth of rmsNorm, gatedActivation and softCap, in f64. */

/** x: [rows, width]. */
export function rmsNormReference(x: ArrayLike<number>, weight: ArrayLike<number>, epsilon: number): Float64Array {
  const width = weight.length
  const y = new Float64Array(x.length)
  for (let row = 0; row < x.length / width; row++) {
    let squares = 0
    for (let column = 0; column < width; column++) squares += (x[row * width + column] ?? 0) ** 2
    const scale = 1 / Math.sqrt(squares / width + epsilon)
    for (let column = 0; column < width; column++) y[row * width + column] = (x[row * width + column] ?? 0) * scale * (weight[column] ?? 0)
  }
  return y
}

/** gateUp: [rows, gate | up], each `width` wide. GELU in its tanh form. */
export function gatedActivationReference(gateUp: ArrayLike<number>, width: number, activation: 'silu' | 'gelu'): Float64Array {
  return Float64Array.from({ length: gateUp.length / 2 }, (_, index) => {
    const at = Math.floor(index / width) * 2 * width + (index % width)
    const gate = gateUp[at] ?? 0
    const up = gateUp[at + width] ?? 0
    if (activation === 'silu') return (gate / (1 + Math.exp(-gate))) * up
    return 0.5 * gate * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (gate + 0.044715 * gate ** 3))) * up
  })
}

export function softCapReference(values: ArrayLike<number>, cap: number): Float64Array {
  return Float64Array.from(values, (value) => cap * Math.tanh(value / cap))
}

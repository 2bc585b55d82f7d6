/** The truth of matvec and matmul: plain sums in f64. */

/** y[m, n] = Σ_k w[n, k] · x[m, k]; w: [outputs, columns], x: [rows, columns]. */
export function matmulReference(w: ArrayLike<number>, x: ArrayLike<number>, columns: number, outputs: number): Float64Array {
  const rows = x.length / columns
  const y = new Float64Array(rows * outputs)
  for (let row = 0; row < rows; row++) {
    for (let output = 0; output < outputs; output++) {
      let sum = 0
      for (let k = 0; k < columns; k++) sum += (w[output * columns + k] ?? 0) * (x[row * columns + k] ?? 0)
      y[row * outputs + output] = sum
    }
  }
  return y
}

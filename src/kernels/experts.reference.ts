/** The truth of the experts' kernels, in f64. */

export interface Route {
  readonly expert: number
  readonly weight: number
}

/** The softmax over all experts, its `used` best (ties to the lower expert), made to sum to 1. */
export function routeReference(logits: ArrayLike<number>, used: number): Route[] {
  const order = Array.from({ length: logits.length }, (_, expert) => expert)
  order.sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b)
  const best = logits[order[0] ?? 0] ?? 0
  const all = order.map((expert) => ({ expert, weight: Math.exp((logits[expert] ?? 0) - best) }))
  const chosen = all.slice(0, used)
  const total = chosen.reduce((sum, { weight }) => sum + weight, 0)
  return chosen.map(({ expert, weight }) => ({ expert, weight: weight / total }))
}

/** W[expert]·x; `weights`: [experts, outputs, x.length]. */
export function expertReference(weights: ArrayLike<number>, expert: number, outputs: number, x: ArrayLike<number>): Float64Array {
  return Float64Array.from({ length: outputs }, (_, output) => {
    let sum = 0
    for (let k = 0; k < x.length; k++) sum += (weights[(expert * outputs + output) * x.length + k] ?? 0) * (x[k] ?? 0)
    return sum
  })
}

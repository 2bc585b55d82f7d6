/** The feed-forward of a layer: dense, or a mixture of experts. */

import type { ModelConfig } from '../../model/index.ts'
import { required } from '../../shared/index.ts'
import type { Arithmetic } from './processor.ts'
import type { CpuScratch } from './scratch.ts'
import type { Experts, GatedMatrices } from './weights.ts'

/** What both forms compute with. */
export interface FeedForwardPorts {
  readonly config: ModelConfig
  readonly arithmetic: Arithmetic
  readonly activation: 'silu' | 'gelu'
  readonly scratch: CpuScratch
}

/** delta = down·(activation(gate·x) · up·x) for `count` rows of the scratch's `normed`. */
export function runDense({ config, arithmetic, activation, scratch: s }: FeedForwardPorts, dense: GatedMatrices, count: number): void {
  dense.gate.multiply(s.normed, count, s.gate)
  dense.up.multiply(s.normed, count, s.up)
  arithmetic.gateUp(activation, s.gate, s.up, count * config.feedForwardWidth)
  dense.down.multiply(s.gate, count, s.delta)
}

/** delta = the sum of the chosen experts' outputs, each times its share: row by row, best expert first. */
export function runExperts({ config, arithmetic, activation, scratch: s }: FeedForwardPorts, experts: Experts, count: number): void {
  const { width, feedForwardWidth } = config
  const all = experts.each.length
  experts.router.multiply(s.normed, count, s.router)
  for (let row = 0; row < count; row++) {
    const x = s.normed.subarray(row * width, (row + 1) * width)
    const sums = new Float64Array(width)
    for (const { expert, share } of chooseExperts(s.router.subarray(row * all, (row + 1) * all), config.experts?.used ?? 0)) {
      const { gate, up, down } = required(experts.each[expert], `expert ${expert}`)
      gate.multiply(x, 1, s.gate)
      up.multiply(x, 1, s.up)
      arithmetic.gateUp(activation, s.gate, s.up, feedForwardWidth)
      down.multiply(s.gate, 1, s.expert)
      for (let i = 0; i < width; i++) sums[i] = (sums[i] ?? 0) + share * (s.expert[i] ?? 0)
    }
    s.delta.set(sums, row * width)
  }
}

/**
 * The `used` best of the router's softmax, equal scores by the lower index, with their probabilities scaled to a sum of 1: the
 * others' cancel out. Scores of NaN choose nothing that is finite: the output is refused after the pass.
 */
export function chooseExperts(scores: Float32Array, used: number): { readonly expert: number; readonly share: number }[] {
  const best = [...scores.keys()].sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b).slice(0, used)
  const maximum = scores[best[0] ?? 0] ?? 0
  const powers = best.map((expert) => Math.exp((scores[expert] ?? 0) - maximum))
  const total = powers.reduce((sum, power) => sum + power, 0)
  return best.map((expert, rank) => ({ expert, share: (powers[rank] ?? 0) / total }))
}

/** The feed-forward of a mixture of experts: each row goes through the experts that its router likes best, weighted and summed in their order. */

import type { ModelConfig } from '../../model/index.ts'
import { required } from '../../shared/index.ts'
import type { GraphInput } from './runtime.ts'
import type { SpanLayer } from './spanModel.ts'

interface Choice {
  readonly row: number
  readonly expert: number
  readonly share: number
}

/** The residual after the layer [rows, width], from the inputs of its `leave`. */
export async function mixExperts(
  config: ModelConfig,
  layer: Pick<SpanLayer, 'leave' | 'experts'>,
  inputs: Readonly<Record<string, GraphInput>>,
): Promise<Float32Array> {
  const { width } = config
  const { residual, normed, router } = await layer.leave.run(inputs, ['residual', 'normed', 'router'])
  const choices = chooseExperts(config, router)
  // In the order of the experts' numbers: a row's sum does not depend on the rows beside it.
  for (const [expert, graph] of layer.experts.entries()) {
    const chosen = choices.filter((choice) => choice.expert === expert)
    if (chosen.length === 0) continue
    const rows = new Float32Array(chosen.length * width)
    chosen.forEach(({ row }, index) => {
      rows.set(normed.subarray(row * width, (row + 1) * width), index * width)
    })
    const { y } = await graph.run({ normed: { data: rows, dims: [chosen.length, width] } }, ['y'])
    chosen.forEach(({ row, share }, index) => {
      for (let i = 0; i < width; i++) residual[row * width + i] = (residual[row * width + i] ?? 0) + share * (y[index * width + i] ?? 0)
    })
  }
  return residual
}

/** For each row the `used` experts with the greatest router logits (ties to the lower number); their shares sum to 1. */
function chooseExperts(config: ModelConfig, router: Float32Array): Choice[] {
  const { count, used } = required(config.experts, 'experts')
  const choices: Choice[] = []
  for (let row = 0; row * count < router.length; row++) {
    const logits = router.subarray(row * count, (row + 1) * count)
    const best = [...logits.keys()].sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b).slice(0, used)
    const maximum = logits[best[0] ?? 0] ?? 0
    const powers = best.map((expert) => Math.exp((logits[expert] ?? 0) - maximum))
    const total = powers.reduce((sum, power) => sum + power, 0)
    best.forEach((expert, index) => {
      choices.push({ row, expert, share: (powers[index] ?? 0) / total })
    })
  }
  return choices
}

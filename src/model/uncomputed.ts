/** What metadata may ask for and no engine here computes: refused by name, since a wrong answer would be worse than none. */

import { architectureTraits } from './architecture.ts'
import type { Metadata } from './gguf/metadata.ts'
import { unsupported } from './tensors.ts'
import type { Architecture, ModelConfig } from './types.ts'

/** Keys whose presence changes the computation, and the values with which they change nothing. */
const neutralValues: readonly (readonly [name: string, neutral: readonly (number | string | boolean)[], feature: string])[] = [
  ['expert_shared_count', [0], 'shared experts'],
  ['expert_shared_feed_forward_length', [0], 'shared experts'],
  ['leading_dense_block_count', [0], 'dense layers before its experts'],
  ['expert_weights_scale', [0, 1], 'scaled experts'],
  ['expert_weights_norm', [true], 'experts whose weights are not normalized'],
  // GGUF's numbers: 1 is the softmax.
  ['expert_gating_func', [0, 1], 'another gate of its experts than softmax'],
  ['expert_group_count', [0, 1], 'groups of experts'],
  ['expert_group_used_count', [0, 1], 'groups of experts'],
  ['router_logit_softcapping', [0], 'capped scores of its experts'],
  ['nextn_predict_layers', [0], 'layers that predict several tokens'],
  ['attention.clamp_kqv', [0], 'clamped queries, keys and values'],
  ['attention.max_alibi_bias', [0], 'ALiBi'],
  ['attention.temperature_scale', [0], 'an attention temperature'],
  ['attention.output_scale', [0, 1], 'scaled attention'],
  ['attention.value_scale', [0, 1], 'scaled values'],
  ['attention.shared_kv_layers', [0], 'layers that share keys and values'],
  ['attention.rope_pattern', [], 'layers without RoPE'],
  ['attention.causal', [true], 'attention that is not causal'],
  ['logit_scale', [0, 1], 'scaled logits'],
  ['residual_scale', [0, 1], 'a scaled residual'],
  ['embedding_scale', [0, 1], 'scaled embeddings'],
  ['use_parallel_residual', [false], 'a parallel residual'],
  ['num_loops', [0, 1], 'layers that are run several times'],
]

const expertKeys: typeof neutralValues = [
  ['expert_count', [0], 'experts'],
  ['expert_used_count', [0], 'experts'],
]

/** Throws `unsupported` for metadata that asks for what no engine here computes. */
export function refuseUncomputed(metadata: Metadata, architecture: Architecture): void {
  const { experts } = architectureTraits(architecture)
  for (const [name, neutral, feature] of [...neutralValues, ...(experts ? [] : expertKeys)]) {
    const value = metadata.get(`${architecture}.${name}`)
    if (value === undefined || (typeof value !== 'object' && typeof value !== 'bigint' && neutral.includes(value))) continue
    throw unsupported(
      `uses ${feature} (${architecture}.${name} = ${typeof value === 'object' ? 'an array' : String(value)}), which is not computed here`,
    )
  }
}

/** Layers within a window may have heads of their own size, but not here. */
export function refuseOtherWindowSizes(metadata: Metadata, { architecture, headSize, ropeDimensions }: ModelConfig): void {
  for (const [name, size] of [
    ['attention.key_length_swa', headSize],
    ['attention.value_length_swa', headSize],
    ['rope.dimension_count_swa', ropeDimensions],
  ] as const) {
    const own = metadata.number(`${architecture}.${name}`)
    if (own !== undefined && own !== size)
      throw unsupported(`has other sizes within its window (${architecture}.${name} = ${own}, else ${size})`)
  }
}

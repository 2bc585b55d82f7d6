/**
 * ModelConfig from a file's metadata. What this program does not compute is refused by its name: a wrong answer would be
 * worse than none.
 */

import { ModelError } from './errors.ts'
import type { Metadata } from './gguf/metadata.ts'
import type { GgufFile } from './gguf/readGguf.ts'
import { checkTensors, EMBEDDING, HEAD, unsupported } from './tensors.ts'
import type { ModelConfig, TensorInfo } from './types.ts'

export const architectures: readonly ModelConfig['architecture'][] = ['llama']

/** Bounds of a configuration: some times the largest known model's, so that sizes multiply without overflow. */
export const configLimits = {
  layers: 1_000,
  width: 65_536,
  heads: 1_024,
  headSize: 1_024,
  feedForwardWidth: 1_048_576,
  vocabulary: 4_194_304,
  context: 16_777_216,
} as const

/** A file that can be run: its configuration and its tensors, checked against each other. Throws a ModelError. */
export function readModel(file: GgufFile): { readonly config: ModelConfig; readonly tensors: readonly TensorInfo[] } {
  const config = readConfig(file)
  return { config, tensors: checkTensors(config, file.tensors) }
}

/** The configuration alone, from metadata and the embedding's shape. Throws a ModelError. */
function readConfig(file: GgufFile): ModelConfig {
  const { metadata } = file
  const architecture = readArchitecture(metadata)
  const key = (name: string) => `${architecture}.${name}`
  const whole = (name: string, max: number) => required(metadata.integer(key(name), 1, max), key(name))

  const layerCount = whole('block_count', configLimits.layers)
  const width = whole('embedding_length', configLimits.width)
  const headCount = readHeadCount(metadata, key('attention.head_count')) ?? missing(key('attention.head_count'))
  const kvHeadCount = readHeadCount(metadata, key('attention.head_count_kv')) ?? headCount
  const headSize = metadata.integer(key('attention.key_length'), 1, configLimits.headSize) ?? width / headCount
  const valueSize = metadata.integer(key('attention.value_length'), 1, configLimits.headSize) ?? headSize
  const ropeDimensions = metadata.integer(key('rope.dimension_count'), 1, configLimits.headSize) ?? headSize
  const embedding = file.tensors.find((tensor) => tensor.name === EMBEDDING)
  if (embedding === undefined) throw new ModelError('unsupported', 'this file has no weights (a vocabulary only); give the model itself')
  const vocabularySize = embedding.shape[1] ?? 0

  refuseUncomputed(metadata, architecture)
  const config: ModelConfig = {
    architecture,
    layerCount,
    width,
    headCount,
    kvHeadCount,
    headSize,
    feedForwardWidth: whole('feed_forward_length', configLimits.feedForwardWidth),
    vocabularySize,
    contextLength: whole('context_length', configLimits.context),
    rmsEpsilon: required(metadata.number(key('attention.layer_norm_rms_epsilon')), key('attention.layer_norm_rms_epsilon')),
    ropeBase: metadata.number(key('rope.freq_base')) ?? 10_000,
    ropeDimensions,
    tiedHead: !file.tensors.some((tensor) => tensor.name === HEAD),
  }
  if (valueSize !== headSize) throw unsupported(`has keys of ${headSize} and values of ${valueSize} elements a head; they must be equal`)
  checkConfig(config)
  return config
}

/** Throws a ModelError unless the sizes fit each other; for metadata and for strangers' manifests. */
export function checkConfig(config: ModelConfig): void {
  const fail = (what: string) => new ModelError('malformed', `the model's configuration is impossible: ${what}; get the file again`)
  const { headCount, kvHeadCount, headSize, ropeDimensions } = config
  if (!Number.isInteger(headSize)) throw fail(`width ${config.width} is not a multiple of ${headCount} heads`)
  if (headSize > configLimits.headSize) throw fail(`${headSize} elements a head`)
  if (headCount % kvHeadCount !== 0) throw fail(`${headCount} heads are not a multiple of ${kvHeadCount} key-value heads`)
  if (ropeDimensions % 2 !== 0 || ropeDimensions > headSize) throw fail(`${ropeDimensions} rotated dimensions of ${headSize} a head`)
  if (config.vocabularySize < 1 || config.vocabularySize > configLimits.vocabulary) throw fail(`a vocabulary of ${config.vocabularySize}`)
  if (!(config.rmsEpsilon > 0 && config.rmsEpsilon < 1)) throw fail(`an RMS epsilon of ${config.rmsEpsilon}`)
  if (!(config.ropeBase > 1 && config.ropeBase < 1e12)) throw fail(`a RoPE base of ${config.ropeBase}`)
}

function readArchitecture(metadata: Metadata): ModelConfig['architecture'] {
  const name = required(metadata.string('general.architecture'), 'general.architecture')
  const known = architectures.find((architecture) => architecture === name)
  if (known !== undefined) return known
  throw unsupported(`is of the architecture ${JSON.stringify(name.slice(0, 80))}; supported: ${architectures.join(', ')}`)
}

function readHeadCount(metadata: Metadata, key: string): number | undefined {
  const value = metadata.get(key)
  if (typeof value === 'object') throw unsupported(`gives each layer its own number of heads (${key})`)
  return metadata.integer(key, 1, configLimits.heads)
}

/** Keys whose presence changes the computation, and the values with which they change nothing. */
const neutralValues: readonly (readonly [name: string, neutral: readonly (number | string | boolean)[], feature: string])[] = [
  ['expert_count', [0], 'experts'],
  ['expert_used_count', [0], 'experts'],
  ['rope.scaling.type', ['none', ''], 'scaled RoPE other than by rope_freqs'],
  ['rope.scaling.factor', [0, 1], 'scaled RoPE other than by rope_freqs'],
  ['rope.scale_linear', [0, 1], 'linearly scaled RoPE'],
  ['rope.scaling.attn_factor', [0, 1], 'a RoPE attention factor'],
  ['attention.sliding_window', [0], 'sliding-window attention'],
  ['attention.scale', [0], 'its own attention scale'],
  ['attention.clamp_kqv', [0], 'clamped queries, keys and values'],
  ['attention.causal', [true], 'attention that is not causal'],
  ['attn_logit_softcapping', [0], 'soft-capped attention'],
  ['final_logit_softcapping', [0], 'soft-capped logits'],
  ['logit_scale', [0, 1], 'scaled logits'],
  ['residual_scale', [0, 1], 'a scaled residual'],
  ['embedding_scale', [0, 1], 'scaled embeddings'],
  ['use_parallel_residual', [false], 'a parallel residual'],
]

function refuseUncomputed(metadata: Metadata, architecture: string): void {
  for (const [name, neutral, feature] of neutralValues) {
    const value = metadata.get(`${architecture}.${name}`)
    if (value === undefined || (typeof value !== 'object' && typeof value !== 'bigint' && neutral.includes(value))) continue
    throw unsupported(
      `uses ${feature} (${architecture}.${name} = ${typeof value === 'object' ? 'an array' : String(value)}), which is not computed here`,
    )
  }
}

function required<T>(value: T | undefined, key: string): T {
  return value === undefined ? missing(key) : value
}

function missing(key: string): never {
  throw new ModelError('malformed', `the file's metadata has no ${key}; get a complete file`)
}

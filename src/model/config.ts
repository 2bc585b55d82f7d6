/**
 * ModelConfig from a file's metadata. What this program does not compute is refused by its name: a wrong answer would be
 * worse than none.
 */

import { architectures, architectureTraits, layerTraits } from './architecture.ts'
import { ModelError } from './errors.ts'
import type { Metadata } from './gguf/metadata.ts'
import { quote } from './gguf/parseHeader.ts'
import type { GgufFile } from './gguf/readGguf.ts'
import { checkTensors, EMBEDDING, HEAD, ROPE_SHORT, unsupported } from './tensors.ts'
import type { Architecture, ModelConfig, TensorInfo } from './types.ts'
import { refuseOtherWindowSizes, refuseUncomputed } from './uncomputed.ts'

/** Bounds of a configuration: some times the largest known model's, so that sizes multiply without overflow. */
export const configLimits = {
  layers: 1_000,
  width: 65_536,
  heads: 1_024,
  /** A head's vectors lie in 16 KiB of workgroup memory; no known model has larger ones. */
  headSize: 256,
  feedForwardWidth: 1_048_576,
  experts: 1_024,
  vocabulary: 4_194_304,
  context: 16_777_216,
} as const

/** Caches are read 16 bytes at a time, which are eight elements in f16. */
const HEAD_SIZE_STEP = 8

/** A file that can be run: its configuration and its tensors, checked against each other. Throws a ModelError. */
export function readModel(file: GgufFile): { readonly config: ModelConfig; readonly tensors: readonly TensorInfo[] } {
  const config = readConfig(file)
  return { config, tensors: checkTensors(config, file.tensors) }
}

/** The configuration alone, from metadata, the embedding's shape and which tensors there are. Throws a ModelError. */
function readConfig(file: GgufFile): ModelConfig {
  const { metadata } = file
  refuseSplit(metadata)
  const architecture = readArchitecture(metadata)
  const key = (name: string) => `${architecture}.${name}`
  const whole = (name: string, max: number) => required(metadata.integer(key(name), 1, max), key(name))
  refuseUncomputed(metadata, architecture)

  const layerCount = whole('block_count', configLimits.layers)
  const width = whole('embedding_length', configLimits.width)
  const headCount = readHeadCount(metadata, key('attention.head_count')) ?? missing(key('attention.head_count'))
  const headSize = metadata.integer(key('attention.key_length'), 1, configLimits.width) ?? width / headCount
  const valueSize = metadata.integer(key('attention.value_length'), 1, configLimits.width) ?? headSize
  const embedding = file.tensors.find((tensor) => tensor.name === EMBEDDING)
  if (embedding === undefined) throw new ModelError('unsupported', 'this file has no weights (a vocabulary only); give the model itself')
  const contextLength = readContextLength(file, key)
  const { defaults } = architectureTraits(architecture)
  const config: ModelConfig = {
    architecture,
    layerCount,
    width,
    headCount,
    kvHeadCount: readHeadCount(metadata, key('attention.head_count_kv')) ?? headCount,
    headSize,
    ...readFeedForward(metadata, architecture),
    vocabularySize: embedding.shape[1] ?? 0,
    contextLength,
    rmsEpsilon: required(metadata.number(key('attention.layer_norm_rms_epsilon')), key('attention.layer_norm_rms_epsilon')),
    ...readRope(metadata, architecture, headSize),
    slidingWindow: readWindow(metadata, architecture, contextLength),
    attentionScale: metadata.number(key('attention.scale')) || attentionScale({ architecture, layerCount, width, headCount, headSize }),
    attentionSoftCap: (metadata.number(key('attn_logit_softcapping')) ?? defaults.attentionSoftCap) || null,
    logitSoftCap: (metadata.number(key('final_logit_softcapping')) ?? defaults.logitSoftCap) || null,
    tiedHead: !file.tensors.some((tensor) => tensor.name === HEAD),
  }
  refuseOtherWindowSizes(metadata, config)
  if (valueSize !== headSize) throw unsupported(`has keys of ${headSize} and values of ${valueSize} elements a head; they must be equal`)
  checkConfig(config)
  checkWindowPattern(metadata, config)
  return config
}

/** LongRoPE models are offered up to their original context: one set of divisors for all positions, whatever comes after them. */
function readContextLength({ metadata, tensors }: GgufFile, key: (name: string) => string): number {
  const trained = required(metadata.integer(key('context_length'), 1, configLimits.context), key('context_length'))
  if (!tensors.some((tensor) => tensor.name === ROPE_SHORT)) return trained
  const original = key('rope.scaling.original_context_length')
  return Math.min(trained, required(metadata.integer(original, 1, configLimits.context), original))
}

type FeedForwardConfig = Pick<ModelConfig, 'feedForwardWidth' | 'experts'>

/** The width of one expert is, where no key gives it, the dense width's share. */
function readFeedForward(metadata: Metadata, architecture: Architecture): FeedForwardConfig {
  const key = (name: string) => `${architecture}.${name}`
  const whole = (name: string, max: number) => metadata.integer(key(name), 1, max)
  const dense = () => required(whole('feed_forward_length', configLimits.feedForwardWidth), key('feed_forward_length'))
  if (!architectureTraits(architecture).experts) return { feedForwardWidth: dense(), experts: null }
  const count = required(whole('expert_count', configLimits.experts), key('expert_count'))
  const used = required(whole('expert_used_count', configLimits.experts), key('expert_used_count'))
  const feedForwardWidth = whole('expert_feed_forward_length', configLimits.feedForwardWidth) ?? Math.floor(dense() / used)
  return { feedForwardWidth, experts: { count, used } }
}

/** 0 is none, and a window as long as the context hides nothing. */
function readWindow(metadata: Metadata, architecture: Architecture, contextLength: number): number | null {
  const key = `${architecture}.attention.sliding_window`
  const window = metadata.integer(key, 0, configLimits.context) ?? architectureTraits(architecture).defaults.slidingWindow
  return window === null || window === 0 || window >= contextLength ? null : window
}

type RopeConfig = Pick<ModelConfig, 'ropeBase' | 'ropeDimensions' | 'ropePositionScale' | 'ropeMagnitude' | 'windowRopeBase'>

/** As llama.cpp: a factor without a type is linear, one of the type "none" is not used. */
function readRope(metadata: Metadata, architecture: Architecture, headSize: number): RopeConfig {
  const key = (name: string) => `${architecture}.rope.${name}`
  const scaling = metadata.string(key('scaling.type')) || 'linear'
  if (!['none', 'linear', 'longrope'].includes(scaling))
    throw unsupported(`scales RoPE by ${quote(scaling)}; known are linear, longrope and rope_freqs`)
  const factor = metadata.number(key('scaling.factor')) || metadata.number(key('scale_linear')) || 1
  const { windowRopeBase } = architectureTraits(architecture)
  return {
    ropeBase: metadata.number(key('freq_base')) ?? 10_000,
    ropeDimensions: metadata.integer(key('dimension_count'), 1, configLimits.headSize) ?? headSize,
    ropePositionScale: scaling === 'linear' ? 1 / factor : 1,
    ropeMagnitude: metadata.number(key('scaling.attn_factor')) || 1,
    windowRopeBase: windowRopeBase === null ? null : (metadata.number(key('freq_base_swa')) ?? windowRopeBase),
  }
}

/** 1 / √headSize; the 27-billion models of Gemma 2 and 3, known by their layers, divide by √(width / heads), which no key says. */
function attentionScale(config: Pick<ModelConfig, 'architecture' | 'layerCount' | 'width' | 'headCount' | 'headSize'>): number {
  const { architecture, layerCount, width, headCount, headSize } = config
  const large = (architecture === 'gemma2' && layerCount === 46) || (architecture === 'gemma3' && layerCount === 62)
  return 1 / Math.sqrt(large ? width / headCount : headSize)
}

/** Newer converters say which layers have the window: every n-th has not, or one boolean a layer. */
function checkWindowPattern(metadata: Metadata, config: ModelConfig): void {
  const key = `${config.architecture}.attention.sliding_window_pattern`
  const value = metadata.get(key)
  if (value === undefined || config.slidingWindow === null) return
  const told = (layer: number): boolean => {
    if (typeof value === 'object') return Boolean(value.values[layer])
    return typeof value === 'number' && (value === 0 || layer % value < value - 1)
  }
  const lengthFits = typeof value !== 'object' || value.values.length === config.layerCount
  const layers = Array.from({ length: config.layerCount }, (_, layer) => layer)
  if (lengthFits && layers.every((layer) => told(layer) === (layerTraits(config, layer).window !== null))) return
  throw unsupported(`has a pattern of sliding windows (${key}) that is not the one of ${config.architecture}`)
}

/** Throws a ModelError unless the sizes fit each other; for metadata and for strangers' manifests. */
export function checkConfig(config: ModelConfig): void {
  const fail = (what: string) => new ModelError('malformed', `the model's configuration is impossible: ${what}; get the file again`)
  const { headCount, kvHeadCount, headSize, ropeDimensions } = config
  if (!Number.isInteger(headSize)) throw fail(`width ${config.width} is not a multiple of ${headCount} heads`)
  if (headSize > configLimits.headSize || headSize % HEAD_SIZE_STEP !== 0)
    throw unsupported(`has heads of ${headSize} elements; computed are multiples of ${HEAD_SIZE_STEP} up to ${configLimits.headSize}`)
  if (headCount % kvHeadCount !== 0) throw fail(`${headCount} heads are not a multiple of ${kvHeadCount} key-value heads`)
  if (ropeDimensions % 2 !== 0 || ropeDimensions > headSize) throw fail(`${ropeDimensions} rotated dimensions of ${headSize} a head`)
  if (config.vocabularySize < 1 || config.vocabularySize > configLimits.vocabulary) throw fail(`a vocabulary of ${config.vocabularySize}`)
  if (!(config.rmsEpsilon > 0 && config.rmsEpsilon < 1)) throw fail(`an RMS epsilon of ${config.rmsEpsilon}`)
  for (const base of [config.ropeBase, config.windowRopeBase ?? config.ropeBase])
    if (!(base > 1 && base < 1e12)) throw fail(`a RoPE base of ${base}`)
  for (const factor of [config.ropePositionScale, config.ropeMagnitude, config.attentionScale])
    if (!(factor > 0 && factor < 1e6)) throw fail(`a factor of ${factor}`)
  for (const cap of [config.attentionSoftCap, config.logitSoftCap])
    if (cap !== null && !(cap > 0 && cap < 1e6)) throw fail(`a soft cap of ${cap}`)
  const { experts } = config
  const traits = architectureTraits(config.architecture)
  if ((config.windowRopeBase !== null) !== (traits.windowRopeBase !== null))
    throw fail(`a window's RoPE base in a ${config.architecture} model`)
  if ((experts !== null) !== traits.experts) throw fail(`experts in a ${config.architecture} model`)
  if (experts !== null && experts.used > experts.count) throw fail(`${experts.used} used of ${experts.count} experts`)
}

/** Large models come in several files, of which each holds some of the tensors. */
function refuseSplit(metadata: Metadata): void {
  const parts = metadata.number('split.count') ?? 1
  if (parts <= 1) return
  throw new ModelError(
    'unsupported',
    `this file is one part of ${parts} of a model; join the parts into one file (llama-gguf-split --merge) and give that`,
  )
}

function readArchitecture(metadata: Metadata): Architecture {
  const name = required(metadata.string('general.architecture'), 'general.architecture')
  const known = architectures.find((architecture) => architecture === name)
  if (known !== undefined) return known
  throw unsupported(`is of the architecture ${quote(name)}; supported: ${architectures.join(', ')}`)
}

function readHeadCount(metadata: Metadata, key: string): number | undefined {
  const value = metadata.get(key)
  if (typeof value === 'object') throw unsupported(`gives each layer its own number of heads (${key})`)
  return metadata.integer(key, 1, configLimits.heads)
}

function required<T>(value: T | undefined, key: string): T {
  return value === undefined ? missing(key) : value
}

function missing(key: string): never {
  throw new ModelError('malformed', `the file's metadata has no ${key}; get a complete file`)
}

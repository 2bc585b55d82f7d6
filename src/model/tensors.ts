/**
 * Which tensors the architecture needs and what shape each has: the one list behind the check of a file, the check of a
 * stranger's manifest, and the choice of a span's parts.
 */

import { architectureTraits, attentionWidths } from './architecture.ts'
import { ModelError } from './errors.ts'
import { isTensorType, tensorTypes } from './quants.ts'
import type { ModelConfig, TensorInfo } from './types.ts'

export const EMBEDDING = 'token_embd.weight'
export const OUTPUT_NORM = 'output_norm.weight'
export const HEAD = 'output.weight'
/** LongRoPE's divisors for contexts up to the original length, and those for longer ones, which are not offered and left out. */
export const ROPE_SHORT = 'rope_factors_short.weight'
const ROPE_LONG = 'rope_factors_long.weight'
/** Divisors of the frequency of each rotated pair: Llama 3's scaling, or LongRoPE's. A file has one of them or none. */
export const ROPE_DIVISORS: readonly string[] = ['rope_freqs.weight', ROPE_SHORT]

type Shapes = Record<string, readonly number[]>

/** What the tensors of one layer are called behind `blk.N.`, and their shapes (contiguous axis first). */
function layerShapes(config: ModelConfig): Shapes {
  const { postNorms } = architectureTraits(config.architecture)
  return {
    'attn_norm.weight': [config.width],
    ...attentionShapes(config),
    'ffn_norm.weight': [config.width],
    ...feedForwardShapes(config),
    ...(postNorms && { 'post_attention_norm.weight': [config.width], 'post_ffw_norm.weight': [config.width] }),
  }
}

function attentionShapes(config: ModelConfig): Shapes {
  const { width, headSize } = config
  const { query, kv } = attentionWidths(config)
  const { fusedQkv, qkvBias, headNorms } = architectureTraits(config.architecture)
  const projections: Shapes = fusedQkv
    ? { 'attn_qkv.weight': [width, query + 2 * kv] }
    : { 'attn_q.weight': [width, query], 'attn_k.weight': [width, kv], 'attn_v.weight': [width, kv] }
  return {
    ...projections,
    ...(qkvBias && { 'attn_q.bias': [query], 'attn_k.bias': [kv], 'attn_v.bias': [kv] }),
    ...(headNorms && { 'attn_q_norm.weight': [headSize], 'attn_k_norm.weight': [headSize] }),
    'attn_output.weight': [query, width],
  }
}

function feedForwardShapes(config: ModelConfig): Shapes {
  const { width, feedForwardWidth, experts } = config
  if (experts !== null) {
    return {
      'ffn_gate_inp.weight': [width, experts.count],
      'ffn_gate_exps.weight': [width, feedForwardWidth, experts.count],
      'ffn_up_exps.weight': [width, feedForwardWidth, experts.count],
      'ffn_down_exps.weight': [feedForwardWidth, width, experts.count],
    }
  }
  const gateUp: Shapes = architectureTraits(config.architecture).fusedGateUp
    ? { 'ffn_up.weight': [width, 2 * feedForwardWidth] }
    : { 'ffn_gate.weight': [width, feedForwardWidth], 'ffn_up.weight': [width, feedForwardWidth] }
  return { ...gateUp, 'ffn_down.weight': [feedForwardWidth, width] }
}

/** The names and shapes of the tensors of layer `layer`. */
export function layerTensors(config: ModelConfig, layer: number): Map<string, readonly number[]> {
  return new Map(Object.entries(layerShapes(config)).map(([name, shape]) => [`blk.${layer}.${name}`, shape]))
}

/** Every tensor that a runnable file must hold; divisors of RoPE may come on top. */
function neededTensors(config: ModelConfig): Map<string, readonly number[]> {
  const needed = new Map<string, readonly number[]>([
    [EMBEDDING, [config.width, config.vocabularySize]],
    [OUTPUT_NORM, [config.width]],
  ])
  if (!config.tiedHead) needed.set(HEAD, [config.width, config.vocabularySize])
  for (let layer = 0; layer < config.layerCount; layer++) for (const [name, shape] of layerTensors(config, layer)) needed.set(name, shape)
  return needed
}

/**
 * The tensors as the engine may take them: every needed one there, in its shape, of a type that is computed with, and none
 * that would be left out of the computation. Throws a ModelError.
 */
export function checkTensors<T extends { readonly name: string; readonly type: string; readonly shape: readonly number[] }>(
  config: ModelConfig,
  tensors: readonly T[],
): (T & Pick<TensorInfo, 'type'>)[] {
  const needed = neededTensors(config)
  const allowed = new Map(needed)
  for (const name of [...ROPE_DIVISORS, ROPE_LONG]) allowed.set(name, [config.ropeDimensions / 2])
  const checked = tensors.map((tensor) => {
    const shape = allowed.get(tensor.name)
    if (shape === undefined)
      throw unsupported(`has the tensor ${JSON.stringify(tensor.name)}, which is not part of a plain ${config.architecture} model`)
    if (shape.length !== tensor.shape.length || shape.some((size, axis) => size !== tensor.shape[axis]))
      throw new ModelError(
        'malformed',
        `the tensor ${tensor.name} has the shape [${tensor.shape.join(', ')}], but its metadata asks for [${shape.join(', ')}]; get the file again`,
      )
    needed.delete(tensor.name)
    return narrowType(tensor)
  })
  checkDivisors(tensors.map(({ name }) => name))
  const [missing] = needed.keys()
  if (missing !== undefined)
    throw new ModelError('malformed', `the model has no tensor ${missing} (and ${needed.size - 1} others); get a complete file`)
  return checked
}

/** Two sets of divisors would contradict each other; long ones alone leave the first positions without. */
function checkDivisors(names: readonly string[]): void {
  const present = ROPE_DIVISORS.filter((name) => names.includes(name))
  const fine = present.length <= 1 && (!names.includes(ROPE_LONG) || present[0] === ROPE_SHORT)
  if (!fine) throw unsupported(`has no single set of RoPE divisors (${[...present, ROPE_LONG].join(', ')})`)
}

function narrowType<T extends { readonly name: string; readonly type: string }>(tensor: T): T & Pick<TensorInfo, 'type'> {
  const { type } = tensor
  if (!isTensorType(type))
    throw unsupported(`has ${tensor.name} in ${type}; supported types are ${tensorTypes.join(', ')}: choose a file in one of them`)
  return { ...tensor, type }
}

export function unsupported(what: string): ModelError {
  return new ModelError('unsupported', `this model cannot be run: it ${what}`)
}

/**
 * Which tensors the architecture needs and what shape each has: the one list behind the check of a file, the check of a
 * stranger's manifest, and the choice of a span's parts.
 */

import { ModelError } from './errors.ts'
import { isTensorType, tensorTypes } from './quants.ts'
import type { ModelConfig, TensorInfo } from './types.ts'

export const EMBEDDING = 'token_embd.weight'
export const OUTPUT_NORM = 'output_norm.weight'
export const HEAD = 'output.weight'
/** Llama 3's scaling: one divisor for the frequency of each rotated pair. */
export const ROPE_FREQS = 'rope_freqs.weight'

/** What the tensors of one layer are called behind `blk.N.`, and their shapes (contiguous axis first). */
function layerShapes(config: ModelConfig): Record<string, readonly number[]> {
  const { width, feedForwardWidth } = config
  const queryWidth = config.headCount * config.headSize
  const kvWidth = config.kvHeadCount * config.headSize
  return {
    'attn_norm.weight': [width],
    'attn_q.weight': [width, queryWidth],
    'attn_k.weight': [width, kvWidth],
    'attn_v.weight': [width, kvWidth],
    'attn_output.weight': [queryWidth, width],
    'ffn_norm.weight': [width],
    'ffn_gate.weight': [width, feedForwardWidth],
    'ffn_up.weight': [width, feedForwardWidth],
    'ffn_down.weight': [feedForwardWidth, width],
  }
}

/** The names and shapes of the tensors of layer `layer`. */
export function layerTensors(config: ModelConfig, layer: number): Map<string, readonly number[]> {
  return new Map(Object.entries(layerShapes(config)).map(([name, shape]) => [`blk.${layer}.${name}`, shape]))
}

/** Every tensor that a runnable file must hold; `rope_freqs.weight` may come on top. */
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
  const allowed = new Map(needed).set(ROPE_FREQS, [config.ropeDimensions / 2])
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
  const [missing] = needed.keys()
  if (missing !== undefined)
    throw new ModelError('malformed', `the model has no tensor ${missing} (and ${needed.size - 1} others); get a complete file`)
  return checked
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

/**
 * candidates: the k best logits of a row and the logsumexp over the vocabulary, so that a pass reads back a few hundred numbers
 * instead of the vocabulary. Truth: candidates.reference.ts. Shader: shaders/candidates.wgsl.
 */

import { defineKernel } from './kernel.ts'

/** protocol's TOP_K_MAX. */
export const TOP_K_LIMIT = 256

export interface CandidatesShape {
  readonly vocabulary: number
  /** Elements of a row of logits. */
  readonly stride: number
}

export const candidates = defineKernel<void, CandidatesShape, void>({
  name: 'candidates',
  bindings: ['read', 'write', 'write', 'uniform'],
  usesWork: true,
  nmseMax: 1e-12,
  defines: () => ({}),
  uniform: ({ vocabulary, stride }) => Uint32Array.of(vocabulary, stride, 0, 0),
  grid: () => [1, 1, 1],
})

/** Words that one row's candidates take in the output, and its `named` tokens' logits. */
export function candidatesWords(topK: number, named = 0): number {
  return 1 + 2 * topK + named
}

/** Logits of the named tokens, in their order, in one row's output. */
export function readNamed(words: Uint32Array, topK: number): Float32Array {
  return new Float32Array(words.buffer, words.byteOffset, words.length).slice(candidatesWords(topK))
}

/** One row's output of `candidates`, sorted: best first, equal logits by id. */
export function readCandidates(words: Uint32Array, topK: number): { logSumExp: number; ids: Uint32Array; logits: Float32Array } {
  const floats = new Float32Array(words.buffer, words.byteOffset, words.length)
  const order = Array.from({ length: topK }, (_, index) => index)
  const id = (index: number) => words[1 + index] ?? 0
  const logit = (index: number) => floats[1 + topK + index] ?? 0
  order.sort((a, b) => logit(b) - logit(a) || id(a) - id(b))
  return { logSumExp: floats[0] ?? 0, ids: Uint32Array.from(order, id), logits: Float32Array.from(order, logit) }
}

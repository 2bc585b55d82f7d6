/** The default model and what transformers (PyTorch, f32) computed with its weights: test/data/reference. */

import { readFile } from 'node:fs/promises'
import { createTensorLoader } from '../../src/model/index.ts'
import { nodeSha256, resolveModel } from '../../src/node/index.ts'
import type { TestModel } from './tinyModels.ts'

export interface ReferenceStep {
  readonly id: number
  /** Between the two best logits. */
  readonly margin: number
  readonly logSumExp: number
  /** Ten of [id, logit], best first. */
  readonly top: readonly (readonly [id: number, logit: number])[]
}

export interface ReferenceCase {
  readonly name: string
  readonly promptTokenIds: readonly number[]
  /** Of each next prompt token. */
  readonly promptLogprobs: readonly number[]
  readonly completionTokenIds: readonly number[]
  readonly steps: readonly ReferenceStep[]
}

export async function readReferenceCases(): Promise<readonly ReferenceCase[]> {
  const file = new URL('../data/reference/smollm2-135m-instruct.json', import.meta.url)
  const { cases }: { cases: ReferenceCase[] } = JSON.parse(await readFile(file, 'utf8'))
  return cases
}

/** Pulls the model when it is not there. */
export async function openDefaultModel(): Promise<TestModel> {
  const { hashedManifest, source } = await resolveModel('default')
  return { manifest: hashedManifest.manifest, loadTensor: createTensorLoader({ source, sha256: nodeSha256 }) }
}

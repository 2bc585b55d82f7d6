/** Models as numbers, without their bytes. */

import {
  blockBytes,
  blockSize,
  layerTensors,
  type Manifest,
  type ManifestTensor,
  type ModelConfig,
  type TensorType,
} from '../model/index.ts'
import type { ModelId } from '../shared/index.ts'

type Sizes = 'layerCount' | 'width' | 'headCount' | 'kvHeadCount' | 'headSize' | 'feedForwardWidth' | 'vocabularySize' | 'contextLength'

/** A ModelConfig from its sizes: what a test does not speak of is as in a plain llama. */
export function modelConfig(config: Pick<ModelConfig, Sizes> & Partial<ModelConfig>): ModelConfig {
  return {
    architecture: 'llama',
    experts: null,
    rmsEpsilon: 1e-5,
    ropeBase: 10_000,
    ropeDimensions: config.headSize,
    ropePositionScale: 1,
    ropeMagnitude: 1,
    windowRopeBase: null,
    slidingWindow: null,
    attentionScale: 1 / Math.sqrt(config.headSize),
    attentionSoftCap: null,
    logitSoftCap: null,
    tiedHead: true,
    ...config,
  }
}

/** A manifest of this configuration, the layers' matrices of one type, embedding and head of another. */
export function manifestOf(config: ModelConfig, type: TensorType, endsType: TensorType): Manifest {
  const tensors: ManifestTensor[] = []
  let byteOffset = 4_096
  const add = (name: string, tensorType: TensorType, shape: readonly number[]) => {
    const byteLength = (shape.reduce((product, size) => product * size, 1) / blockSize(tensorType)) * blockBytes(tensorType)
    tensors.push({ name, type: tensorType, shape, byteOffset, byteLength, sha256: '0'.repeat(64) })
    byteOffset += byteLength
  }
  add('token_embd.weight', endsType, [config.width, config.vocabularySize])
  for (let layer = 0; layer < config.layerCount; layer++)
    for (const [name, shape] of layerTensors(config, layer))
      add(name, shape.length === 1 || name.includes('gate_inp') ? 'F32' : type, shape)
  add('output_norm.weight', 'F32', [config.width])
  if (!config.tiedHead) add('output.weight', endsType, [config.width, config.vocabularySize])
  const header = { byteLength: 4_096, sha256: '0'.repeat(64) }
  const id = 'model' as ModelId
  return { format: 'tabswarm-manifest-1', id, name: 'model', license: null, fileBytes: byteOffset, header, config, tensors }
}

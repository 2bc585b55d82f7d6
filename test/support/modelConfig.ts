/** A ModelConfig from its sizes: what a test does not speak of is as in a plain llama. */

import type { ModelConfig } from '../../src/model/index.ts'

type Sizes = 'layerCount' | 'width' | 'headCount' | 'kvHeadCount' | 'headSize' | 'feedForwardWidth' | 'vocabularySize' | 'contextLength'

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

/** What `GET /v1/models` tells of each model: OpenAI's keys, and beside them what a requester wants to know before it asks. */

import { POOLS } from '../../shared/index.ts'
import type { GatewayModels, OfferedModel } from './ports.ts'

export function modelForm(model: OfferedModel, created: number, models: GatewayModels): object {
  const { id, name, license, contextLength, quantization, price, tiers, isDefault } = model
  const { peers, layersCovered, layerCount, sessions } = models.capacity(id)
  return {
    id,
    object: 'model',
    created,
    owned_by: 'tabswarm',
    name,
    license,
    context_length: contextLength,
    quantization,
    default: isDefault,
    credits_per_million_tokens: { prompt: price.prompt, cached_prompt: price.cachedPrompt, completion: price.decode },
    service_tiers: { flex: tiers.spot, default: tiers.standard, priority: tiers.priority },
    capacity: { tabs: peers, layers: layerCount, layers_served: layersCovered, sessions },
    pools: POOLS,
  }
}

/** estimate: what a request may cost and have to wait for; nothing is computed but its tokens. */

import { formatCredits } from '../../shared/index.ts'
import type { Expectations } from './expectations.ts'
import type { Policy } from './policy.ts'
import type { GatewayAccounts, GatewayDriver, GatewayModels } from './ports.ts'
import type { Accepted } from './requests.ts'
import { priceOf, sizeOf } from './sizes.ts'

interface EstimatePorts {
  readonly driver: GatewayDriver
  readonly models: GatewayModels
  readonly accounts: GatewayAccounts | null
  readonly expectations: Pick<Expectations, 'tokens'>
}

/** Rejects with an ApiError where the prompt is too long, and as the driver does. */
export async function estimate(
  accepted: Accepted,
  { maxPrice }: Policy,
  { driver, models, accounts, expectations }: EstimatePorts,
): Promise<object> {
  const { payer, model } = accepted
  const size = await sizeOf(accepted, driver, accounts)
  const { promptTokens, maxTokens } = size
  const expectedTokens = expectations.tokens(model.id, maxTokens)
  const hold = await priceOf(accepted, accounts, size)
  const expected = await priceOf(accepted, accounts, { promptTokens, maxTokens: expectedTokens })
  const { layersCovered, layerCount } = models.capacity(model.id, payer ?? undefined)
  return {
    promptTokens,
    maxTokens,
    expectedTokens,
    holdCredits: formatCredits(hold),
    expectedCredits: formatCredits(expected),
    waitMs: models.hasRoom(model.id, size, payer ?? undefined) ? 0 : null,
    policySatisfied: layersCovered === layerCount && (maxPrice === null || hold <= maxPrice),
  }
}

/** A world in which a session can open at once, and what an answer of 50 tokens to a prompt of 30 costs there. */

import { sessionPrice } from '../../../src/coordinator/economy/pricing.ts'
import { DEFAULT_PRICES } from '../../../src/coordinator/ledger/index.ts'
import { CONFIG, EconomyWorld } from './world.ts'

/** What the driver has. */
export const CREDIT = 1_000_000n
export const PRICE = sessionPrice(CONFIG, { promptTokens: 30, maxTokens: 50 }, DEFAULT_PRICES, 'standard')

/** A requester with credits, and three volunteers. */
export async function fundedWorld(options: ConstructorParameters<typeof EconomyWorld>[0] = {}): Promise<EconomyWorld> {
  const made = new EconomyWorld(options)
  await made.join(['driver', 'a', 'b', 'c'])
  await made.give('driver', CREDIT)
  return made
}

/**
 * How long an answer may get where its client names no number: the least of what the context leaves, a bound, and what its payer can pay for. More than
 * that would be refused for want of credits, to a client that asked for nothing in particular.
 */

import { ANSWER_TOKENS_DEFAULT, type GatewayAccounts } from './ports.ts'
import type { Accepted } from './requests.ts'

type Size = Parameters<GatewayAccounts['price']>[1]

/**
 * What the driver is asked for; null: what the context leaves, ANSWER_TOKENS_DEFAULT at most. Null too where not one token can be paid for: who admits it
 * says what is missing, or gives what newcomers get. `countPrompt` is called only where the prompt's length decides.
 */
export async function answerLength(
  { asked, payer, model: { id, contextLength } }: Accepted,
  accounts: GatewayAccounts | null,
  countPrompt: () => Promise<number>,
): Promise<number | null> {
  // A batch has set aside what its lines may cost.
  if (asked.maxTokens !== null || accounts === null || payer === null || payer.fund !== undefined) return asked.maxTokens
  const affordable = await accounts.affordable(payer)
  const isAffordable = async (size: Size) => BigInt(asked.choices) * (await accounts.price(id, size, asked.tier)) <= affordable
  const longest = { promptTokens: Math.max(0, contextLength - ANSWER_TOKENS_DEFAULT), maxTokens: ANSWER_TOKENS_DEFAULT }
  if (await isAffordable(longest)) return null
  const promptTokens = await countPrompt()
  const room = Math.min(ANSWER_TOKENS_DEFAULT, contextLength - promptTokens)
  // A prompt that leaves nothing is refused by who reads it.
  return room <= 0 ? null : mostOf(room, (maxTokens) => isAffordable({ promptTokens, maxTokens }))
}

/** The largest number below `end` that holds, where all below one that holds do; null: `end` does, or 1 does not. */
async function mostOf(end: number, holds: (value: number) => Promise<boolean>): Promise<number | null> {
  if ((await holds(end)) || !(await holds(1))) return null
  let [most, beyond] = [1, end]
  while (beyond - most > 1) {
    const middle = Math.floor((most + beyond) / 2)
    if (await holds(middle)) most = middle
    else beyond = middle
  }
  return most
}

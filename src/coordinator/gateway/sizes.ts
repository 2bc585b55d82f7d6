/** sizes: how large a session a request would be admitted with, and what it may cost at most. */

import type { SessionSize } from '../economy/index.ts'
import { answerLength } from './answerLength.ts'
import { badParameter } from './apiError.ts'
import { ANSWER_TOKENS_DEFAULT, type GatewayAccounts, type GatewayDriver } from './ports.ts'
import type { Accepted } from './requests.ts'

/** Rejects with an ApiError where the prompt is too long, and as the driver does. */
export async function sizeOf(
  accepted: Accepted,
  driver: Pick<GatewayDriver, 'count'>,
  accounts: GatewayAccounts | null,
): Promise<SessionSize> {
  const { prompt } = accepted.asked
  const { id, contextLength } = accepted.model
  const promptTokens = await driver.count(id, prompt)
  const room = contextLength - promptTokens
  if (room <= 0)
    throw badParameter(
      prompt.kind === 'messages' ? 'messages' : 'prompt',
      `the prompt has ${promptTokens} tokens and the model reads ${contextLength}`,
      'context_length_exceeded',
    )
  const length = await answerLength(accepted, accounts, async () => promptTokens)
  return { promptTokens, maxTokens: Math.min(length ?? ANSWER_TOKENS_DEFAULT, room) }
}

/** Of all choices, micro-credits: nothing where nobody pays, or one's own tabs compute. */
export async function priceOf(
  { asked: { choices, tier }, payer, model: { id } }: Accepted,
  accounts: Pick<GatewayAccounts, 'price'> | null,
  size: SessionSize,
): Promise<bigint> {
  return accounts === null || payer?.pool === 'mine' ? 0n : BigInt(choices) * (await accounts.price(id, size, tier))
}

/** sizes: how large a session a request would be admitted with, and what it may cost at most. */

import type { SessionSize } from '../economy/index.ts'
import { badParameter } from './apiError.ts'
import { ANSWER_TOKENS_DEFAULT, type GatewayAccounts, type GatewayDriver, type OfferedModel } from './ports.ts'
import type { AnswerRequest } from './requests.ts'

/** Rejects with an ApiError where the prompt is too long, and as the driver does. */
export async function sizeOf(
  driver: Pick<GatewayDriver, 'count'>,
  { prompt, maxTokens }: AnswerRequest,
  { id, contextLength }: OfferedModel,
): Promise<SessionSize> {
  const promptTokens = await driver.count(id, prompt)
  const room = contextLength - promptTokens
  if (room <= 0)
    throw badParameter(
      prompt.kind === 'messages' ? 'messages' : 'prompt',
      `the prompt has ${promptTokens} tokens and the model reads ${contextLength}`,
      'context_length_exceeded',
    )
  return { promptTokens, maxTokens: Math.min(maxTokens ?? ANSWER_TOKENS_DEFAULT, room) }
}

/** Of all choices, micro-credits: nothing where nobody pays, or one's own tabs compute. */
export async function priceOf(
  accounts: Pick<GatewayAccounts, 'price'> | null,
  { choices, tier }: AnswerRequest,
  { id }: Pick<OfferedModel, 'id'>,
  size: SessionSize,
  pool: string,
): Promise<bigint> {
  return accounts === null || pool === 'mine' ? 0n : BigInt(choices) * (await accounts.price(id, size, tier))
}

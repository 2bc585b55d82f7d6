/** Callers: who asks for what is kept: an API key that was proven, and what it seals and opens. Lists that they ask for, read. */

import type { FastifyRequest } from 'fastify'
import { type AnswerRoute, apiKeyOf } from '../answerRoute.ts'
import { ApiError, badParameter } from '../apiError.ts'
import { SealingKey } from './sealing.ts'

export interface Caller {
  /** Who pays for what its key asks. */
  readonly account: string
  readonly key: SealingKey
}

/** Rejects with an ApiError or an AccountError. */
export async function callerOf(answers: Pick<AnswerRoute, 'authorize'>, request: FastifyRequest): Promise<Caller> {
  const holder = await answers.authorize(request, null)
  if (holder === null) throw new ApiError(404, 'nothing is kept here: this coordinator has no accounts', { code: 'not_found' })
  return { account: holder.account, key: new SealingKey(apiKeyOf(request), holder.keyId) }
}

export interface Page {
  readonly after: string | null
  readonly limit: number
  readonly newestFirst: boolean
}

/** Of one answer. */
const LISTED_MAX = 100
const LISTED_DEFAULT = 20

/** `known`: parameters beside those of a page. Throws an ApiError. */
export function pageOf(query: unknown, known: readonly string[] = []): Page {
  const given = query as Readonly<Record<string, unknown>>
  for (const name of Object.keys(given))
    if (!['after', 'limit', 'order', ...known].includes(name))
      throw badParameter(name.slice(0, 100), `there is no parameter ${name.slice(0, 100)}; leave it out`, 'unknown_parameter')
  const { after = null, limit = String(LISTED_DEFAULT), order = 'desc' } = given
  if (after !== null && (typeof after !== 'string' || after.length > 100)) throw badParameter('after', 'after is an id of the list')
  const count = typeof limit === 'string' && /^\d{1,6}$/.test(limit) ? Number(limit) : 0
  if (count < 1) throw badParameter('limit', 'limit is a whole number from 1 on')
  if (order !== 'asc' && order !== 'desc') throw badParameter('order', 'order is asc or desc')
  return { after, limit: Math.min(count, LISTED_MAX), newestFirst: order === 'desc' }
}

/** A list as clients page through it. `data` may have one more than the page. */
export function listForm<Item extends { readonly id: string }>(items: readonly Item[], { limit }: Page): object {
  const data = items.slice(0, limit)
  return { object: 'list', data, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null, has_more: items.length > limit }
}

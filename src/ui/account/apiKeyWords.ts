/** What an API key may do and has done, in words. */

import type { ApiKeyState } from '../../peer/index.ts'
import { formatCredits } from '../../shared/index.ts'
import { formatDay } from '../format.ts'

export function describeScope({ models, pools, requestsAMinute }: Pick<ApiKeyState, 'models' | 'pools' | 'requestsAMinute'>): string {
  const limits = [
    ...(models === null ? [] : [`only ${models.join(', ')}`]),
    ...(pools === null ? [] : [`only in the pools ${pools.join(', ')}`]),
    ...(requestsAMinute === null ? [] : [`${requestsAMinute} requests a minute`]),
  ]
  const [first, ...others] = limits.length === 0 ? ['all models, at any rate'] : limits
  return [`${(first ?? '').charAt(0).toUpperCase()}${(first ?? '').slice(1)}`, ...others].join('; ')
}

export function describeSpending({ spent, budget }: Pick<ApiKeyState, 'spent' | 'budget'>): string {
  return `${formatCredits(spent)} ${budget === null ? '' : `of ${formatCredits(budget)} `}credits spent.`
}

export function describeUse({ createdAtMs, usedAtMs }: Pick<ApiKeyState, 'createdAtMs' | 'usedAtMs'>): string {
  return `Made on ${formatDay(createdAtMs)}, ${usedAtMs === null ? 'never used' : `last used on ${formatDay(usedAtMs)}`}.`
}

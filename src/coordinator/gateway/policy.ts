/**
 * policy: what a client demands of who computes its answer, and of its price: in the body under `tabswarm`, or in headers, which clients can set for all of
 * their requests. What cannot be had is an error that says which demand it was, never an answer without it.
 */

import type { IncomingHttpHeaders } from 'node:http'
import * as v from 'valibot'
import { formatCredits, POOLS, type Pool, parseCredits } from '../../shared/index.ts'
import { ApiError, badParameter } from './apiError.ts'
import type { Among, GatewayModels, OfferedModel } from './ports.ts'

export interface Policy {
  /** Null: the widest that the key may use. */
  readonly pool: Pool | null
  /** Micro-credits that the request may cost at most; null: what it costs. */
  readonly maxPrice: bigint | null
}

export const POOL_HEADER = 'x-tabswarm-pool'
export const PRICE_HEADER = 'x-tabswarm-max-price'

const credits = v.pipe(
  v.union([v.string(), v.number()]),
  v.transform(String),
  v.check((text) => parseCredits(text) !== null, 'credits are a decimal with at most six places'),
  v.transform((text) => parseCredits(text) ?? 0n),
)
export const policySchema = v.strictObject({
  pool: v.optional(v.picklist(POOLS)),
  max_price: v.optional(credits),
  /** Nothing is kept of an answer, whatever is asked: see `store`. */
  retention: v.optional(v.literal('none')),
})

/** The body without its policy, and that. What the body says goes before headers. Throws an ApiError. */
export function splitPolicy(body: unknown, headers: IncomingHttpHeaders): { readonly body: unknown; readonly policy: Policy } {
  const { tabswarm: own = {}, ...rest } = hasPolicy(body) ? body : { tabswarm: {} }
  if (typeof own !== 'object' || own === null) throw badParameter('tabswarm', 'tabswarm is an object, as in {"pool": "trusted"}')
  const { [POOL_HEADER]: pool, [PRICE_HEADER]: price } = headers
  const given = { ...(pool === undefined ? {} : { pool }), ...(price === undefined ? {} : { max_price: price }), ...own }
  const parsed = v.safeParse(policySchema, given)
  if (!parsed.success) {
    const param = `tabswarm.${v.getDotPath(parsed.issues[0]) ?? ''}`.slice(0, 100)
    throw badParameter(
      param,
      `${param}: ${parsed.issues[0].message.slice(0, 200)}; docs/API.md lists what can be demanded`,
      'unsupported_policy',
    )
  }
  const policy = { pool: parsed.output.pool ?? null, maxPrice: parsed.output.max_price ?? null }
  return { body: hasPolicy(body) ? rest : body, policy }
}

function hasPolicy(body: unknown): body is { readonly tabswarm: unknown } {
  return typeof body === 'object' && body !== null && 'tabswarm' in body
}

/** Throws an ApiError 403 where no tab of the pool has some layer of the model. */
export function checkPool(models: Pick<GatewayModels, 'capacity'>, { id, name }: OfferedModel, { pool, account }: Among): void {
  // Of what anybody may compute a lack passes: that is no matter of policy.
  if (pool === 'public') return
  const { layersCovered, layerCount } = models.capacity(id, { pool, account })
  if (layersCovered === layerCount) return
  throw unsatisfied(`tabs of the pool "${pool}" serve ${layersCovered} of the ${layerCount} layers of ${name} now`)
}

/** `price`: the most that the request may cost. Throws an ApiError 403. */
export function checkPrice(price: bigint, { maxPrice }: Policy): void {
  if (maxPrice === null || price <= maxPrice) return
  throw new ApiError(
    403,
    `this may cost up to ${formatCredits(price)} credits, and max_price is ${formatCredits(maxPrice)}; ask for fewer tokens`,
    {
      code: 'policy_price',
      param: 'tabswarm.max_price',
    },
  )
}

export function unsatisfied(what: string): ApiError {
  return new ApiError(403, `${what}; the answer would leave the pool that was demanded`, { code: 'policy_pool', param: 'tabswarm.pool' })
}

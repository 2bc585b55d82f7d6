/**
 * API keys: what an HTTP client shows instead of a signature. A key is `tabswarm_ID_SECRET`; the id finds it, the secret (256 random bits) is
 * shown once and kept as a hash. What a key may do is its scope, and within it that of its team.
 */

import {
  err,
  ok,
  POOLS,
  type Pool,
  REQUESTS_A_MINUTE_MAX,
  type Result,
  SCOPE_NAMES_MAX,
  type Sha256,
  toBase64Url,
  toHex,
} from '../../shared/index.ts'
import { AccountError } from './errors.ts'
import { hashSecret, isSameHash } from './secrets.ts'

/** Null stands for no limit. */
export interface KeyScope {
  readonly models: readonly string[] | null
  readonly pools: readonly string[] | null
  /** Micro-credits that it may spend in all. */
  readonly budget: bigint | null
  readonly requestsAMinute: number | null
}

export interface ApiKey extends KeyScope {
  /** 16 hex digits, no secret. */
  readonly id: string
  /** Who pays: an account of its own, or its team's. */
  readonly account: string
  /** Empty when it was erased. */
  readonly name: string
  /** Its responses may be kept here, sealed, where a request says so. */
  readonly storesResponses: boolean
  /** Micro-credits: paid, or set aside for sessions that are open. */
  readonly spent: bigint
  readonly createdAtMs: number
  /** Null: never. Exact to USE_MS. */
  readonly usedAtMs: number | null
  readonly revokedAtMs: number | null
}

export interface NewKey {
  readonly id: string
  /** The whole key, to be shown now and never again. */
  readonly text: string
  /** To be kept: SHA-256 of the whole key, hex. */
  readonly hash: string
}

/** Uses of one key that lie closer together are recorded as one. */
export const USE_MS = 60_000

const PREFIX = 'tabswarm'
const ID_BYTES = 8
const SECRET_BYTES = 32
const PATTERN = new RegExp(`^${PREFIX}_([0-9a-f]{${2 * ID_BYTES}})_[A-Za-z0-9_-]{43}$`)
/** Models and pools: what the catalogue and the coordinator call them. */
const SCOPE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/
/** Of no key: an id that nobody has is compared with it, so it takes the same time. */
const NO_HASH = '0'.repeat(64)

export async function newApiKey(randomBytes: (count: number) => Uint8Array, sha256: Sha256): Promise<NewKey> {
  const id = toHex(randomBytes(ID_BYTES))
  const text = `${PREFIX}_${id}_${toBase64Url(randomBytes(SECRET_BYTES))}`
  return { id, text, hash: await hashSecret(text, sha256) }
}

/** The id in what a client sent as its key; null for a text that is no key. */
export function apiKeyId(text: string): string | null {
  return PATTERN.exec(text)?.[1] ?? null
}

/** Whether `text` is the key whose hash was kept; null: there is none with its id. */
export async function isApiKey(text: string, kept: string | null, sha256: Sha256): Promise<boolean> {
  return isSameHash(await hashSecret(text, sha256), kept ?? NO_HASH) && kept !== null
}

/** The scope itself, if its lists and numbers keep the limits. */
export function checkScope(scope: KeyScope): Result<KeyScope, AccountError> {
  const bad = (what: string) => err(new AccountError('bad-value', what))
  for (const [what, names] of [['models', scope.models] as const, ['pools', scope.pools] as const]) {
    const wrong = names?.find((name) => !SCOPE_NAME.test(name))
    if (wrong !== undefined) return bad(`"${wrong}" is no name among ${what}: letters, digits, dots, dashes and underscores, at most 100`)
    if (names !== null && (names.length === 0 || names.length > SCOPE_NAMES_MAX))
      return bad(`name 1 to ${SCOPE_NAMES_MAX} ${what}, or none`)
  }
  const { budget, requestsAMinute } = scope
  if (budget !== null && budget < 0n) return bad('a budget is not negative')
  const isRate = requestsAMinute === null || (Number.isInteger(requestsAMinute) && requestsAMinute >= 1)
  if (!isRate || (requestsAMinute ?? 0) > REQUESTS_A_MINUTE_MAX) return bad(`requests a minute: 1 to ${REQUESTS_A_MINUTE_MAX}, or no limit`)
  return ok(scope)
}

export interface KeyRequest {
  readonly model: string
  /** Null: the widest that it may use. */
  readonly pool: Pool | null
}

/** The pool of a request, if the key, and its team if it has one, allow it and the model. Budget and rate are counted where they are kept. */
export function checkRequest(
  key: Pick<KeyScope, 'models' | 'pools'>,
  team: Pick<KeyScope, 'models' | 'pools'> | null,
  { model, pool: asked }: KeyRequest,
): Result<Pool, AccountError> {
  const scopes = [key, ...(team === null ? [] : [team])]
  const widest = POOLS.find((pool) => scopes.every(({ pools }) => pools?.includes(pool) !== false))
  const pool = asked ?? widest ?? POOLS[0]
  for (const [whose, scope] of [['this key', key] as const, ['its team', team] as const]) {
    for (const [what, names, name] of [['model', scope?.models, model] as const, ['pool', scope?.pools, pool] as const])
      if (names != null && !names.includes(name))
        return err(new AccountError('not-allowed', `${whose} may not use the ${what} ${name}, only ${names.join(', ')}; ask its owner`))
  }
  return ok(pool)
}

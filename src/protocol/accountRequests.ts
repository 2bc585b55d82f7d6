/**
 * What a tab asks of its account over the control socket, and what it is answered: the locked copy of its key, codes for other devices, API keys. Each
 * answer bears the kind of what was asked. Rules A1 … A9.
 */

import * as v from 'valibot'
import { ACCOUNT_NAME_CHARACTERS_MAX, API_KEYS_MAX, REQUESTS_A_MINUTE_MAX, SCOPE_NAMES_MAX } from '../shared/index.ts'
import { operatorAnswerSchema, operatorAskSchema } from './operatorRequests.ts'
import { amount, base64Url, boundedCredits, count, credits, text } from './schemas.ts'

/** A name that only the words of a recovery phrase give. */
const lookup = v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/))

const wrappedKey = {
  /** Raw P-256, 65 bytes: authenticated with what is wrapped. */
  publicKey: v.pipe(base64Url(87), v.length(87)),
  /** 12 bytes. */
  iv: v.pipe(base64Url(16), v.length(16)),
  /** PKCS #8 under AES-256-GCM: about 210 characters. */
  wrapped: base64Url(300),
}
const wrappedKeySchema = v.strictObject(wrappedKey)
/** An account key's locked copy. Only the recovery phrase opens it. All base64url. */
export type WrappedKey = v.InferOutput<typeof wrappedKeySchema>

const recoveryCopySchema = v.strictObject({ lookup, ...wrappedKey })
/** The copy, and the name under which whoever has the phrase finds it. */
export type RecoveryCopy = v.InferOutput<typeof recoveryCopySchema>

/** Null: all. */
const scopeNames = v.nullable(v.pipe(v.array(text(100)), v.minLength(1), v.maxLength(SCOPE_NAMES_MAX)))
const keyId = v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/))
const requestsAMinute = v.nullable(v.pipe(count(REQUESTS_A_MINUTE_MAX), v.minValue(1)))

const apiKeySchema = v.strictObject({
  /** No secret. */
  id: keyId,
  name: text(ACCOUNT_NAME_CHARACTERS_MAX),
  models: scopeNames,
  pools: scopeNames,
  /** Micro-credits in all, as `spent`; null: no limit. */
  budget: v.nullable(credits),
  spent: credits,
  requestsAMinute,
  createdAtMs: amount,
  /** Null: never. */
  usedAtMs: v.nullable(amount),
})
/** An API key that was not revoked, without its secret. */
export type ListedApiKey = v.InferOutput<typeof apiKeySchema>

export const accountAskSchema = v.variant('kind', [
  operatorAskSchema,
  /** Keep this copy of the key that has certified this peer, in place of one before. */
  v.strictObject({ kind: v.literal('keep-copy'), copy: recoveryCopySchema }),
  v.strictObject({ kind: v.literal('find-copy'), lookup }),
  /** A code by which another device joins this peer's account. */
  v.strictObject({ kind: v.literal('pair') }),
  /** The key that has certified this peer joins the account whose code this is, as somebody typed it. */
  v.strictObject({ kind: v.literal('join'), code: text(64) }),
  v.strictObject({ kind: v.literal('keys') }),
  v.strictObject({
    kind: v.literal('create-key'),
    name: text(ACCOUNT_NAME_CHARACTERS_MAX),
    models: scopeNames,
    budget: v.nullable(boundedCredits),
    requestsAMinute,
  }),
  v.strictObject({ kind: v.literal('revoke-key'), keyId }),
])
export type AccountAsk = v.InferOutput<typeof accountAskSchema>

export const accountAnswerSchema = v.variant('kind', [
  operatorAnswerSchema,
  v.strictObject({ kind: v.literal('keep-copy') }),
  v.strictObject({ kind: v.literal('find-copy'), copy: wrappedKeySchema }),
  v.strictObject({
    kind: v.literal('pair'),
    /** `K7QF-2M9X-TB4C` */
    code: text(14),
    expiresAtMs: amount,
  }),
  v.strictObject({ kind: v.literal('join'), accountId: text(64) }),
  v.strictObject({ kind: v.literal('keys'), keys: v.pipe(v.array(apiKeySchema), v.maxLength(API_KEYS_MAX)) }),
  /** `text` is the key itself, told now and never again. */
  v.strictObject({ kind: v.literal('create-key'), key: apiKeySchema, text: text(100) }),
  v.strictObject({ kind: v.literal('revoke-key') }),
])
export type AccountAnswer = v.InferOutput<typeof accountAnswerSchema>

export type AccountAskOf<Kind extends AccountAsk['kind']> = Extract<AccountAsk, { kind: Kind }>
export type AccountAnswerTo<Kind extends AccountAsk['kind']> = Extract<AccountAnswer, { kind: Kind }>

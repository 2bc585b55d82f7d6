/**
 * What a tab asks of its account over the control socket, and what it is answered: the locked copy of its key, its devices, API keys, all that is kept of it.
 * Each answer bears the kind of what was asked. Rules A1 … A13.
 */

import * as v from 'valibot'
import { ACCOUNT_NAME_CHARACTERS_MAX, API_KEYS_MAX, DEVICES_MAX, REQUESTS_A_MINUTE_MAX } from '../shared/index.ts'
import { ledgerAnswerSchema, ledgerAskSchema } from './ledgerRequests.ts'
import { EXPORT_RECORDS_MAX } from './limits.ts'
import { operatorAnswerSchema, operatorAskSchema } from './operatorRequests.ts'
import { accountId, amount, base64Url, boundedCredits, count, credits, text } from './schemas.ts'
import { keyId, scopeNames, shownCode, teamAnswerSchema, teamAskSchema, typedCode } from './teamRequests.ts'

/** A name that only the words of a recovery phrase give. */
const lookup = v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/))

/** Raw P-256, 65 bytes. */
const deviceKey = v.pipe(base64Url(87), v.length(87))

const wrappedKey = {
  /** Raw P-256, 65 bytes: authenticated with what is wrapped. */
  publicKey: deviceKey,
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

const deviceName = text(ACCOUNT_NAME_CHARACTERS_MAX)
/** Whose keys: a team's; absent or null: those of the peer's own account. */
const ofTeam = v.optional(v.nullable(accountId))
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

const deviceSchema = v.strictObject({
  publicKey: deviceKey,
  /** Empty: none. */
  name: deviceName,
  addedAtMs: amount,
  /** When it connected last. */
  seenAtMs: amount,
  /** A peer of it is connected now. */
  isConnected: v.boolean(),
})
/** A key of the account, and what is known of whose it is. */
export type ListedDevice = v.InferOutput<typeof deviceSchema>

const exportParts = ['facts', 'keys', 'ledger'] as const
export type ExportPart = (typeof exportParts)[number]

export const accountAskSchema = v.variant('kind', [
  ledgerAskSchema,
  operatorAskSchema,
  teamAskSchema,
  /** Keep this copy of the key that has certified this peer, in place of one before. */
  v.strictObject({ kind: v.literal('keep-copy'), copy: recoveryCopySchema }),
  v.strictObject({ kind: v.literal('find-copy'), lookup }),
  /** A code by which another device joins this peer's account. */
  v.strictObject({ kind: v.literal('pair') }),
  /** The key that has certified this peer joins the account whose code this is, as somebody typed it. */
  v.strictObject({ kind: v.literal('join'), code: typedCode }),
  v.strictObject({ kind: v.literal('devices') }),
  v.strictObject({ kind: v.literal('name-device'), publicKey: deviceKey, name: deviceName }),
  /** Another one than the peer's own. */
  v.strictObject({ kind: v.literal('remove-device'), publicKey: deviceKey }),
  /** The owner of this peer's device knows that it was removed. */
  v.strictObject({ kind: v.literal('removal-noted') }),
  v.strictObject({ kind: v.literal('keys'), teamId: ofTeam }),
  v.strictObject({
    kind: v.literal('create-key'),
    name: text(ACCOUNT_NAME_CHARACTERS_MAX),
    models: scopeNames,
    pools: v.optional(scopeNames),
    budget: v.nullable(boundedCredits),
    requestsAMinute,
    teamId: ofTeam,
  }),
  v.strictObject({ kind: v.literal('revoke-key'), keyId, teamId: ofTeam }),
  /** A part of all that is kept of the account, from a place on that the answer before has told; 0: from its beginning. */
  v.strictObject({ kind: v.literal('export'), part: v.picklist(exportParts), from: count(Number.MAX_SAFE_INTEGER) }),
  v.strictObject({ kind: v.literal('erase') }),
])
export type AccountAsk = v.InferOutput<typeof accountAskSchema>

export const accountAnswerSchema = v.variant('kind', [
  ledgerAnswerSchema,
  operatorAnswerSchema,
  teamAnswerSchema,
  v.strictObject({ kind: v.literal('keep-copy') }),
  v.strictObject({ kind: v.literal('find-copy'), copy: wrappedKeySchema }),
  v.strictObject({ kind: v.literal('pair'), ...shownCode }),
  v.strictObject({ kind: v.literal('join'), accountId: text(64) }),
  v.strictObject({
    kind: v.literal('devices'),
    devices: v.pipe(v.array(deviceSchema), v.maxLength(DEVICES_MAX)),
    own: deviceKey,
    /** When the peer's own was removed from another account; null: it was not, or its owner knows. */
    removedAtMs: v.nullable(amount),
  }),
  v.strictObject({ kind: v.literal('name-device') }),
  v.strictObject({ kind: v.literal('remove-device') }),
  v.strictObject({ kind: v.literal('removal-noted') }),
  v.strictObject({ kind: v.literal('keys'), keys: v.pipe(v.array(apiKeySchema), v.maxLength(API_KEYS_MAX)) }),
  /** `text` is the key itself, told now and never again. */
  v.strictObject({ kind: v.literal('create-key'), key: apiKeySchema, text: text(100) }),
  v.strictObject({ kind: v.literal('revoke-key') }),
  v.strictObject({
    kind: v.literal('export'),
    /** For a file of JSON: nobody but its reader looks into them. */
    records: v.pipe(v.array(v.record(v.string(), v.unknown())), v.maxLength(EXPORT_RECORDS_MAX)),
    next: v.nullable(count(Number.MAX_SAFE_INTEGER)),
  }),
  v.strictObject({ kind: v.literal('erase') }),
])
export type AccountAnswer = v.InferOutput<typeof accountAnswerSchema>

export type AccountAskOf<Kind extends AccountAsk['kind']> = Extract<AccountAsk, { kind: Kind }>
export type AccountAnswerTo<Kind extends AccountAsk['kind']> = Extract<AccountAnswer, { kind: Kind }>

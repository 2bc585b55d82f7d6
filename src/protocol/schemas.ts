/** Schemas of the nouns that control messages, grants and frames share. Strict: what is not named here is refused. */

import * as v from 'valibot'
import {
  isManifestHash,
  isModelId,
  isPeerId,
  isSessionId,
  type ManifestHash,
  type ModelId,
  type PeerId,
  type SessionId,
} from '../shared/index.ts'
import { RECEIPT_CHARACTERS_MAX } from './limits.ts'

export const peerId = v.custom<PeerId>((value) => typeof value === 'string' && isPeerId(value), 'not a peer id')
export const sessionId = v.custom<SessionId>((value) => typeof value === 'string' && isSessionId(value), 'not a session id')
export const modelId = v.custom<ModelId>((value) => typeof value === 'string' && isModelId(value), 'not a model id')
export const manifestHash = v.custom<ManifestHash>((value) => typeof value === 'string' && isManifestHash(value), 'not a manifest hash')
export const base64Url = (charactersMax: number) => v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]+$/), v.maxLength(charactersMax))
export const text = (charactersMax: number) => v.pipe(v.string(), v.maxLength(charactersMax))
export const count = (max: number) => v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(max))
export const amount = v.pipe(v.number(), v.finite(), v.minValue(0))
export const layer = count(10_000)
export const span = v.strictObject({ firstLayer: layer, endLayer: layer })
export const byteCount = count(2 ** 50)
/** Micro-credits: 10¹⁸ are the most that there can be; what was paid in all may be more. */
export const credits = v.pipe(v.string(), v.regex(/^(0|[1-9]\d{0,29})$/))
/** Of a limit or a grant: all that there can be is more. */
export const boundedCredits = v.pipe(v.string(), v.regex(/^(0|[1-9]\d{0,17})$/))
export const positiveCredits = v.pipe(v.string(), v.regex(/^[1-9]\d{0,17}$/))
/** The same, or less than nothing. */
export const creditsChange = v.pipe(v.string(), v.regex(/^(0|-?[1-9]\d{0,29})$/))
/** Credits with their micro-credits: `134.515021`. */
export const decimalCredits = v.pipe(v.string(), v.regex(/^\d{1,12}(\.\d{1,6})?$/))
/** `2027-01` */
export const month = v.pipe(v.string(), v.regex(/^2\d{3}-(0[1-9]|1[0-2])$/))
export const accountId = v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/))
/** Chosen by whoever asks: repeated with the same one, a request is carried out once. */
export const reference = v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/))
export const signedCertificate = v.strictObject({ body: base64Url(1_000), signature: base64Url(128) })
export const signedReceipt = v.strictObject({ body: base64Url(RECEIPT_CHARACTERS_MAX), signature: base64Url(128) })
export const signedGrant = v.strictObject({ body: base64Url(20_000), signature: base64Url(128) })

/** The first thing wrong with a value, as text for the peer's log: where, and what was expected. */
export function describeIssue(issue: v.BaseIssue<unknown>): string {
  return `${v.getDotPath(issue) ?? 'message'}: ${issue.message.slice(0, 200)}`
}

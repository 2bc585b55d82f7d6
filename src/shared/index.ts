/** shared: what every folder may use and what imports nothing. */

export {
  ACCOUNT_NAME_CHARACTERS_MAX,
  type AccountRole,
  API_KEYS_MAX,
  accountRoles,
  DEVICES_MAX,
  GRANT_DAYS_MAX,
  MEMBERS_MAX,
  NOTE_CHARACTERS_MAX,
  REQUESTS_A_MINUTE_MAX,
  SCOPE_NAMES_MAX,
  TEAMS_MAX,
} from './account.ts'
export { assert, required, unreachable } from './assert.ts'
export {
  concatBytes,
  equalBytes,
  fromBase64Url,
  fromHex,
  toBase64Url,
  toHex,
  utf8Decode,
  utf8DecodeLossy,
  utf8Encode,
  writeHex,
} from './bytes.ts'
export { type CancelTimer, type Clock, ManualClock } from './clock.ts'
export { formatCredits, parseCredits } from './credits.ts'
export type { Sha256, Signer, VerifySignature } from './crypto.ts'
export { type Deferred, deferred } from './deferred.ts'
export { type ErrorBody, fromErrorBody, TabswarmError, toErrorBody } from './errors.ts'
export { isManifestHash, isModelId, isPeerId, isSessionId, type ManifestHash, type ModelId, type PeerId, type SessionId } from './ids.ts'
export { isoTime } from './isoTime.ts'
export { POOLS, type Pool } from './pools.ts'
export { err, ok, type Result } from './result.ts'
export { SerialQueue } from './serialQueue.ts'
export {
  STATEMENT_CSV_HEADER,
  type StatementAmounts,
  type StatementLine,
  type StatementRole,
  statementCsvBalance,
  statementCsvLine,
  statementRoles,
} from './statement.ts'
export { TIER_DEFAULT, TIERS, type Tier } from './tiers.ts'

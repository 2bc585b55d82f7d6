/** coordinator/accounts: who earns and pays, what API keys may do, who gets a starter grant, who counts as one party. Pure. */

export {
  type AccountRecord,
  checkName,
  FIRST_ROLES,
  type Identity,
  identityKinds,
  keyIdentity,
  newAccountId,
} from './account.ts'
export { addressBlock, blockName } from './addressBlock.ts'
export {
  type ApiKey,
  apiKeyId,
  checkRequest,
  checkScope,
  isApiKey,
  type KeyRequest,
  type KeyScope,
  type NewKey,
  newApiKey,
  USE_MS,
} from './apiKey.ts'
export { AccountError, type AccountErrorReason } from './errors.ts'
export { RateLimits } from './rateLimits.ts'
export { COPY_TRIES_A_MINUTE, type KeptCopy, type LockedKey } from './recovery.ts'
export {
  badInvitation,
  badPairing,
  CODES_A_MINUTE,
  INVITATION_LIFE_MS,
  INVITATIONS_MAX,
  newCode,
  PAIRING_LIFE_MS,
  parseCode,
  type ShortCode,
  tryCode,
} from './shortCode.ts'
export {
  DEFAULT_STARTER_POLICY,
  DEMO_STARTER_POLICY,
  decideStarterGrant,
  GRANT_DAYS,
  type StarterPolicy,
  type StarterState,
} from './starterGrants.ts'
export { type AccountTies, areLinked, BLOCKS_MAX, TIE_DAYS } from './ties.ts'

/** What everybody who speaks of accounts means by the same word: what one may be, and what limits its names, keys and grants have. */

/** Operators administer, requesters ask for tokens, volunteers compute; an account may be several. */
export const accountRoles = ['operator', 'requester', 'volunteer'] as const
export type AccountRole = (typeof accountRoles)[number]

/** API keys of one account that open something: a list of them is one message. Who needs more has teams. */
export const API_KEYS_MAX = 50

/** Devices of one account. Each has a key of its own; a list of them is one message. */
export const DEVICES_MAX = 50

/** Teams of one account: a list of them is one message, with its models and pools at their longest 130 KB. */
export const TEAMS_MAX = 30

/** Accounts of one team: a list of them is one message, with all names at their longest 180 KB. */
export const MEMBERS_MAX = 500

/** Models, or pools, that an API key may name: with all names at their longest a list of keys is 170 KB. */
export const SCOPE_NAMES_MAX = 16

/** A name of an account, a key or a team. */
export const ACCOUNT_NAME_CHARACTERS_MAX = 64

/** Of an API key. */
export const REQUESTS_A_MINUTE_MAX = 100_000

/** Days after which a grant ends at the latest: ten years. */
export const GRANT_DAYS_MAX = 3_650

/** What an operator writes beside a grant: a line in the ledger, for good. */
export const NOTE_CHARACTERS_MAX = 200

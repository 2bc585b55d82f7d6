/**
 * What a page shows of its account and asks of it, and what an operator does of others: balances, bills, statements, keys. Amounts are micro-credits,
 * exact. The calls are accountCalls.ts's and operatorCalls.ts's.
 */

import type { Standing } from '../protocol/index.ts'
import type { AccountRole, StatementAmounts, StatementLine, Tier } from '../shared/index.ts'

/** Of the account that this tab asks as. All in micro-credits. */
export interface AccountState {
  readonly accountId: string
  /** Now, what was granted included. */
  readonly spendable: bigint
  /** Of it, what can be spent and never transferred. */
  readonly granted: bigint
  /** Set aside for open answers. */
  readonly held: bigint
  /** Earned, and not paid out yet. */
  readonly escrow: bigint
  /** All that it was ever paid for computing. */
  readonly earned: bigint
  readonly standing: Standing
}

/** Micro-credits. */
export interface Bill {
  /** Set aside when the answer was admitted: the most that it can cost. */
  readonly held: bigint
  /** What it did cost; null before it is settled. */
  readonly charged: bigint | null
}

/** Micro-credits for a million tokens, as means over the beginning of a context. */
export interface ModelPrice {
  /** Of an answer. */
  readonly decode: bigint
  readonly prompt: bigint
  /** Times these. */
  readonly tiers: Readonly<Record<Tier, number>>
}

/** Lines of one month (UTC, `2027-01`) that follow each other. All in micro-credits. */
export interface StatementPage {
  readonly month: string
  /** What the account had when the month began. */
  readonly opening: StatementAmounts
  /** What it has at the month's end, or now. */
  readonly closing: StatementAmounts
  readonly lines: readonly StatementLine[]
  /** To ask for the lines that follow with; null: there are none. */
  readonly cursor: number | null
}

/** What this browser has of its account. */
export interface AccountKeeping {
  /** False: the browser keeps nothing for this page, so the account ends with this tab. */
  readonly isKept: boolean
  /** Until its owner says that it is saved; null from then on. */
  readonly unsavedPhrase: string | null
  /** The coordinator has the key's locked copy, which the phrase opens; null: it has not said it yet. */
  readonly hasCopy: boolean | null
}

/** What a recovery phrase has found: the account that this browser has anyway, or another. */
export type FoundByPhrase =
  | { readonly kind: 'same' }
  | {
      readonly kind: 'other'
      /** This browser's account joins it, as a device by a pairing code does, and its key takes the place of this browser's. Rejects with a TabswarmError. */
      take(): Promise<void>
    }

/** A device of this account: a browser with a key of its own. Times are coordinator time. */
export interface DeviceState {
  /** Its key, which names it. */
  readonly publicKey: string
  /** What people call it; empty: nothing. */
  readonly name: string
  /** Since when it has this account. */
  readonly addedAtMs: number
  /** When one of its tabs connected last. */
  readonly seenAtMs: number
  /** A tab of it is open now. */
  readonly isConnected: boolean
  /** It is this browser. */
  readonly isOwn: boolean
}

/** Null: no limit. */
export interface ApiKeyLimits {
  readonly models: readonly string[] | null
  readonly pools: readonly string[] | null
  /** Micro-credits that it may spend in all. */
  readonly budget: bigint | null
  readonly requestsAMinute: number | null
}

/** An API key of this account that opens something; its secret is told once, when it is made. Times are coordinator time. */
export interface ApiKeyState extends ApiKeyLimits {
  readonly id: string
  readonly name: string
  /** Micro-credits: paid, or set aside for what is open. */
  readonly spent: bigint
  readonly createdAtMs: number
  /** Null: never. */
  readonly usedAtMs: number | null
}

/** Each rejects with a TabswarmError. */
export interface AccountCalls {
  /** Reasons: `bad-phrase`, `unknown-phrase`, `bad-copy`, `too-many-requests`, `offline`. */
  findByPhrase(phrase: string): Promise<FoundByPhrase>
  /** A code for another device, `K7QF-2M9X-TB4C`, and how long it works. */
  pairingCode(): Promise<{ readonly code: string; readonly lifeMs: number }>
  /** This browser joins the account whose device shows that code. Reasons: `bad-code`, `too-many-requests`, `offline`. */
  join(code: string): Promise<void>
  /** The one that this account had first comes first. */
  devices(): Promise<readonly DeviceState[]>
  /** An empty name takes it away. Reasons: `unknown`, `bad-value`, `offline`. */
  nameDevice(publicKey: string, name: string): Promise<void>
  /** Another device than this: it has an empty account of its own from then on. Reasons: `unknown`, `not-allowed`, `offline`. */
  removeDevice(publicKey: string): Promise<void>
  /** Whoever uses this browser knows that it was removed: the page says so no more. */
  removalNoted(): Promise<void>
  /** Those that were not revoked, the oldest first. `teamId`: null: of this account itself. */
  apiKeys(teamId: string | null): Promise<readonly ApiKeyState[]>
  /** `text` is the key itself, told now and never again. Reasons: `bad-value`, `offline`. */
  createApiKey(teamId: string | null, name: string, limits: ApiKeyLimits): Promise<{ readonly key: ApiKeyState; readonly text: string }>
  /** From then on it opens nothing, for good. */
  revokeApiKey(teamId: string | null, id: string): Promise<void>
  /** All that the coordinator keeps of this account, as JSON. */
  exportAll(): Promise<string>
  /** What tells who the account is goes for good, and with it the way to its credits; this browser begins a new one. */
  erase(): Promise<void>
}

/** How the coordinator's credits stand. All in micro-credits. */
export interface OperatorOverview {
  /** Minus all that are outstanding. */
  readonly issuance: bigint
  /** Who has them. */
  readonly held: Readonly<Record<'user' | 'hold' | 'escrow' | 'fee' | 'verification' | 'reserve', bigint>>
  /** That were not erased. */
  readonly accounts: number
  /** Of today (UTC). */
  readonly starters: { readonly issued: bigint; readonly poolADay: bigint; readonly amount: bigint }
}

export type LedgerVerdict =
  | { readonly kind: 'right'; readonly events: number; readonly heads: number; readonly outstanding: bigint }
  | { readonly kind: 'broken'; readonly message: string }

/** An account as operators see it. */
export interface ListedAccountState {
  readonly id: string
  readonly name: string
  readonly roles: readonly AccountRole[]
  readonly createdAtMs: number
  /** Micro-credits. */
  readonly spendable: bigint
}

export interface GrantRequest {
  /** Micro-credits. */
  readonly amount: bigint
  /** Until what was not spent goes back. */
  readonly days: number
  readonly note: string
  /** Repeated, it grants once: see newReference. */
  readonly reference: string
}

/** For accounts with the role of an operator; others are refused as `not-allowed`. Each rejects with a TabswarmError. */
export interface OperatorCalls {
  overview(): Promise<OperatorOverview>
  verifyLedger(): Promise<LedgerVerdict>
  /** Whose id begins with `search`, or whose name has it, on from behind the id `after`. */
  accounts(search: string, after: string | null): Promise<{ readonly accounts: readonly ListedAccountState[]; readonly hasMore: boolean }>
  changeRoles(accountId: string, roles: readonly AccountRole[]): Promise<ListedAccountState>
  grant(accountId: string, request: GrantRequest): Promise<ListedAccountState>
  newReference(): string
}

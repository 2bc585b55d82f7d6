/**
 * The account as a page shows it: what the coordinator says of it, read into amounts. All in micro-credits, exact. Also what each answer of
 * this tab is held at and has cost, and what audits found of its work.
 */

import type { ListedApiKey, ListedModel, ServerMessage } from '../protocol/index.ts'
import { type ModelId, parseCredits, type SessionId, type StatementAmounts } from '../shared/index.ts'
import type { AccountState, ApiKeyState, Bill, ModelPrice, StatementPage } from './accountTypes.ts'
import type { PeerState } from './types.ts'

type Message<Type extends ServerMessage['type']> = Extract<ServerMessage, { type: Type }>
type Bills = ReadonlyMap<SessionId, Bill>

/** Of the last answers: a conversation shows no more. */
export const BILLS_MAX = 256
/** Kept of one answer: a chain has no more stages. */
export const AUDITS_MAX = 64
/** Kept of what audits found: a page shows the last few. */
export const VERDICTS_MAX = 32

export function accountStateOf({ accountId, standing, ...amounts }: Message<'account'>): AccountState {
  return {
    accountId,
    spendable: BigInt(amounts.spendable),
    granted: BigInt(amounts.granted),
    held: BigInt(amounts.held),
    escrow: BigInt(amounts.escrow),
    earned: BigInt(amounts.earned),
    standing,
  }
}

export function statementPageOf({ month, opening, closing, lines, cursor }: Message<'statement'>): StatementPage {
  return {
    month,
    opening: amountsOf(opening),
    closing: amountsOf(closing),
    lines: lines.map(({ sequence, atMs, event, kind, role, session, ...amounts }) => {
      return { sequence, atMs, event, kind, role, session, ...amountsOf(amounts) }
    }),
    cursor,
  }
}

export function apiKeyOf({ budget, spent, ...key }: ListedApiKey): ApiKeyState {
  return { ...key, budget: budget === null ? null : BigInt(budget), spent: BigInt(spent) }
}

/** Models whose price is nothing, or unreadable, are left out. */
export function pricesOf(models: readonly ListedModel[]): ReadonlyMap<ModelId, ModelPrice> {
  return new Map(
    models.flatMap(({ id, creditsPerMillionTokens, tiers }): [ModelId, ModelPrice][] => {
      const [decode, prompt] = [parseCredits(creditsPerMillionTokens.decode), parseCredits(creditsPerMillionTokens.prompt)]
      return decode === null || prompt === null ? [] : [[id, { decode, prompt, tiers }]]
    }),
  )
}

/** A session was admitted, at `held` at most; the oldest is forgotten for it. */
export function withHeld(bills: Bills, sessionId: SessionId, held: bigint): Bills {
  const kept = [...bills].filter(([known]) => known !== sessionId).slice(1 - BILLS_MAX)
  return new Map([...kept, [sessionId, { held, charged: null }]])
}

/** It was settled. Sessions that nobody knows here change nothing. */
export function withCharge(bills: Bills, sessionId: SessionId, charged: bigint): Bills {
  const bill = bills.get(sessionId)
  return bill === undefined ? bills : new Map(bills).set(sessionId, { ...bill, charged })
}

/** A verdict was told, and with it how the account stands now. */
export function withVerdict(
  { account, verdicts }: Pick<PeerState, 'account' | 'verdicts'>,
  { type: _, standing, ...verdict }: Message<'verdict'>,
  atMs: number,
): Pick<PeerState, 'account' | 'verdicts'> {
  return {
    account: account === null ? null : { ...account, standing },
    verdicts: [...verdicts.slice(1 - VERDICTS_MAX), { ...verdict, atMs }],
  }
}

/** Who computed a stage's part of an answer again; the oldest answer is forgotten for a new one. */
export function withAudit(audits: PeerState['audits'], { type: _, sessionId, ...audit }: Message<'audited'>): PeerState['audits'] {
  const kept = [...audits].filter(([known]) => known !== sessionId).slice(1 - BILLS_MAX)
  return new Map([...kept, [sessionId, [...(audits.get(sessionId) ?? []).slice(1 - AUDITS_MAX), audit]]])
}

function amountsOf({ available, held, escrow, granted }: Record<keyof StatementAmounts, string>): StatementAmounts {
  return { available: BigInt(available), held: BigInt(held), escrow: BigInt(escrow), granted: BigInt(granted) }
}

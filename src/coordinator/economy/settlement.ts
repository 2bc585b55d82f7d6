/**
 * From verification's word to the ledger's commands: who is paid for which work of a session, and by whom. Stages of one account share one
 * escrow in the ledger, so their claims are joined by account. Pure.
 */

import type { ModelConfig } from '../../model/index.ts'
import type { PeerId } from '../../shared/index.ts'
import { addWork, type CommandOf, NO_WORK, type Work } from '../ledger/index.ts'
import type { VerificationEffect } from '../verification/index.ts'
import { workOfLines } from './pricing.ts'

export interface SettlementFacts {
  readonly config: ModelConfig
  readonly maxPositions: number
  /** Null: nobody's, and not paid. */
  readonly accountOf: (peerId: PeerId) => string | null
  readonly isTrusted: (account: string) => boolean
}

/** What one account's claims of a session wait for together. */
export interface EscrowEntry {
  readonly session: string
  readonly account: string
  readonly claimIds: readonly string[]
}

export interface SessionSettlement {
  /** Null: no work that anybody is paid for. The hold is to be released in any case. */
  readonly payment: CommandOf<'settle'> | CommandOf<'cover'> | null
  readonly entries: readonly EscrowEntry[]
}

/** A session is settled once: what its requester pays for is the work that is proven, and never more than that. */
export function settlementOf(effect: Extract<VerificationEffect, { kind: 'settle' }>, facts: SettlementFacts): SessionSettlement {
  const { sessionId, payer, claims } = effect
  const byAccount = new Map<string, { readonly work: Work; readonly claimIds: readonly string[] }>()
  for (const { claimId, peerId, lines } of claims) {
    const account = facts.accountOf(peerId)
    const work = workOfLines(facts.config, lines, facts.maxPositions)
    if (account === null || work.prompt + work.decode === 0n) continue
    const known = byAccount.get(account) ?? { work: NO_WORK, claimIds: [] }
    byAccount.set(account, { work: addWork(known.work, work), claimIds: [...known.claimIds, claimId] })
  }
  if (byAccount.size === 0) return { payment: null, entries: [] }
  const stages = [...byAccount].map(([account, { work }]) => ({ account, work, newcomer: !facts.isTrusted(account) }))
  const work = stages.map((stage) => stage.work).reduce(addWork, NO_WORK)
  const payment =
    payer === 'requester'
      ? ({ kind: 'settle', session: sessionId, part: 0, work, stages } as const)
      : ({ kind: 'cover', session: sessionId, work, stages } as const)
  return { payment, entries: [...byAccount].map(([account, { claimIds }]) => ({ session: sessionId, account, claimIds })) }
}

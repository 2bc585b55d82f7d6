/**
 * Settlements: what verification decides of a session's work, as the ledger's commands: work paid out of the hold, escrow that is paid or goes back, audits
 * paid. Tells who asked what it cost in the end.
 */

import type { ModelConfig } from '../../model/index.ts'
import type { ServerMessage } from '../../protocol/index.ts'
import { type ModelId, type PeerId, required, type SessionId } from '../../shared/index.ts'
import type { Command, CommandOf, LedgerError, LedgerEvent } from '../ledger/index.ts'
import type { OpenAccount } from '../store/index.ts'
import type { Claim, VerificationEffect } from '../verification/index.ts'
import type { HeldSession } from './admissions.ts'
import { Bills, returnedBy, type Settled } from './bills.ts'
import type { Budgets } from './budgets.ts'
import { EscrowBook } from './escrow.ts'
import type { Postings } from './postings.ts'
import { workOfAudit } from './pricing.ts'
import { settlementOf } from './settlement.ts'

type Effect<Kind extends VerificationEffect['kind']> = Extract<VerificationEffect, { kind: Kind }>

/** Micro-credits. */
export type SettledListener = (sessionId: SessionId, charged: bigint) => void

export interface SettlementsOptions {
  readonly models: ReadonlyMap<ModelId, ModelConfig>
  readonly postings: Pick<Postings, 'add'>
  readonly budgets: Pick<Budgets, 'ended'>
  /** Null: nobody's, and not paid. */
  readonly accountOf: (peerId: PeerId) => string | null
  readonly tell: (peerId: PeerId, message: ServerMessage) => void
  readonly log: (line: string) => void
}

export class Settlements {
  readonly #options: SettlementsOptions
  readonly #escrow = new EscrowBook()
  readonly #bills = new Bills()
  readonly #listeners = new Set<SettledListener>()

  constructor(options: SettlementsOptions) {
    this.#options = options
  }

  /** Claims in escrow. */
  get claims(): number {
    return this.#escrow.count
  }

  listen(listener: SettledListener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Escrow that a process before has left, as claims whose account stands where its peer stood. */
  adopt(left: readonly OpenAccount[]): readonly Claim[] {
    return left.map(({ session, owner, sinceMs }) => {
      const claimId = `${session}/${owner}`
      this.#escrow.add({ session, account: owner, claimIds: [claimId] })
      return { claimId, holder: owner, settledMs: sinceMs, pending: false }
    })
  }

  settle(effect: Effect<'settle'>, held: HeldSession, isTrusted: (account: string) => boolean): void {
    const { models, accountOf, postings } = this.#options
    const { sessionId } = effect
    const config = required(models.get(held.modelId), `the model ${held.modelId}`)
    const { payment, entries } = settlementOf(effect, { config, maxPositions: held.maxPositions, accountOf, isTrusted })
    for (const entry of entries) this.#escrow.add(entry)
    this.#bills.begin(sessionId, held)
    const release = { kind: 'release', session: sessionId } as const
    postings.add(sessionId, payment === null ? [release] : [payment, release])
  }

  payOut(claimId: string): void {
    this.#end(this.#escrow.release(claimId))
  }

  payBack(claimId: string): void {
    this.#end(this.#escrow.refund(claimId))
  }

  /** As many rows at a time as a replacement's replay: rule V14. */
  payAudit({ grant, stage, firstLayer, endLayer, peerId, ...rows }: Effect<'pay-audit'>): void {
    const { models, accountOf, postings } = this.#options
    const [config, account] = [models.get(grant.modelId), accountOf(peerId)]
    if (config === undefined || account === null) return
    const work = workOfAudit(config, { firstLayer, endLayer }, rows)
    postings.add(grant.sessionId, [{ kind: 'audit', session: grant.sessionId, stage, account, work }])
  }

  posted(event: LedgerEvent): void {
    if (event.command.kind === 'release') this.#options.budgets.ended(event.command.session, returnedBy(event))
    this.#tellCost(this.#bills.posted(event))
  }

  /** An escrow may be empty: of work too small to be worth a micro-credit, or that the reserve could not pay. */
  refused(command: Command, error: LedgerError): void {
    if (command.kind === 'release' && error.reason === 'empty') {
      this.#options.budgets.ended(command.session, 0n)
      this.#tellCost(this.#bills.emptied(command.session))
    }
    const isUsual =
      (error.reason === 'empty' && command.kind !== 'settle') ||
      (error.reason === 'insufficient' && (command.kind === 'cover' || command.kind === 'audit'))
    if (!isUsual) this.#options.log(`the ledger refused a ${command.kind}: ${error.message}`)
  }

  /** Nothing was held for it. */
  costNothing(driver: PeerId, sessionId: SessionId): void {
    this.#tellCost({ driver, sessionId, charged: 0n })
  }

  #end(command: CommandOf<'payout' | 'refund'> | null): void {
    if (command !== null) this.#options.postings.add(command.session, [command])
  }

  /** Rule E10. */
  #tellCost(settled: Settled | null): void {
    if (settled === null) return
    const { driver, sessionId, charged } = settled
    this.#options.tell(driver, { type: 'settled', sessionId, charged: charged.toString() })
    for (const listener of this.#listeners) listener(sessionId, charged)
  }
}

/**
 * LedgerAudit: reads a ledger line by line, recomputes every balance, hash and head, and names the first line that breaks a rule. It trusts
 * nothing but the lines' order; its memory grows with accounts that are not empty, and with ids.
 */

import type { Sha256, VerifySignature } from '../../shared/index.ts'
import { type Account, accountId, issuance, mayBeNegative } from './accounts.ts'
import { businessId } from './commands.ts'
import { LedgerError } from './errors.ts'
import { checkLaws, FIRST_PREVIOUS, hashEvent, type LedgerEvent } from './event.ts'
import type { LedgerLine } from './export.ts'
import { type SignedHead, verifyHead } from './head.ts'
import { TreeEdge } from './tree.ts'

export interface AuditSummary {
  readonly events: number
  readonly heads: number
  /** Micro-credits: minus the balance of issuance. */
  readonly outstanding: bigint
  /** Accounts that are not empty, issuance among them. */
  readonly accounts: number
}

export class LedgerAudit {
  readonly #sha256: Sha256
  readonly #verify: VerifySignature
  readonly #edge: TreeEdge
  readonly #balances = new Map<string, { readonly account: Account; readonly amount: bigint }>()
  readonly #ids = new Set<string>()
  #previous = FIRST_PREVIOUS
  #heads = 0
  #headSize = 0
  #publicKey: string | null = null

  constructor(sha256: Sha256, verify: VerifySignature) {
    this.#sha256 = sha256
    this.#verify = verify
    this.#edge = new TreeEdge(sha256)
  }

  /** Throws a LedgerError `broken` that names the line. */
  async take(line: LedgerLine): Promise<void> {
    if (line.kind === 'head') return this.#takeHead(line.head)
    const { event, hash } = line
    const id = businessId(event.command)
    const isUnchanged = (await hashEvent(event, this.#previous, this.#sha256)) === hash
    const what = this.#placeFault(event, id) ?? (isUnchanged ? this.#lawFault(event) : HASH_FAULT)
    if (what !== null) throw new LedgerError('broken', `event ${event.sequence} (${id}) ${what}`)
    await this.#edge.push(0, hash)
    this.#previous = hash
    this.#ids.add(id)
  }

  /** Balances that are not 0, by account id. */
  balances(): ReadonlyMap<string, { readonly account: Account; readonly amount: bigint }> {
    return this.#balances
  }

  /** Throws a LedgerError `broken` unless the last head covers all events. */
  finish(): AuditSummary {
    if (this.#headSize !== this.#edge.size)
      throw new LedgerError('broken', `the last head covers ${this.#headSize} of ${this.#edge.size} events; lines are missing at the end`)
    const outstanding = -(this.#balances.get(accountId(issuance))?.amount ?? 0n)
    return { events: this.#edge.size, heads: this.#heads, outstanding, accounts: this.#balances.size }
  }

  #placeFault({ sequence }: LedgerEvent, id: string): string | null {
    if (sequence !== this.#edge.size) return `stands where event ${this.#edge.size} should`
    return this.#ids.has(id) ? 'was posted twice' : null
  }

  /** Counts the event in. */
  #lawFault(event: LedgerEvent): string | null {
    const laws = checkLaws(event)
    if (!laws.ok) return `breaks a law: ${laws.error.message}`
    for (const { account, amount } of event.postings) {
      const after = (this.#balances.get(accountId(account))?.amount ?? 0n) + amount
      if (after < 0n && !mayBeNegative(account)) return `leaves ${accountId(account)} with ${after} micro-credits`
      if (after === 0n) this.#balances.delete(accountId(account))
      else this.#balances.set(accountId(account), { account, amount: after })
    }
    return null
  }

  async #takeHead(head: SignedHead): Promise<void> {
    const broken = (what: string) => new LedgerError('broken', `the head over ${head.size} events ${what}`)
    if (head.size !== this.#edge.size || head.size <= this.#headSize) throw broken(`stands behind ${this.#edge.size} events`)
    if (head.root !== (await this.#edge.root())) throw broken('has another root than these events')
    if (this.#publicKey !== null && head.publicKey !== this.#publicKey) throw broken('is signed by another key than those before')
    if (!(await verifyHead(head, this.#verify))) throw broken('has a signature that its key did not make')
    this.#publicKey = head.publicKey
    this.#headSize = head.size
    this.#heads++
  }
}

const HASH_FAULT = 'was changed, or the one before: its hash is not that of what it says'

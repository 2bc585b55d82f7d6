/**
 * LedgerAudit: reads a ledger line by line, recomputes every balance, hash and head, and names the first line that breaks a rule. It trusts
 * nothing but the lines' order; its memory grows with accounts that are not empty, and with ids.
 */

import type { Sha256, VerifySignature } from '../../shared/index.ts'
import { type Account, accountId, issuance, mayBeNegative, type Posting } from './accounts.ts'
import { AMOUNT_MAX } from './amounts.ts'
import { businessId } from './commands.ts'
import { LedgerError } from './errors.ts'
import { checkLaws, FIRST_PREVIOUS, hashEvent, type LedgerEvent } from './event.ts'
import type { LedgerLine } from './export.ts'
import { type SignedHead, verifyHead } from './head.ts'
import { issuedBy } from './rules/issue.ts'
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
  /** Of events that made or ended credits: what their compensation has to post. */
  readonly #opposites = new Map<string, string>()
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
    return { events: this.#edge.size, heads: this.#heads, outstanding: this.#outstanding, accounts: this.#balances.size }
  }

  #placeFault({ sequence }: LedgerEvent, id: string): string | null {
    if (sequence !== this.#edge.size) return `stands where event ${this.#edge.size} should`
    return this.#ids.has(id) ? 'was posted twice' : null
  }

  /** Counts the event in. */
  #lawFault(event: LedgerEvent): string | null {
    const laws = checkLaws(event)
    if (!laws.ok) return `breaks a law: ${laws.error.message}`
    const fault = this.#issuanceFault(event)
    if (fault !== null) return fault
    for (const { account, amount } of event.postings) {
      const after = (this.#balances.get(accountId(account))?.amount ?? 0n) + amount
      if (after < 0n && !mayBeNegative(account)) return `leaves ${accountId(account)} with ${after} micro-credits`
      if (after === 0n) this.#balances.delete(accountId(account))
      else this.#balances.set(accountId(account), { account, amount: after })
    }
    return this.#outstanding <= AMOUNT_MAX ? null : `leaves ${this.#outstanding} micro-credits outstanding, more than there may be`
  }

  /** Credits are made by `issue` alone, as it says, and ended by `expire`; a compensation of one of those is its opposite. */
  #issuanceFault({ command, postings }: LedgerEvent): string | null {
    const moved = postings.find(({ account }) => account.kind === issuance.kind)?.amount ?? 0n
    switch (command.kind) {
      case 'issue':
        if (textOf(postings) !== textOf(issuedBy(command))) return 'posts something else than it says that it issues'
        break
      case 'expire':
        if (moved < 0n) return 'makes credits where it should end some'
        break
      case 'compensate':
        if (textOf(postings) === this.#opposites.get(command.event)) return null
        return moved === 0n ? null : `is not the opposite of ${command.event}, and moves credits out of issuance or into it`
      default:
        return moved === 0n ? null : `moves credits out of issuance or into it, which a ${command.kind} must not`
    }
    this.#opposites.set(businessId(command), textOf(postings.map(({ account, amount }) => ({ account, amount: -amount }))))
    return null
  }

  get #outstanding(): bigint {
    return -(this.#balances.get(accountId(issuance))?.amount ?? 0n)
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

/** In any order. */
function textOf(postings: readonly Posting[]): string {
  return postings
    .map(({ account, amount }) => `${accountId(account)} ${amount}`)
    .sort()
    .join('\n')
}

const HASH_FAULT = 'was changed, or the one before: its hash is not that of what it says'

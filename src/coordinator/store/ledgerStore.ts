/**
 * LedgerStore: the ledger on a database. Posts commands, answers what accounts and the operator ask, and hands out proofs. Its rules are
 * the ledger's; its transactions are batch.ts.
 */

import { signatureVerifier } from '../../network/index.ts'
import type { Clock, StatementAmounts, StatementLine } from '../../shared/index.ts'
import {
  type AuditSummary,
  type Command,
  type CommandOf,
  checkedCommand,
  consistencyProof,
  eventText,
  inclusionProof,
  LedgerError,
  type LedgerLine,
  monthSpan,
  type SignedHead,
  Statement,
  type StatementSummary,
  sumUp,
} from '../ledger/index.ts'
import { type Answer, type BatchTools, lastHead, postBatch, type Receipt } from './batch.ts'
import type { Database } from './database.ts'
import { GroupCommit } from './groupCommit.ts'
import { openKey } from './key.ts'
import { auditStore, rebuildBalances, snapshot } from './projections.ts'
import {
  type Balance,
  type OpenAccount,
  readBalances,
  readBalancesBefore,
  readHashBefore,
  readLines,
  readNodesFrom,
  readOpenAccounts,
  readOwnEvents,
  readOwnEventsWithin,
  readPaid,
  readPrices,
  readSpendable,
  readTotals,
} from './reading.ts'
import type { RecordedEvent } from './rows.ts'
import { sha256 } from './sha256.ts'

export interface LedgerStoreOptions {
  /** Coordinator time: milliseconds since the epoch. */
  readonly clock: Clock
  /** False: every command gets a transaction of its own, to measure what sharing is worth. */
  readonly sharing?: boolean
}

export interface StatementTaker {
  opening(opening: StatementAmounts): Promise<void> | void
  line(line: StatementLine): Promise<void> | void
}

/** Lines of a month that follow each other. */
export interface StatementPage {
  /** What the account had when the month began. */
  readonly opening: StatementAmounts
  /** At its end, or now. */
  readonly closing: StatementAmounts
  readonly lines: readonly StatementLine[]
  /** Sequence of the event that the next page begins with; null: there is none. */
  readonly next: number | null
}

/** An event as its account checks it: hashEventText gives its leaf, verifyInclusion the rest. */
export interface ProvenEvent {
  readonly sequence: number
  readonly text: string
  /** Hash of the event before, hex. */
  readonly previous: string
  readonly path: readonly string[]
}

/** The longest that a command waits for others to share its transaction. */
const SHARE_MS = 20
/** Commands of one transaction: larger ones make all wait for the last. */
const BATCH_MAX = 256

export class LedgerStore {
  readonly #tools: BatchTools
  readonly #group: GroupCommit<Command, Answer>

  private constructor(tools: BatchTools, { clock, sharing = true }: LedgerStoreOptions) {
    this.#tools = tools
    this.#group = new GroupCommit({
      clock,
      shareMs: SHARE_MS,
      itemsMax: sharing ? BATCH_MAX : 1,
      commit: (commands) => postBatch(tools, commands, Math.floor(clock.nowMs())),
    })
  }

  /** The ledger on a database that others may use too, and that its opener closes. */
  static async open({ queries }: Database, options: LedgerStoreOptions): Promise<LedgerStore> {
    return new LedgerStore({ queries, sha256, signer: await openKey(queries), prices: new Map() }, options)
  }

  /** Resolves when the event has been committed. Rejects with a LedgerError when a rule refuses it, with a StoreError when it may be tried again. */
  async post(command: Command): Promise<Receipt> {
    const checked = checkedCommand(command)
    // Somebody waits for a hold before anything is computed; nobody waits for the rest.
    const answer = await this.#group.run(checked, checked.kind === 'hold')
    if (!answer.ok) throw answer.error
    return answer.value
  }

  /** The ledger's own, raw P-256: every head is signed by it. */
  get publicKey(): Uint8Array {
    return this.#tools.signer.publicKey
  }

  /** Null before the first event. */
  head(): Promise<SignedHead | null> {
    return lastHead(this.#tools.queries, this.#tools.signer)
  }

  /** All accounts that are not empty, or those of one owner. */
  balances(owner?: string): Promise<readonly Balance[]> {
    return readBalances(this.#tools.queries, owner)
  }

  /** Micro-credits by kind of account, of all owners. */
  totals(): Promise<ReadonlyMap<string, bigint>> {
    return readTotals(this.#tools.queries)
  }

  /** Micro-credits that each of these owners can spend; who has none is left out. */
  spendable(owners: readonly string[]): Promise<ReadonlyMap<string, bigint>> {
    return readSpendable(this.#tools.queries, owners)
  }

  /** Micro-credits that `owner` was ever paid: out of escrow, and for audits. */
  paid(owner: string): Promise<bigint> {
    return readPaid(this.#tools.queries, owner)
  }

  /** Holds, or escrows, that are not empty, the oldest first. */
  open(kind: 'hold' | 'escrow'): Promise<readonly OpenAccount[]> {
    return readOpenAccounts(this.#tools.queries, kind)
  }

  /** The table of prices in force; null where there is none. */
  prices(): Promise<CommandOf<'price'> | null> {
    return readPrices(this.#tools.queries)
  }

  /** At most `limit` events from sequence `from` on that post to an account of `owner`. */
  events(owner: string, from: number, limit: number): Promise<readonly RecordedEvent[]> {
    return readOwnEvents(this.#tools.queries, owner, from, limit)
  }

  /**
   * Hands the lines of an account's month (UTC, `2027-01`) to `take`, in order, after what it opened with; resolves to what they come to. Rejects with a
   * LedgerError `not-allowed` on a text that is no month.
   */
  async statement(owner: string, month: string, take: StatementTaker): Promise<StatementSummary> {
    const span = checkedMonth(month)
    return snapshot(this.#tools.queries, async (view) => {
      const statement = new Statement(owner, month, await readBalancesBefore(view, owner, span.startMs))
      await take.opening(statement.opening)
      for await (const { event } of readOwnEventsWithin(view, owner, { ...span, from: 0 }))
        for (const line of statement.take(event)) await take.line(line)
      return statement.summary()
    })
  }

  /** At most `linesMax` lines of an account's month, from the event of sequence `from` on. Rejects as `statement` does. */
  async statementPage(owner: string, month: string, from: number, linesMax: number): Promise<StatementPage> {
    const span = checkedMonth(month)
    return snapshot(this.#tools.queries, async (view) => {
      const opening = sumUp(await readBalancesBefore(view, owner, span.startMs))
      const closing = sumUp(await readBalancesBefore(view, owner, span.endMs))
      const statement = new Statement(owner, month, [])
      const lines: StatementLine[] = []
      for await (const { event } of readOwnEventsWithin(view, owner, { ...span, from }, linesMax + 1)) {
        const more = statement.take(event)
        if (lines.length + more.length > linesMax) return { opening, closing, lines, next: event.sequence }
        lines.push(...more)
      }
      return { opening, closing, lines, next: null }
    })
  }

  /** Shows that event `sequence` is in the ledger of `size` events: see verifyInclusion. */
  inclusion(sequence: number, size: number): Promise<readonly string[]> {
    return inclusionProof(sequence, size, readNodesFrom(this.#tools.queries), sha256)
  }

  /** Events that post to an account of `owner`, from sequence `from` on, each with what shows that it is in the ledger of `size` events. */
  async proven(owner: string, from: number, size: number, limit: number): Promise<readonly ProvenEvent[]> {
    const events = await this.events(owner, from, limit)
    const within = events.filter(({ event }) => event.sequence < size)
    return Promise.all(
      within.map(async ({ event }) => {
        const { sequence } = event
        const [previous, path] = await Promise.all([readHashBefore(this.#tools.queries, sequence), this.inclusion(sequence, size)])
        return { sequence, text: eventText(event), previous, path }
      }),
    )
  }

  /** Shows that the ledger of `size` events begins with that of `oldSize`: see verifyConsistency. */
  consistency(oldSize: number, size: number): Promise<readonly string[]> {
    return consistencyProof(oldSize, size, readNodesFrom(this.#tools.queries), sha256)
  }

  /** Hands every line to `take`, in order, as of now. */
  forEachLine(take: (line: LedgerLine) => Promise<void> | void): Promise<void> {
    return snapshot(this.#tools.queries, async (view) => {
      for await (const line of readLines(view, this.publicKey)) await take(line)
    })
  }

  /** Recomputes everything. Rejects with a LedgerError `broken` that names what is wrong first. */
  audit(): Promise<AuditSummary> {
    return auditStore(this.#tools.queries, { sha256, verify: signatureVerifier(crypto.subtle), publicKey: this.publicKey })
  }

  rebuild(): Promise<void> {
    return rebuildBalances(this.#tools.queries)
  }

  /** Takes no more, and resolves when all that came before has been committed. The database stays open. */
  close(): Promise<void> {
    return this.#group.close()
  }
}

function checkedMonth(month: string): { readonly startMs: number; readonly endMs: number } {
  const span = monthSpan(month)
  if (span === null) throw new LedgerError('not-allowed', `"${month}" is no month; write it as 2027-01`)
  return span
}

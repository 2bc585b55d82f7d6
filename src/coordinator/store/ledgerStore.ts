/**
 * LedgerStore: the ledger on a database. Posts commands, answers what accounts and the operator ask, and hands out proofs. Its rules are
 * the ledger's; its transactions are batch.ts.
 */

import { createHash } from 'node:crypto'
import { createStoredIdentity, openIdentity, signatureVerifier } from '../../network/index.ts'
import { type Clock, fromBase64Url, required, type Sha256, type Signer, toBase64Url } from '../../shared/index.ts'
import {
  type AuditSummary,
  type Command,
  consistencyProof,
  encodeCommand,
  FIRST_PREVIOUS,
  inclusionProof,
  type LedgerLine,
  parseCommand,
  type SignedHead,
} from '../ledger/index.ts'
import { type Answer, type BatchTools, lastHead, postBatch, type Receipt } from './batch.ts'
import { type Database, openDatabase, type StorePlace } from './database.ts'
import { GroupCommit } from './groupCommit.ts'
import { auditStore, rebuildBalances, snapshot } from './projections.ts'
import { type Balance, readBalances, readLines, readNodesFrom, readOwnEvents } from './reading.ts'
import type { RecordedEvent } from './rows.ts'
import { ledgerState } from './schema.ts'

export interface LedgerStoreOptions {
  /** Coordinator time: milliseconds since the epoch. */
  readonly clock: Clock
  /** False: every command gets a transaction of its own, to measure what sharing is worth. */
  readonly sharing?: boolean
}

/** The longest that a command waits for others to share its transaction. */
const SHARE_MS = 20
/** Commands of one transaction: larger ones make all wait for the last. */
const BATCH_MAX = 256

export class LedgerStore {
  readonly #database: Database
  readonly #tools: BatchTools
  readonly #group: GroupCommit<Command, Answer>

  private constructor(database: Database, tools: BatchTools, { clock, sharing = true }: LedgerStoreOptions) {
    this.#database = database
    this.#tools = tools
    this.#group = new GroupCommit({
      clock,
      shareMs: SHARE_MS,
      itemsMax: sharing ? BATCH_MAX : 1,
      commit: (commands) => postBatch(tools, commands, Math.floor(clock.nowMs())),
    })
  }

  /** Rejects with a StoreError: `in-use` where another process has the folder. */
  static async open(place: StorePlace, options: LedgerStoreOptions): Promise<LedgerStore> {
    const database = await openDatabase(place)
    try {
      const { queries } = database
      return new LedgerStore(database, { queries, sha256, signer: await openKey(database), prices: new Map() }, options)
    } catch (error) {
      await database.close()
      throw error
    }
  }

  /** Resolves when the event has been committed. Rejects with a LedgerError when a rule refuses it, with a StoreError when it may be tried again. */
  async post(command: Command): Promise<Receipt> {
    const checked = parseCommand(JSON.parse(encodeCommand(command)))
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

  /** At most `limit` events from sequence `from` on that post to an account of `owner`. */
  events(owner: string, from: number, limit: number): Promise<readonly RecordedEvent[]> {
    return readOwnEvents(this.#tools.queries, owner, from, limit)
  }

  /** Shows that event `sequence` is in the ledger of `size` events: see verifyInclusion. */
  inclusion(sequence: number, size: number): Promise<readonly string[]> {
    return inclusionProof(sequence, size, readNodesFrom(this.#tools.queries), sha256)
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

  /** Writes what waits, then closes. */
  async close(): Promise<void> {
    await this.#group.close()
    await this.#database.close()
  }
}

const sha256: Sha256 = async (bytes) => createHash('sha256').update(bytes).digest()

/** The key of this ledger; the first to open it makes one. */
async function openKey({ queries }: Database): Promise<Signer> {
  const { subtle } = crypto
  const fresh = await createStoredIdentity(subtle)
  const first = { only: 1, size: 0, previous: FIRST_PREVIOUS, peaks: '[]' }
  const keys = { publicKey: toBase64Url(fresh.publicKey), privateKey: toBase64Url(fresh.privateKey) }
  await queries
    .insert(ledgerState)
    .values({ ...first, ...keys })
    .onConflictDoNothing()
  const [state] = await queries.select().from(ledgerState)
  const { publicKey, privateKey } = required(state, 'the row of ledger_state')
  const bytes = (text: string, what: string) => required(fromBase64Url(text), what)
  return openIdentity(subtle, { publicKey: bytes(publicKey, 'the public key'), privateKey: bytes(privateKey, 'the private key') })
}

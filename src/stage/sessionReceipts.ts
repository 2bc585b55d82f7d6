/**
 * SessionReceipts: what one stage signs of one session, segment by segment, and how far its driver has acknowledged, which the coordinator hears
 * too. Counting and signing is the ReceiptBook's matter; a host without one signs nothing, and asks for no acknowledgement. Rules V8 … V10 and V25
 * of protocol/SPEC.md.
 */

import {
  type LedgerHead,
  type ReceiptFrame,
  type RowCounts,
  readReceipt,
  rowTotal,
  type SignedReceipt,
  servedEnd,
  waitedRows,
} from '../protocol/index.ts'
import type { Part, PartLinks, ReceiptBook } from '../receipts/index.ts'
import { fromBase64Url } from '../shared/index.ts'
import type { LoggedRow } from './activationLog.ts'
import type { Opening } from './opening.ts'
import type { PassRows } from './outputFrames.ts'

export interface SessionReceiptsPorts {
  readonly book: ReceiptBook | null
  /** Whether the driver has that raw public key, and signed with it. */
  readonly isSigned: (signed: SignedReceipt, publicKey: Uint8Array) => Promise<boolean>
  /** What its driver was told of the ledger, once the receipt that says it has been checked. */
  readonly onHead: (head: LedgerHead) => void
  /** More may be computed. */
  readonly onAcknowledged: () => void
  /** What came over the driver's link is not the driver's word, as the coordinator would take it. */
  readonly onForged: () => void
}

/** A driver's receipt, before its signature has been checked. */
interface Unchecked {
  readonly receipt: SignedReceipt
  readonly publicKey: Uint8Array
  /** Of the segment that it is about; null: of another than the present one. */
  readonly part: Part | null
  endPosition: number
  readonly head: LedgerHead | null
}

export class SessionReceipts {
  readonly #ports: SessionReceiptsPorts
  #part: Part | null = null
  #acknowledged = 0
  /** The driver's last receipt of the present segment. */
  #acknowledgement: SignedReceipt | null = null
  /** Being checked, and what came last meanwhile: that says more than those in between. */
  readonly #unchecked: { now: Unchecked | null; next: Unchecked | null } = { now: null, next: null }

  constructor(ports: SessionReceiptsPorts) {
    this.#ports = ports
  }

  get #book(): ReceiptBook | null {
    return this.#ports.book
  }

  /** A segment begins: its chain is the opening's. */
  begin({ grant, place }: Opening, epoch: number): void {
    const { index, span } = place
    const party = (computed: RowCounts, links: PartLinks) =>
      ({ kind: 'stage', index, firstLayer: span.firstLayer, endLayer: span.endLayer, computed: within(computed, links) }) as const
    this.#part = this.#book?.begin({ grant, epoch, party }) ?? null
  }

  /** This stage takes no further part in the segment. */
  end(): void {
    if (this.#acknowledgement !== null) this.#book?.forward(this.#acknowledgement)
    this.#acknowledgement = null
    if (this.#part !== null) this.#book?.end(this.#part)
    this.#part = null
  }

  /** The upstream was told to go on at that position. */
  receivesFrom(position: number): void {
    this.#part?.begin('received', position)
  }

  /** The downstream wants rows from that position on. */
  sendsFrom(position: number): void {
    this.#part?.begin('sent', position)
  }

  /** Rows came; a log keeps those before `keptLength`. */
  received(firstPosition: number, rows: readonly LoggedRow[], keptLength: number): void {
    this.#part?.pass('received', firstPosition, rows, (position) => position < keptLength)
  }

  /** Rows were sent; the log keeps those before `keptLength`. */
  sent(firstPosition: number, rows: readonly LoggedRow[], keptLength: number): void {
    this.#part?.pass('sent', firstPosition, rows, (position) => position < keptLength)
  }

  /** A pass is done; the first `kept` of its rows were not taken back meanwhile. */
  computed({ kind, firstPosition, rowCount, resultCount }: PassRows, kept: number): void {
    const work = this.#part?.workFrom(firstPosition)
    for (let row = 0; row < rowCount; row++) {
      const counted = { kind, wanted: row >= rowCount - resultCount }
      if (row < kept) work?.pass(counted)
      else work?.count(counted)
    }
  }

  /** Positions ≥ `length` were taken back. */
  truncate(epoch: number, length: number): void {
    this.#part?.truncate(epoch, length)
    this.#acknowledged = Math.min(this.#acknowledged, length)
    for (const unchecked of [this.#unchecked.now, this.#unchecked.next])
      if (unchecked !== null) unchecked.endPosition = Math.min(unchecked.endPosition, length)
  }

  /** The driver's receipt, which came over its own link; returns the rule that it breaks, or null. It counts once its signature has been checked. */
  acknowledge({ sessionId, receipt, publicKey }: ReceiptFrame): string | null {
    const read = readReceipt(receipt)
    if (!read.ok) return read.error
    const { party, received, revision, head } = read.value
    if (read.value.sessionId !== sessionId || party.kind !== 'driver') return 'the receipt is not of this session by its driver'
    const key = fromBase64Url(publicKey)
    if (key === null) return 'the key of its receipt is not base64url'
    const part = revision === this.#part?.revision ? this.#part : null
    this.#unchecked.next = { receipt, publicKey: key, part, endPosition: received.endPosition, head }
    if (this.#unchecked.now === null && this.#book !== null) void this.#check()
    return null
  }

  async #check(): Promise<void> {
    const { isSigned, onForged } = this.#ports
    while (this.#unchecked.next !== null) {
      const { next } = this.#unchecked
      Object.assign(this.#unchecked, { now: next, next: null })
      if (await isSigned(next.receipt, next.publicKey)) this.#count(next)
      else onForged()
    }
    this.#unchecked.now = null
  }

  #count({ receipt, part, endPosition, head }: Unchecked): void {
    if (head !== null) this.#ports.onHead(head)
    this.#acknowledged = Math.max(this.#acknowledged, endPosition)
    if (part !== null && part === this.#part) this.#acknowledgement = receipt
    // Its segment has ended meanwhile.
    else if (part !== null) this.#book?.forward(receipt)
    this.#ports.onAcknowledged()
  }

  /** Rows from `position` on that are computed before the driver acknowledges more. */
  rowsMax(position: number): number {
    return this.#book === null ? Number.POSITIVE_INFINITY : servedEnd(this.#acknowledged) - position
  }
}

/** As rule V3 has it. A stage that had taken back more than its downstream computes a few rows that count nowhere. */
function within(computed: RowCounts, links: PartLinks): RowCounts {
  const { received } = links
  const waited = waitedRows(links)
  const prompt = Math.min(computed.prompt, received.prompt + waited)
  const decode = Math.min(computed.decode, received.decode + waited, rowTotal(received) + waited - prompt)
  return { prompt, decode, results: Math.min(computed.results, received.results + waited, prompt + decode) }
}

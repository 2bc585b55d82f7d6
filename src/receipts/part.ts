/**
 * Part: one peer's part in one segment of a session, a stage's or the driver's: counts what passes its two links, and signs it at
 * checkpoints, where the coordinator asks, and at the end. Rules V6 … V9 of protocol/SPEC.md.
 */

import {
  CHECKPOINT_POSITIONS,
  type Grant,
  type LedgerHead,
  lastCheckpoint,
  RECEIPTS_MAX,
  type ReceiptParty,
  type RowCounts,
  type SignedReceipt,
  signReceipt,
} from '../protocol/index.ts'
import { type Clock, type PeerId, SerialQueue, type SessionId, type Sha256, type Signer } from '../shared/index.ts'
import { type Cut, LinkEnd, type PassingRow } from './linkEnd.ts'
import type { RowBudget } from './rowBudget.ts'
import { RowTally } from './rowTally.ts'

/** What passed, at some cut. */
export interface PartLinks {
  readonly received: Cut['tally']
  readonly sent: Cut['tally']
}

export interface PartSetup {
  readonly grant: Pick<Grant, 'sessionId' | 'revision' | 'expiresAtMs'>
  /** Of the last truncation before. */
  readonly epoch: number
  /** Who it is; `work` is what a stage computed, or what a driver sent again. */
  readonly party: (work: RowCounts, links: PartLinks) => ReceiptParty
  /** In the order in which they were signed, one after the other. */
  readonly onSigned: (signed: SignedReceipt) => void | Promise<void>
}

export interface PartTools {
  readonly peerId: PeerId
  readonly signer: Pick<Signer, 'sign'>
  readonly sha256: Sha256
  /** Coordinator time. */
  readonly clock: Clock
  readonly budget: RowBudget
  /** The ledger's last head that this peer has checked. */
  readonly head: () => LedgerHead | null
}

/** Positions that the coordinator asked for and that rows have not reached. */
const ASKED_MAX = 4

const NO_ROWS: RowCounts = { prompt: 0, decode: 0, results: 0 }

export class Part {
  readonly #setup: PartSetup
  readonly #tools: PartTools
  readonly #links: { readonly received: LinkEnd; readonly sent: LinkEnd }
  readonly #signing = new SerialQueue()
  #work: RowTally | null = null
  #epoch: number
  #sequence = 0
  /** The last checkpoint that was signed, or lay behind when both links had begun; null before. */
  #signedUpTo: number | null = null
  #asked: readonly number[] = []
  #ended = false

  constructor(setup: PartSetup, tools: PartTools) {
    this.#setup = setup
    this.#tools = tools
    this.#epoch = setup.epoch
    const { sha256, budget } = tools
    this.#links = { received: new LinkEnd(sha256, budget), sent: new LinkEnd(sha256, budget) }
  }

  get sessionId(): SessionId {
    return this.#setup.grant.sessionId
  }

  get revision(): number {
    return this.#setup.grant.revision
  }

  get ended(): boolean {
    return this.#ended
  }

  /** The link's receiver goes on at that position. */
  begin(link: 'received' | 'sent', firstPosition: number): void {
    if (this.#ended) return
    this.#links[link].begin(firstPosition)
    const end = this.#endPosition
    if (end !== null) this.#signedUpTo = lastCheckpoint(end)
  }

  /** Rows pass the link, see LinkEnd. */
  pass(
    link: 'received' | 'sent',
    firstPosition: number,
    rows: readonly PassingRow[],
    isKept: (position: number) => boolean = () => false,
  ): void {
    if (this.#ended) return
    this.#links[link].pass(firstPosition, rows, isKept)
    this.#signDue()
  }

  /** The peer's own work, which began at that position if this is its beginning. */
  workFrom(firstPosition: number): RowTally {
    this.#work ??= new RowTally(firstPosition, this.#tools.budget)
    return this.#work
  }

  /** Positions ≥ `length` are taken back. */
  truncate(epoch: number, length: number): void {
    if (this.#ended) return
    this.#epoch = epoch
    for (const rows of [this.#links.received, this.#links.sent, this.#work]) rows?.truncate(length)
    if (this.#signedUpTo !== null) this.#signedUpTo = Math.min(this.#signedUpTo, lastCheckpoint(length))
  }

  /** Signs where it is now: for who has to be told before a checkpoint comes. */
  signNow(): void {
    if (!this.#ended) this.#sign(Number.POSITIVE_INFINITY)
  }

  /** The coordinator wants a receipt at that position: now if its rows have passed or nothing more will, else when they have. */
  ask(endPosition: number): void {
    if (this.#ended || endPosition <= (this.#endPosition ?? -1)) this.#sign(endPosition)
    else if (this.#asked.length < ASKED_MAX) this.#asked = [...this.#asked, endPosition]
  }

  /** It takes no further part in this segment. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#sign(Number.POSITIVE_INFINITY)
  }

  /** Resolves when everything due is signed and told. */
  settled(): Promise<void> {
    return this.#signing.idle()
  }

  /** Gives the memory back. */
  drop(): void {
    for (const rows of [this.#links.received, this.#links.sent, this.#work]) rows?.drop()
  }

  /** Up to where rows have passed both links. */
  get #endPosition(): number | null {
    const [received, sent] = [this.#links.received.endPosition, this.#links.sent.endPosition]
    return received === null || sent === null ? null : Math.min(received, sent)
  }

  #signDue(): void {
    const end = this.#endPosition
    if (end === null || this.#signedUpTo === null) return
    for (const due = lastCheckpoint(end); this.#signedUpTo < due; ) {
      this.#signedUpTo += CHECKPOINT_POSITIONS
      this.#sign(this.#signedUpTo)
    }
    const reached = this.#asked.filter((position) => position <= end)
    if (reached.length === 0) return
    this.#asked = this.#asked.filter((position) => position > end)
    for (const position of reached) this.#sign(position)
  }

  #sign(endPosition: number): void {
    if (this.#sequence > RECEIPTS_MAX) return
    const { grant, party, onSigned } = this.#setup
    const { peerId, signer, clock, head } = this.#tools
    const [received, sent] = [this.#links.received.cutAt(endPosition), this.#links.sent.cutAt(endPosition)]
    const work = this.#work?.countsAt(endPosition) ?? NO_ROWS
    const said = {
      version: 1 as const,
      sessionId: grant.sessionId,
      revision: grant.revision,
      peerId,
      party: party(work, { received: received.tally, sent: sent.tally }),
      epoch: this.#epoch,
      sequence: this.#sequence++,
      // A session that ends with its grant signs a moment later.
      timeMs: Math.min(clock.nowMs(), grant.expiresAtMs - 1),
      final: this.#ended,
      head: head(),
    }
    const signing = this.#signing.run(async () => {
      const [receivedHash, sentHash] = await Promise.all([received.hash, sent.hash])
      // Taken back before it could be signed: the next one says what stands.
      if (receivedHash === null || sentHash === null) return
      const tallies = { received: { ...received.tally, hash: receivedHash }, sent: { ...sent.tally, hash: sentHash } }
      await onSigned(await signReceipt({ ...said, ...tallies }, signer))
    })
    // One that cannot be signed is missing, which costs this peer what only its own word would have proven.
    signing.catch(() => undefined)
  }
}

/**
 * ReceiptCheck: all receipts of a run, compared as the coordinator compares them. Everybody is honest here, whatever happens to them: so nobody may
 * seem to lie, no link may be disputed, nobody pays for more than its driver submitted, and an undisturbed session pays its stages in full.
 */

import { SessionBook, settle, type TrackedSession } from '../coordinator/verification/index.ts'
import { type Grant, type Receipt, rowTotal } from '../protocol/index.ts'
import type { ReceiptRequest } from '../receipts/index.ts'
import type { PeerId, SessionId } from '../shared/index.ts'

export interface ReceiptCheckOptions {
  readonly nowMs: () => number
  /** That peer is to sign a receipt of that segment at that position. */
  readonly ask: (peerId: PeerId, wanted: ReceiptRequest) => void
  /** Whether nothing happened to these peers since that session's question. */
  readonly isUndisturbed: (peerIds: readonly PeerId[], sinceMs: number) => boolean
  readonly onBroken: (sessionId: SessionId, what: string) => void
}

/** What the simulation knows of a session beside its receipts. */
interface Known {
  readonly askedMs: number
  /** Rows that its driver submitted, also those that it took back. */
  submittedRows: number
  /** The whole answer came. */
  isAnswered: boolean
}

/** What was compared. Work is rows × layers. */
export interface ReceiptFigures {
  readonly receipts: number
  readonly sessions: number
  /** Sessions that nothing happened to, whose stages had to be paid in full. */
  readonly undisturbed: number
  readonly workSubmitted: number
  readonly workPaid: number
}

export class ReceiptCheck {
  readonly #options: ReceiptCheckOptions
  readonly #book = new SessionBook()
  readonly #known = new Map<SessionId, Known>()
  /** Of the newest grant. */
  readonly #stages = new Map<SessionId, readonly PeerId[]>()
  readonly #figures = { receipts: 0, sessions: 0, undisturbed: 0, workSubmitted: 0, workPaid: 0 }

  constructor(options: ReceiptCheckOptions) {
    this.#options = options
  }

  get figures(): ReceiptFigures {
    return this.#figures
  }

  onGrant(grant: Grant): void {
    const { sessionId, revision, stages, driver } = grant
    const peerIds = stages.map(({ peerId }) => peerId)
    const before = this.#stages.get(sessionId) ?? []
    this.#stages.set(sessionId, peerIds)
    if (revision === 0) this.#book.open({ kind: 'opened', grant, requester: driver, ownGateway: false, isCanary: false })
    const left = before.filter((peerId) => !peerIds.includes(peerId)).map((peerId) => ({ peerId, announced: false }))
    if (revision > 0) this.#book.repaired(grant, left)
  }

  /** The driver submits rows. */
  onSubmitted(sessionId: SessionId, askedMs: number, rows: number): void {
    const known = this.#known.get(sessionId) ?? { askedMs, submittedRows: 0, isAnswered: false }
    known.submittedRows += rows
    this.#known.set(sessionId, known)
  }

  onAnswered(sessionId: SessionId): void {
    const known = this.#known.get(sessionId)
    if (known !== undefined) known.isAnswered = true
  }

  /** It came over the socket of that peer. What a stage forwards of its driver says nothing new here: drivers tell it themselves. */
  onReceipt(peerId: PeerId, receipt: Receipt): void {
    this.#figures.receipts++
    if (receipt.peerId !== peerId && receipt.party.kind === 'driver') return
    if (receipt.peerId !== peerId) this.#options.onBroken(receipt.sessionId, `${peerId} tells a receipt of ${receipt.peerId}`)
    const isKnown = this.#book.get(receipt.sessionId)?.segments.some(({ segment }) => segment.grant.revision === receipt.revision)
    const fault = this.#book.receipt(receipt)
    if (fault !== null && isKnown === true) this.#options.onBroken(receipt.sessionId, `${peerId}: ${fault}`)
  }

  onEnded(sessionId: SessionId): void {
    this.#book.close(sessionId, null, this.#options.nowMs())
  }

  tick(): void {
    const { asks, decided } = this.#book.due(this.#options.nowMs())
    for (const { peerId, ...wanted } of asks) this.#options.ask(peerId, wanted)
    for (const session of decided) this.#judge(session)
  }

  #judge(session: TrackedSession): void {
    const { grant } = session.opened
    const { sessionId, driver } = grant
    this.#figures.sessions++
    const segments = session.segments.map(({ segment, leaves }) => ({ segment, left: new Set(leaves.map(({ peerId }) => peerId)) }))
    const { lines, submitted, findings } = settle(segments, (one, other) => one === other)
    const breaks = (what: string) => this.#options.onBroken(sessionId, what)
    for (const { segment, liars, links } of findings) {
      const { revision } = segment.grant
      for (const place of liars) breaks(`revision ${revision}: ${segment.peerAt(place)} at place ${place} seems to lie`)
      for (const [link, { contradiction }] of links.entries())
        if (contradiction !== null) breaks(`revision ${revision}: link ${link} is contradicted in ${contradiction}: ${told(segment, link)}`)
    }
    const known = this.#known.get(sessionId)
    this.#known.delete(sessionId)
    this.#stages.delete(sessionId)
    const submittedRows = known?.submittedRows ?? 0
    if (rowTotal(submitted) > submittedRows) breaks(`${rowTotal(submitted)} rows are to be paid of ${submittedRows} that were submitted`)
    const peerIds = [driver, ...grant.stages.map(({ peerId }) => peerId)]
    const inFull = known?.isAnswered === true && segments.length === 1 && this.#options.isUndisturbed(peerIds, known.askedMs)
    if (inFull) this.#figures.undisturbed++
    for (const [link, { agreed }] of findings[0]?.links.entries() ?? [])
      if (inFull && (agreed === null || rowTotal(agreed.received) !== submittedRows))
        breaks(
          `link ${link} agrees on ${agreed === null ? 'nothing' : rowTotal(agreed.received)} of ${submittedRows} rows: ${describe(session)}`,
        )
    for (let layer = 0; layer < (grant.stages.at(-1)?.endLayer ?? 0); layer++) {
      const paid = lines.filter(({ firstLayer, endLayer }) => firstLayer <= layer && layer < endLayer)
      const rows = paid.reduce((sum, line) => sum + rowTotal(line.rows), 0)
      if (rows > rowTotal(submitted)) breaks(`layer ${layer} is paid for ${rows} rows of ${rowTotal(submitted)}`)
      this.#figures.workSubmitted += submittedRows
      this.#figures.workPaid += rows
      if (inFull && rows !== submittedRows)
        breaks(`layer ${layer} is paid for ${rows} rows of ${submittedRows}, and nothing had happened: ${describe(session)}`)
    }
  }
}

type TrackedSegments = TrackedSession['segments'][number]['segment']

/** The last words of both ends. */
function told(segment: TrackedSegments, link: number): string {
  const words = (receipts: readonly Receipt[], end: 'sent' | 'received') =>
    receipts.map((receipt) => `${receipt.epoch}: ${JSON.stringify(receipt[end])}`)
  return `${words(segment.of(link), 'sent').join(' ')} and ${words(segment.of(link + 1), 'received').join(' ')}`
}

function describe({ segments }: TrackedSession): string {
  return segments
    .flatMap(({ segment }) => Array.from({ length: segment.size }, (_, place) => JSON.stringify(segment.of(place).at(-1) ?? null)))
    .join(' ')
}

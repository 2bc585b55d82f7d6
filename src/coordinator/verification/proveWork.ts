/**
 * What each stage of one segment did, as far as others say so too: the neighbours' agreement, or the driver's results. Rules V12 and
 * V13 of SPEC.md. Rows here may be replays; who pays for them is decided over all segments (settle.ts).
 */

import { type Receipt, type RowCounts, rowTotal, waitedRows } from '../../protocol/index.ts'
import type { PeerId } from '../../shared/index.ts'
import { compareLink, type LinkFinding, type LinkWord, missingCut } from './compareLink.ts'
import { type Linked, type Located, locate } from './locate.ts'
import { capRows, mostRows, NO_ROWS } from './rows.ts'
import type { Segment } from './segment.ts'

/** On whose word a stage's rows count: of both its neighbors, of one where the driver's is not needed, of the driver; or not. */
export type Basis = 'neighbours' | 'driver' | 'silent' | 'unconfirmed' | 'contradicted'

export interface StageWork {
  readonly peerId: PeerId
  readonly firstLayer: number
  readonly endLayer: number
  readonly proven: RowCounts
  /** What it says itself. */
  readonly claimed: RowCounts
  readonly basis: Basis
}

export interface SegmentFinding extends Located {
  readonly segment: Segment
  readonly links: readonly LinkFinding[]
  /** By stage. */
  readonly work: readonly StageWork[]
}

export function proveWork(segment: Segment, linked: Linked): SegmentFinding {
  const links = Array.from({ length: segment.size }, (_, link) =>
    compareLink(wordsOf(segment, link, 'sent'), wordsOf(segment, link + 1, 'received')),
  )
  const located = locate(segment, links, linked)
  const finding = { segment, links, ...located }
  return { ...finding, work: segment.grant.stages.map((stage, index) => ({ ...stage, ...workOf(finding, index + 1, linked) })) }
}

/** Receipts that would let neighbors be compared further: who is to sign, and at which position. */
export function missingReceipts(segment: Segment): { readonly peerId: PeerId; readonly endPosition: number }[] {
  return Array.from({ length: segment.size }, (_, link) => link).flatMap((link) => {
    const endPosition = missingCut(wordsOf(segment, link, 'sent'), wordsOf(segment, link + 1, 'received'))
    return endPosition === null ? [] : [{ peerId: segment.peerAt(link), endPosition }]
  })
}

function wordsOf(segment: Segment, place: number, link: 'received' | 'sent'): LinkWord[] {
  return segment.of(place).map((receipt) => ({ epoch: receipt.epoch, tally: receipt[link], final: receipt.final }))
}

type Unproven = Omit<SegmentFinding, 'work'>

function workOf(finding: Unproven, place: number, linked: Linked): Pick<StageWork, 'proven' | 'claimed' | 'basis'> {
  const { segment, liars } = finding
  const claimed = mostRows(segment.of(place).map(computedRows))
  if (segment.of(place).length === 0) return { proven: NO_ROWS, claimed, basis: 'silent' }
  if (liars.has(place)) return { proven: NO_ROWS, claimed, basis: 'contradicted' }
  const neighbours = byNeighbours(finding, place, claimed, linked)
  const driver = byDriver(finding, place, claimed)
  const proven = rowTotal(driver) > rowTotal(neighbours) ? driver : neighbours
  const basis = rowTotal(proven) === 0 ? 'unconfirmed' : proven === driver ? 'driver' : 'neighbours'
  return { proven, claimed, basis }
}

function computedRows({ party }: Receipt): RowCounts {
  return party.kind === 'stage' ? party.computed : NO_ROWS
}

/** As far as upstream and downstream agree; a stage alone between two whose word is not needed has nobody. */
function byNeighbours({ segment, links, liars }: Unproven, place: number, claimed: RowCounts, linked: Linked): RowCounts {
  const [before, after] = [place - 1, (place + 1) % segment.size]
  // A driver that is gone signs nothing any more; a stage that is gone may not be replaced by its neighbor's word.
  const isNotNeeded = (other: number) => liars.has(other) || (other === 0 && !segment.hasFinal(0))
  const ends = [
    { other: before, agreed: links[before]?.agreed?.received ?? null, own: segment.most(place, 'received') },
    { other: after, agreed: links[place]?.agreed?.sent ?? null, own: segment.most(place, 'sent') },
  ].map((end) => ({ ...end, isNeeded: !isNotNeeded(end.other) }))
  if (ends.some(({ agreed, isNeeded }) => isNeeded && agreed === null)) return NO_ROWS
  const peerId = segment.peerAt(place)
  const isSeen =
    ends.every(({ isNeeded }) => isNeeded) || ends.some(({ other, isNeeded }) => isNeeded && !linked(peerId, segment.peerAt(other)))
  if (!isSeen) return NO_ROWS
  const [input, output] = ends.map(({ agreed, own, isNeeded }) => (isNeeded ? (agreed ?? NO_ROWS) : own))
  const notSent = Math.max(0, (segment.firstPosition(place, 'sent') ?? 0) - (segment.firstPosition(place, 'received') ?? 0))
  return capRows(capRows(claimed, input ?? NO_ROWS, waitedAt(segment, place)), output ?? NO_ROWS, notSent)
}

/** Rows that the stage may have had since an earlier segment, and computed in this one. */
export function waitedAt(segment: Segment, place: number): number {
  const last = segment.of(place).at(-1)
  return last === undefined ? 0 : waitedRows(last)
}

/** As far as the payer itself says that results came: no more is needed. */
function byDriver({ segment, liars }: Unproven, place: number, claimed: RowCounts): RowCounts {
  if (liars.has(0) || segment.of(0).length === 0) return NO_ROWS
  const replayed = Math.max(0, (segment.firstPosition(0, 'received') ?? 0) - (segment.firstPosition(place, 'received') ?? 0))
  return capRows(claimed, segment.most(0, 'received'), replayed)
}

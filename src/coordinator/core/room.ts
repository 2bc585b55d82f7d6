/**
 * Room: what a peer has left for another session. By what was granted there, and by what the peer itself reports: what was granted long ago
 * and takes no part of its KV was never opened, or has ended, and is not waited for.
 */

import { sameSpan } from '../../model/index.ts'
import type { Grant } from '../../protocol/index.ts'
import type { PeerId } from '../../shared/index.ts'
import { AWAY_AFTER_MS, KV_BLOCK_POSITIONS, REPORT_SETTLES_MS, UNHELD_MS } from './limits.ts'
import type { PeerRecord, RoomChange } from './peers.ts'

interface Amount {
  sessions: number
  /** In whole blocks. */
  kvPositions: number
}

/** Granted at one peer. */
export interface Reserved {
  /** By all grants that may still be used. */
  readonly all: Amount
  /** By those that need not be open yet, though they will be: a report may have come before they were. */
  readonly fresh: Amount
}

/** Of these grants at each of their stages. */
export function reservedBy(grants: Iterable<Grant>, nowMs: number): Map<PeerId, Reserved> {
  const reserved = new Map<PeerId, Reserved>()
  for (const { stages, maxPositions, issuedAtMs } of grants) {
    const kvPositions = wholeBlocks(maxPositions)
    for (const { peerId } of stages) {
      const at = reserved.get(peerId) ?? { all: { sessions: 0, kvPositions: 0 }, fresh: { sessions: 0, kvPositions: 0 } }
      reserved.set(peerId, at)
      add(at.all, kvPositions)
      if (nowMs - issuedAtMs < UNHELD_MS + AWAY_AFTER_MS) add(at.fresh, kvPositions)
    }
  }
  return reserved
}

function add(amount: Amount, kvPositions: number): void {
  amount.sessions++
  amount.kvPositions += kvPositions
}

/**
 * Positions that are free for one more session, and sessions that are open or about to be, at a peer of `capacity` positions. `isDoubted`: what others
 * were told to free there is not believed before a report says so.
 */
export function roomAt(
  { report, roomChanges }: Pick<PeerRecord, 'report' | 'roomChanges'>,
  { capacity, reserved, isDoubted }: { readonly capacity: number; readonly reserved: Reserved | undefined; readonly isDoubted: boolean },
  nowMs: number,
) {
  const { all, fresh } = reserved ?? NOTHING
  const kept = wholeBlocks(capacity) - all.kvPositions
  if (report === null || !isRecent(report, nowMs)) return { kvPositions: kept, sessions: all.sessions }
  const reportedFree = Math.min(report.kvPositionsFree, wholeBlocks(capacity))
  // Neither takes anything for free that somebody holds: the first counts what nobody uses, the second counts new sessions twice.
  const free = Math.max(kept, reportedFree - fresh.kvPositions)
  // A stage may hold what nobody here knows of any more, as that of a driver that vanished: so no more than it said, with what changed since.
  let changed = 0
  for (const change of roomChanges)
    if (isUnreported(change, report.atMs)) changed += isDoubted ? Math.min(0, change.kvPositions) : change.kvPositions
  return {
    kvPositions: Math.min(free, reportedFree + changed),
    sessions: Math.min(all.sessions, report.sessions + fresh.sessions),
  }
}

function isUnreported({ atMs, kvPositions }: RoomChange, reportedMs: number): boolean {
  return atMs >= reportedMs || (kvPositions > 0 && atMs > reportedMs - REPORT_SETTLES_MS)
}

export interface ChainChange {
  /** Null: of a new session. */
  readonly before: Grant | null
  /** Null: its driver has ended the session, and told its stages. */
  readonly after: Grant | null
  /** Stages of `before` that were lost: nobody knows what they hold. */
  readonly lost: ReadonlySet<PeerId>
}

/** Notes what reports do not know yet: who is to hold the session from now on, and who was told to free it. */
export function noteRoom({ before, after, lost }: ChainChange, peers: ReadonlyMap<PeerId, PeerRecord>, nowMs: number): void {
  const stays = stagesOf(before).filter((stage) => !lost.has(stage.peerId) && stagesOf(after).some((other) => isSameStage(stage, other)))
  const isStaying = (stage: GrantStage) => stays.some((other) => isSameStage(stage, other))
  const note = (stages: readonly GrantStage[], kvPositions: number) => {
    for (const stage of stages) {
      const peer = peers.get(stage.peerId)
      if (peer === undefined || isStaying(stage)) continue
      const recent = peer.roomChanges.filter(({ atMs }) => nowMs - atMs < AWAY_AFTER_MS + REPORT_SETTLES_MS)
      peer.roomChanges = [...recent, { atMs: nowMs, kvPositions }]
    }
  }
  const known = stagesOf(before).filter(({ peerId }) => !lost.has(peerId))
  note(known, wholeBlocks(before?.maxPositions ?? 0))
  note(stagesOf(after), -wholeBlocks(after?.maxPositions ?? 0))
}

type GrantStage = Grant['stages'][number]

function stagesOf(grant: Grant | null): readonly GrantStage[] {
  return grant?.stages ?? []
}

function isSameStage(one: GrantStage, other: GrantStage): boolean {
  return one.peerId === other.peerId && sameSpan(one, other)
}

/** Whether a stage may hold a session: not where it is gone, nor where it says that it holds none at all. */
export function mayHold(peer: PeerRecord | undefined, nowMs: number): boolean {
  if (peer === undefined || peer.pledge === null) return false
  const { report } = peer
  return report === null || !isRecent(report, nowMs) || report.sessions > 0
}

export function wholeBlocks(positions: number): number {
  return Math.ceil(positions / KV_BLOCK_POSITIONS) * KV_BLOCK_POSITIONS
}

function isRecent({ atMs }: { readonly atMs: number }, nowMs: number): boolean {
  return nowMs - atMs < AWAY_AFTER_MS
}

const NOTHING: Reserved = { all: { sessions: 0, kvPositions: 0 }, fresh: { sessions: 0, kvPositions: 0 } }

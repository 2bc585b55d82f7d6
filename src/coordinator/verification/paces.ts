/**
 * Paces: how long peers really take, seen by others. A stage tells its own time of a pass, and a lie there brings it work that it can't do as
 * fast as it says. But drivers see whole laps: what a lap took beyond what its stages and links explain belongs to one of its stages. A
 * liar has it in all its sessions, the honest ones only in those that they share with a liar.
 */

import type { PeerId } from '../../shared/index.ts'
import type { HolderId } from './trust.ts'

/** One session's laps of one decode row, as its driver saw them and as its stages told them. */
export interface SeenLaps {
  readonly requester: HolderId
  /** Median of the whole lap. */
  readonly lapMs: number
  /** What its links take by their measured round trips, all together. */
  readonly linksMs: number
  readonly stages: readonly { readonly peerId: PeerId; readonly toldMs: number }[]
}

/** Requesters whose last session counts, the newest; each counts once, so that none can make a stage slow alone. */
const REQUESTERS_KEPT = 9
/** Fewer say nothing of a peer. */
const REQUESTERS_MIN = 3
/** What a peer is taken to hide is what so large a share of its sessions leave unexplained at least. */
const QUIET_SHARE = 0.25
/** Schedulers and batches stretch honest passes: a whole lap by so much at most, the others of a lap by so much on average. */
const LAP_SLACK = 1.2
const OTHERS_SLACK = 1.1
/** So far a peer counts as fast as it told. */
const OWN_SLACK = 1.5

export class Paces {
  /** Unexplained milliseconds by peer and requester, the newest last. */
  readonly #unexplained = new Map<PeerId, Map<HolderId, number>>()

  see({ requester, lapMs, linksMs, stages }: SeenLaps): void {
    const told = stages.reduce((sum, { toldMs }) => sum + toldMs, 0)
    const stagesMs = lapMs - linksMs
    const isExplained = stagesMs <= LAP_SLACK * told
    for (const { peerId, toldMs } of stages) {
      const known = this.#unexplained.get(peerId) ?? new Map<HolderId, number>()
      known.delete(requester)
      known.set(requester, isExplained ? 0 : Math.max(0, stagesMs - toldMs - OTHERS_SLACK * (told - toldMs)))
      const oldest = known.keys().next()
      if (known.size > REQUESTERS_KEPT && oldest.done !== true) known.delete(oldest.value)
      this.#unexplained.set(peerId, known)
    }
  }

  /**
   * What a pass of that peer counts as, in ms, where it told `toldMs`: the same within OWN_SLACK; else as many times slower than it was seen to be as
   * it said to be faster, so that the lie costs what it brought.
   */
  believedMs(peerId: PeerId, toldMs: number): number {
    const known = [...(this.#unexplained.get(peerId)?.values() ?? [])].sort((a, b) => a - b)
    if (known.length < REQUESTERS_MIN || toldMs <= 0) return toldMs
    const seenMs = toldMs + (known[Math.floor(QUIET_SHARE * known.length)] ?? 0)
    return seenMs <= OWN_SLACK * toldMs ? toldMs : seenMs * (seenMs / toldMs)
  }

  forget(peerId: PeerId): void {
    this.#unexplained.delete(peerId)
  }
}

/**
 * Paces: how long peers really take, seen by others. A stage tells its own time of a pass, and a lie there brings it work that it can't do as
 * fast as it says. But drivers see whole laps: what a lap took beyond what its stages and links explain belongs to one of its stages. A
 * liar has it in all its sessions, the honest ones only in those that they share with a liar.
 */

import type { PeerId } from '../../shared/index.ts'

/** One session's laps of one decode row, as its driver saw them and as its stages told them. */
export interface SeenLaps {
  /** Whose tabs count as one requester. */
  readonly origin: string
  /** Of the whole lap. */
  readonly lapMs: number
  /** What its links take by their measured round trips, all together, with what passes a row on. */
  readonly linksMs: number
  /** `toldMs`: a pass, and those that it may have waited for. */
  readonly stages: readonly { readonly peerId: PeerId; readonly toldMs: number }[]
  readonly atMs: number
}

interface Seen {
  /** As many times as long as was told, at least. */
  readonly ratio: number
  readonly atMs: number
}

/** Origins whose last session counts, the newest; each counts once, so that none can make a stage slow alone. */
const ORIGINS_KEPT = 9
/** Fewer say nothing of a peer. */
const ORIGINS_MIN = 3
/**
 * Who counts as slow is hardly asked any more, and so not seen: what was seen is forgotten after so long. In two hours of a swarm with ten sessions
 * an hour a liar would be forgotten before it has paid for its lie.
 */
const KEPT_MS = 24 * 3_600_000
/** What a peer is taken to hide is what so large a share of its sessions leave unexplained at least. */
const QUIET_SHARE = 0.25
/** Schedulers and batches stretch honest passes: a whole lap by so much at most, the others of a lap by so much on average. */
const LAP_SLACK = 1.2
const OTHERS_SLACK = 1.1
/** So far a peer counts as fast as it told. */
const OWN_SLACK = 1.5

export class Paces {
  /** By peer and origin, the newest last. */
  readonly #seen = new Map<PeerId, Map<string, Seen>>()

  see({ origin, lapMs, linksMs, stages, atMs }: SeenLaps): void {
    const told = stages.reduce((sum, { toldMs }) => sum + toldMs, 0)
    const stagesMs = lapMs - linksMs
    const isExplained = stagesMs <= LAP_SLACK * told
    for (const { peerId, toldMs } of stages) {
      if (toldMs <= 0) continue
      const hiddenMs = isExplained ? 0 : Math.max(0, stagesMs - toldMs - OTHERS_SLACK * (told - toldMs))
      const known = this.#seen.get(peerId) ?? new Map<string, Seen>()
      known.delete(origin)
      known.set(origin, { ratio: 1 + hiddenMs / toldMs, atMs })
      const oldest = known.keys().next()
      if (known.size > ORIGINS_KEPT && oldest.done !== true) known.delete(oldest.value)
      this.#seen.set(peerId, known)
    }
  }

  /**
   * How many times as slow as it told that peer counts: 1 within OWN_SLACK; else the square of how many times as slow it was seen to be, so that
   * the lie costs what it brought.
   */
  slowness(peerId: PeerId, nowMs: number): number {
    const seen = [...(this.#seen.get(peerId)?.values() ?? [])].filter(({ atMs }) => nowMs - atMs < KEPT_MS)
    if (seen.length < ORIGINS_MIN) return 1
    const ratios = seen.map(({ ratio }) => ratio).sort((a, b) => a - b)
    const ratio = ratios[Math.floor(QUIET_SHARE * ratios.length)] ?? 1
    return ratio <= OWN_SLACK ? 1 : ratio ** 2
  }

  forget(peerId: PeerId): void {
    this.#seen.delete(peerId)
  }
}

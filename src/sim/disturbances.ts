/** Disturbances: what was done to which tab, from when until when. What goes wrong is held against it: errors, repairs and silence need a cause. */

import type { PeerId } from '../shared/index.ts'

export interface Disturbance {
  readonly fromMs: number
  /** It has effects until then; Infinity: the tab is gone. */
  readonly untilMs: number
  /** The coordinator hears nothing of the tab meanwhile. */
  readonly isSilent: boolean
}

export class Disturbances {
  readonly #ofPeers = new Map<PeerId, Disturbance[]>()

  add(peerId: PeerId, disturbance: Disturbance): void {
    const known = this.#ofPeers.get(peerId)
    if (known === undefined) this.#ofPeers.set(peerId, [disturbance])
    else known.push(disturbance)
  }

  /** When the last one ended, or will; −Infinity where nothing was done to the tab. */
  lastMs(peerId: PeerId): number {
    return this.#of(peerId).reduce((last, { untilMs }) => Math.max(last, untilMs), Number.NEGATIVE_INFINITY)
  }

  /** Those of any of the tabs that had effects at `sinceMs` or later. */
  countSince(peerIds: Iterable<PeerId>, sinceMs: number): number {
    let count = 0
    for (const peerId of new Set(peerIds)) for (const { untilMs } of this.#of(peerId)) if (untilMs >= sinceMs) count++
    return count
  }

  /**
   * Since when nothing can have been heard of the tab, without a break; null: it is there. What it said on an island is heard when that
   * ends, also of a tab that is frozen by then.
   */
  silentSinceMs(peerId: PeerId, nowMs: number): number | null {
    const begun = this.#of(peerId).filter(({ isSilent, fromMs }) => isSilent && fromMs <= nowMs)
    const silent = begun.filter(({ untilMs }) => nowMs < untilMs)
    if (silent.length === 0) return null
    const over = begun.filter(({ untilMs }) => untilMs <= nowMs)
    return Math.max(Math.min(...silent.map(({ fromMs }) => fromMs)), ...over.map(({ untilMs }) => untilMs))
  }

  #of(peerId: PeerId): readonly Disturbance[] {
    return this.#ofPeers.get(peerId) ?? []
  }
}

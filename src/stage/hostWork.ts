/** HostWork: what a stage has done since it began, counted pass by pass, for the page and for the coordinator. */

import { required } from '../shared/index.ts'
import type { Work } from './stageSession.ts'

/** Passes of one decode row each: what tells how fast a peer is. */
export interface PassTimes {
  readonly count: number
  /** Computed in all of them together, the milliseconds too. */
  readonly layers: number
  readonly heads: number
  readonly ms: number
}

/** Counters since the host began. */
export interface HostWork {
  readonly sessionsOpen: number
  readonly sessionsServed: number
  /** Rows that went through a pass here. */
  readonly positions: number
  readonly lastComputeMs: number | null
  readonly oneRowPasses: PassTimes
  /** Bytes of frames sent to anybody. */
  readonly bytesSent: number
}

export class WorkCounter {
  sessionsServed = 0
  #positions = 0
  #lastComputeMs: number | null = null
  #oneRowPasses: PassTimes = { count: 0, layers: 0, heads: 0, ms: 0 }

  get counts(): Omit<HostWork, 'sessionsOpen' | 'bytesSent'> {
    const { sessionsServed } = this
    return { sessionsServed, positions: this.#positions, lastComputeMs: this.#lastComputeMs, oneRowPasses: this.#oneRowPasses }
  }

  addPass(works: readonly Work[], computeMs: number): void {
    this.#lastComputeMs = computeMs
    for (const { rows } of works) this.#positions += rows.rowCount
    const only = required(works[0], 'work of a pass')
    if (works.length > 1 || only.rows.kind !== 'decode' || only.rows.rowCount !== 1) return
    const { count, layers, heads, ms } = this.#oneRowPasses
    const { span, isLast } = only.session.place
    this.#oneRowPasses = {
      count: count + 1,
      layers: layers + span.endLayer - span.firstLayer,
      heads: heads + (isLast ? 1 : 0),
      ms: ms + computeMs,
    }
  }
}

/**
 * LapTimes: what a session's laps of one decode row took, for the coordinator, which believes no stage's word on its own speed. The chain's present
 * stages alone count. The middle is told: what a stage does for others stretches single laps.
 */

import type { ClientMessage } from '../protocol/index.ts'
import type { GenerateEvent } from './generate.ts'

/** The latest that are kept: more would say no more. */
const LAPS_MAX = 256

export class LapTimes {
  #ms: number[] = []

  handle(event: GenerateEvent): void {
    if (event.kind === 'repair') this.#ms = []
    if (event.kind !== 'decoded' || event.rowCount !== 1) return
    this.#ms.push(event.lapMs)
    if (this.#ms.length > LAPS_MAX) this.#ms.shift()
  }

  /** Null: there were none. */
  report(): Extract<ClientMessage, { type: 'ended' }>['laps'] {
    const sorted = [...this.#ms].sort((a, b) => a - b)
    const medianMs = sorted[(sorted.length - 1) >> 1]
    return medianMs === undefined ? null : { count: sorted.length, medianMs }
  }
}

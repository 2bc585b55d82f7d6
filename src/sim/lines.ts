/** Volunteers' lines to the internet, by how fast they take weights in. */

import type { Chance } from './chance.ts'

export interface LineMix {
  /** The share of lines that are far slower than the others. */
  readonly slowShare: number
  /** Of the others, bytes a millisecond. */
  readonly home: Speeds
}

interface Speeds {
  readonly least: number
  readonly most: number
}

/** From 22 to 450 Mbit/s, as most homes have. */
export const HOME_LINES: LineMix = { slowShare: 0, home: { least: 2_800, most: 56_000 } }
/** From 1 to 5 Mbit/s: in the country, or on a phone. */
const SLOW: Speeds = { least: 125, most: 625 }

/** Of a new tab, bytes a millisecond down: each power of ten as often as the next. */
export function drawLine({ slowShare, home }: LineMix, chance: Chance): number {
  const { least, most } = chance.happens(slowShare) ? SLOW : home
  return chance.logBetween(least, most)
}

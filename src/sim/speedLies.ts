/**
 * Lies about speed: what one tab earns that says it is faster than it is, beside a twin on equal hardware that does not. Work goes to peers in
 * proportion to the speed that they are believed to have, as placement's flow shares it; pay is for rows that were computed. What stages
 * tell of their passes is believed as far as the laps that drivers see allow.
 */

import { Paces } from '../coordinator/core/index.ts'
import type { PeerId } from '../shared/index.ts'
import { Chance } from './chance.ts'

export interface SpeedLieRun {
  /** Sessions, of equal length, that each took part in. */
  readonly paidToCheater: number
  readonly paidToTwin: number
}

export interface SpeedLieSummary {
  readonly cheat: string
  readonly seeds: number
  readonly sessions: number
  /** Sessions, mean over the seeds. */
  readonly paidToCheater: number
  readonly paidToHonestTwin: number
}

/** Peers that hold the same layers; liar and twin hold the first ones. */
const PEERS_A_SPAN = 6
const SPANS = 3
const REQUESTERS = 20
const PASS_MS = { least: 10, most: 40 }
const LINKS_MS = { least: 10, most: 60 }
/** What a pass takes beside its usual time, at most: a share of it. */
const JITTER = 0.2
const DAY_MS = 24 * 3_600_000
const LIAR = 0
const TWIN = 1

/** `factor`: how many times as fast as it is a tab says to be that commits `cheat`. */
export function lieOften(
  { cheat, factor }: { readonly cheat: string; readonly factor: number },
  firstSeed: number,
  seeds: number,
  sessions: number,
): SpeedLieSummary {
  const runs = Array.from({ length: seeds }, (_, index) => lieAboutSpeed(factor, firstSeed + index, sessions))
  const mean = (of: (run: SpeedLieRun) => number) => runs.reduce((sum, run) => sum + of(run), 0) / seeds
  const [paidToCheater, paidToHonestTwin] = [mean((run) => run.paidToCheater), mean((run) => run.paidToTwin)]
  return { cheat, seeds, sessions, paidToCheater, paidToHonestTwin }
}

/** One day of `sessions`. `factor`: how many times as fast as it is the liar says to be; 1: it does not lie. */
export function lieAboutSpeed(factor: number, seed: number, sessions: number): SpeedLieRun {
  const chance = new Chance(seed, 3)
  const paces = new Paces()
  const trueMs = Array.from({ length: PEERS_A_SPAN * SPANS }, () => chance.between(PASS_MS.least, PASS_MS.most))
  trueMs[TWIN] = trueMs[LIAR] ?? PASS_MS.most
  const peerOf = (index: number) => index.toString(16).padStart(32, '0') as PeerId
  const toldMs = (index: number) => (trueMs[index] ?? 0) / (index === LIAR ? factor : 1)
  const counts = [0, 0]
  for (let session = 0; session < sessions; session++) {
    const atMs = (session * DAY_MS) / sessions
    const chain = Array.from({ length: SPANS }, (_, span) => {
      const first = span * PEERS_A_SPAN
      const speeds = Array.from({ length: PEERS_A_SPAN }, (_, k) => 1 / (toldMs(first + k) * paces.slowness(peerOf(first + k), atMs)))
      return first + chance.weighted(speeds)
    })
    for (const index of chain) if (index === LIAR || index === TWIN) counts[index] = (counts[index] ?? 0) + 1
    const linksMs = chance.between(LINKS_MS.least, LINKS_MS.most)
    const lapMs = chain.reduce((sum, index) => sum + (trueMs[index] ?? 0) * (1 + JITTER * chance.unit()), linksMs)
    const stages = chain.map((index) => ({ peerId: peerOf(index), toldMs: toldMs(index) }))
    paces.see({ origin: `requester ${chance.upTo(REQUESTERS - 1)}`, lapMs, linksMs, stages, atMs })
  }
  return { paidToCheater: counts[LIAR] ?? 0, paidToTwin: counts[TWIN] ?? 0 }
}

/**
 * Which cheats there are that change what a stage computes, and engines that commit them. They stand in for a dishonest volunteer's changed code in
 * tests, benchmarks and audits with real tabs. No room that goes into a volunteer's tab may import this one: decision 0263.
 */

import type { Engine } from '../worker/engine.ts'
import { BoastingEngine, SPEED_LIES, type SpeedLie } from './boastingEngine.ts'
import { CoarseEngine } from './coarseEngine.ts'
import { type Lie, lazy, noise, otherSession, repeatRow } from './lies.ts'
import { LyingEngine } from './lyingEngine.ts'
import { SkippingEngine } from './skippingEngine.ts'

/**
 * skip-layer: a layer in the middle is left out. coarse-quantization: weights of fewer bits. noise: rows are moved at random. other-session: an
 * earlier session's rows. repeat-row: each second row is the one before. lazy: each n-th row is not computed.
 */
export const ENGINE_CHEATS = ['skip-layer', 'coarse-quantization', 'noise', 'other-session', 'repeat-row', 'lazy'] as const
export type EngineCheat = (typeof ENGINE_CHEATS)[number]

/** Those that say something false instead: boastingEngine.ts, replayedReceipts.ts; and one that has an accomplice, collusion.ts, for its noise. */
export const CHEATS = [...ENGINE_CHEATS, 'lie-speed', 'lie-adapter', 'replay-receipt', 'collude'] as const
export type Cheat = (typeof CHEATS)[number]

export function isSpeedLie(cheat: string): cheat is SpeedLie {
  return cheat in SPEED_LIES
}

/** It computes what an honest engine computes, and sends something else. */
export function isOnlySent(cheat: EngineCheat): boolean {
  return cheat !== 'skip-layer' && cheat !== 'coarse-quantization'
}

export interface CheatOptions {
  /** Sessions that are computed honestly first. */
  readonly afterSessions?: number
  /** What is opened now is an audit of another's rows: it is computed honestly, since whoever is contradicted there is found too, and is no session. */
  readonly isAudit?: () => boolean
  /** Of noise; 0 ≤ r < 1. */
  readonly random: () => number
  /** Another engine of the same kind, which `coarse-quantization` needs where anything is computed honestly. */
  readonly openAnother: () => Promise<Engine>
  readonly strength?: Partial<CheatStrength>
}

/** How much of it: each as little as would still save something, or do harm. */
export interface CheatStrength {
  /** Bits of a coarse weight: one less than the default model's have. */
  readonly coarseBits: number
  /** Of a row's root mean square. */
  readonly noiseShare: number
  /** Of so many rows one is not computed. */
  readonly lazyEvery: number
}

export const CHEAT_STRENGTH: CheatStrength = { coarseBits: 3, noiseShare: 0.05, lazyEvery: 8 }

/** `engine`, not loaded yet, as a cheat would run it: it says of itself what an honest one says. */
export async function cheatingEngine(cheat: EngineCheat | SpeedLie, engine: Engine, options: CheatOptions): Promise<Engine> {
  const { coarseBits, noiseShare, lazyEvery } = { ...CHEAT_STRENGTH, ...options.strength }
  const { afterSessions: honestSessions = 0, isAudit = () => false } = options
  let sessions = 0
  const isTurn = () => !isAudit() && sessions++ >= honestSessions
  const isAlwaysDishonest = honestSessions === 0 && options.isAudit === undefined
  const lying = (lie: Lie) => new LyingEngine(engine, lie, isTurn)
  switch (cheat) {
    case 'skip-layer':
      return new SkippingEngine(engine, isTurn)
    case 'coarse-quantization':
      return new CoarseEngine(engine, isAlwaysDishonest ? engine : await options.openAnother(), coarseBits, isTurn)
    case 'noise':
      return lying(noise(noiseShare, options.random))
    case 'other-session':
      return lying(otherSession)
    case 'repeat-row':
      return lying(repeatRow)
    case 'lazy':
      return lying(lazy(lazyEvery))
    case 'lie-speed':
    case 'lie-adapter':
      return new BoastingEngine(engine, SPEED_LIES[cheat], isTurn)
  }
}

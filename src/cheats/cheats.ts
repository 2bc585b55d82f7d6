/**
 * Which cheats there are that change what a stage computes, and engines that commit them. They stand in for a dishonest volunteer's changed code in
 * tests, benchmarks and audits with real tabs. No room that goes into a volunteer's tab may import this one: decision 0263.
 */

import type { Engine } from '../worker/engine.ts'
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

/** It computes what an honest engine computes, and sends something else. */
export function isOnlySent(cheat: EngineCheat): boolean {
  return cheat !== 'skip-layer' && cheat !== 'coarse-quantization'
}

export interface CheatOptions {
  /** Sessions that are computed honestly first. */
  readonly afterSessions?: number
  /** Of noise; 0 ≤ r < 1. */
  readonly random: () => number
  /** Another engine of the same kind, which `coarse-quantization` needs where sessions are honest first. */
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
export async function cheatingEngine(cheat: EngineCheat, engine: Engine, options: CheatOptions): Promise<Engine> {
  const { coarseBits, noiseShare, lazyEvery } = { ...CHEAT_STRENGTH, ...options.strength }
  const honestSessions = options.afterSessions ?? 0
  let sessions = 0
  const isTurn = () => sessions++ >= honestSessions
  const lying = (lie: Lie) => new LyingEngine(engine, lie, isTurn)
  switch (cheat) {
    case 'skip-layer':
      return new SkippingEngine(engine, isTurn)
    case 'coarse-quantization':
      return new CoarseEngine(engine, honestSessions === 0 ? engine : await options.openAnother(), coarseBits, isTurn)
    case 'noise':
      return lying(noise(noiseShare, options.random))
    case 'other-session':
      return lying(otherSession)
    case 'repeat-row':
      return lying(repeatRow)
    case 'lazy':
      return lying(lazy(lazyEvery))
  }
}

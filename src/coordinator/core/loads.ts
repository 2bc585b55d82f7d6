/**
 * Loads: how far a load has come by its peer's word, and whether its layers are worth waiting for. A peer that loads for an hour, because its
 * line is slow or because it lies, must not keep others from serving what they could hold: the plan counts its layers as nobody's meanwhile. Pure.
 */

import { LATE_FACTOR, LOAD_BYTES_PER_SECOND, LOAD_PREPARE_MS, LOAD_STEP_MIN, RATE_KNOWN_MS } from './limits.ts'

export interface Load {
  /** 0 … 1. */
  progress: number
  /** When it was last heard of: when it began, waited for sessions, or had come a step further. */
  heardMs: number
  /** How far it had come then. */
  heardProgress: number
  /** When `progress` was told. */
  toldMs: number
  /** When its first bytes were told, and what part of all they were. */
  begun: { readonly atMs: number; readonly progress: number } | null
}

export function newLoad(nowMs: number): Load {
  return { progress: 0, heardMs: nowMs, heardProgress: 0, toldMs: nowMs, begun: null }
}

export function hear(load: Load, progress: number, nowMs: number): void {
  load.progress = progress
  load.toldMs = nowMs
  if (progress > 0) load.begun ??= { atMs: nowMs, progress }
  if (progress < Math.min(1, load.heardProgress + LOAD_STEP_MIN) || progress === load.heardProgress) return
  load.heardProgress = progress
  load.heardMs = nowMs
}

/** Whether it is likely to end long after others could have loaded the same `bytes`. */
export function isLate(load: Load, bytes: number, nowMs: number): boolean {
  // Who says nothing any more is believed to need as long again.
  const leftMs = Math.max(nowMs - load.heardMs, leftByRate(load, nowMs))
  return leftMs > LATE_FACTOR * (LOAD_PREPARE_MS + (1_000 * bytes) / LOAD_BYTES_PER_SECOND)
}

/** As it has gone on since its first bytes, milliseconds; 0 where that is not known yet. */
function leftByRate({ progress, toldMs, begun }: Load, nowMs: number): number {
  const loadedForMs = begun === null ? 0 : toldMs - begun.atMs
  if (begun === null || loadedForMs < RATE_KNOWN_MS) return 0
  return (loadedForMs * (1 - progress)) / Math.max(Number.EPSILON, progress - begun.progress) - (nowMs - toldMs)
}

/**
 * Engine speed: prompt and answer tokens a second of a loaded engine, through the same interface that stages use. For a benchmark in a
 * terminal and in a tab; the tokens are made up, since the time does not depend on them.
 */

import { assert } from '../shared/index.ts'
import type { Engine, Segment, Slot } from './engine.ts'
import { KV_BLOCK_POSITIONS, kvBlockCount } from './kvBlocks.ts'

export interface SpeedPlan {
  /** Prompts, each in one call from an empty cache. */
  readonly prefillTokens: readonly number[]
  /** Sessions that decode together, one token each a call. */
  readonly decodeSessions: readonly number[]
  /** A measurement repeats until it has taken this long, or `runsMax`; a slow engine does `runsMin`. */
  readonly measureMs: number
  readonly runsMin: number
  readonly runsMax: number
}

export interface Speed {
  readonly tokensPerSecond: number
  /** Of one call. */
  readonly medianMs: number
  readonly runs: number
}

export interface EngineSpeed {
  readonly prefill: readonly (Speed & { readonly tokens: number })[]
  /** Tokens of all sessions together. */
  readonly decode: readonly (Speed & { readonly sessions: number })[]
}

export interface SpeedStep {
  readonly kind: 'prefill' | 'decode'
  /** Tokens of the prompt, or sessions. */
  readonly count: number
}

export interface SpeedOptions {
  readonly engine: Pick<Engine, 'open' | 'close' | 'forward' | 'truncate' | 'length'>
  readonly layerCount: number
  readonly vocabularySize: number
  readonly plan: SpeedPlan
  readonly nowMs: () => number
  readonly onStep: (step: SpeedStep) => void
}

/** What a decode step attends to at the least. */
const CONTEXT_TOKENS = 32
/** The first pass of a shape may compile pipelines. */
const WARM_UP_RUNS = 1

/** KV positions that `measureEngineSpeed` opens at a time: what the engine has to be loaded with. */
export function speedPositions({ prefillTokens, decodeSessions, runsMax }: SpeedPlan): number {
  return Math.max(0, ...prefillTokens, ...decodeSessions.map((sessions) => sessions * decodePositions(runsMax)))
}

/** In whole blocks: each session is given some of its own. */
function decodePositions(runsMax: number): number {
  return kvBlockCount(CONTEXT_TOKENS + WARM_UP_RUNS + runsMax) * KV_BLOCK_POSITIONS
}

/** The engine must hold the whole model with `speedPositions` of KV. Rejects with its EngineError. */
export async function measureEngineSpeed(options: SpeedOptions): Promise<EngineSpeed> {
  const { engine, plan, onStep } = options
  const prefill: EngineSpeed['prefill'][number][] = []
  for (const tokens of plan.prefillTokens) {
    onStep({ kind: 'prefill', count: tokens })
    const slot = open(options, tokens)
    const speed = await repeat(options, tokens, async () => {
      engine.truncate(slot, 0)
      await engine.forward([segment(options, slot, 'prompt', tokens)])
    })
    engine.close(slot)
    prefill.push({ tokens, ...speed })
  }
  const decode: EngineSpeed['decode'][number][] = []
  for (const sessions of plan.decodeSessions) {
    onStep({ kind: 'decode', count: sessions })
    const slots = Array.from({ length: sessions }, () => open(options, decodePositions(plan.runsMax)))
    await engine.forward(slots.map((slot) => segment(options, slot, 'prompt', CONTEXT_TOKENS)))
    const speed = await repeat(options, sessions, async () => {
      await engine.forward(slots.map((slot) => segment(options, slot, 'decode', 1)))
    })
    for (const slot of slots) engine.close(slot)
    decode.push({ sessions, ...speed })
  }
  return { prefill, decode }
}

/** Median of some runs, each of `tokens` tokens. */
async function repeat({ plan, nowMs }: SpeedOptions, tokens: number, run: () => Promise<void>): Promise<Speed> {
  for (let warmUp = 0; warmUp < WARM_UP_RUNS; warmUp++) await run()
  const times: number[] = []
  let totalMs = 0
  while (times.length < plan.runsMin || (totalMs < plan.measureMs && times.length < plan.runsMax)) {
    const startedMs = nowMs()
    await run()
    const tookMs = nowMs() - startedMs
    times.push(tookMs)
    totalMs += tookMs
  }
  times.sort((a, b) => a - b)
  const medianMs = times[Math.floor(times.length / 2)] ?? Number.NaN
  return { tokensPerSecond: (1000 * tokens) / medianMs, medianMs, runs: times.length }
}

function open({ engine, layerCount }: SpeedOptions, maxPositions: number): Slot {
  const opened = engine.open({ span: { firstLayer: 0, endLayer: layerCount }, maxPositions })
  assert(opened.ok, `the KV cache was loaded without room for ${maxPositions} positions`)
  return opened.value
}

function segment({ engine, vocabularySize }: SpeedOptions, slot: Slot, kind: 'prompt' | 'decode', count: number): Segment {
  const firstPosition = engine.length(slot)
  const ids = Uint32Array.from({ length: count }, (_, index) => (7 + 31 * (firstPosition + index)) % vocabularySize)
  return { slot, kind, firstPosition, input: { kind: 'tokens', ids }, output: { kind: 'candidates', resultCount: 1, topK: 1 } }
}

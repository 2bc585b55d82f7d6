/** What is killed, how and when, from a seed: one answer a round, some with several kills, spread over prompt and answer. */

import { uniformInt } from 'pure-rand/distribution/uniformInt'
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator'

/**
 * - `close`: the tab is closed, as a person does;
 * - `crash`: its process dies;
 * - `freeze`: its page stops in mid-instruction and holds everything open;
 * - `cut`: nothing gets to it or from it any more, though its connections stay open;
 * - `links`: all connections of the tab to other tabs break, it lives;
 * - `device`: the tab's GPU device is destroyed, it lives and gets another;
 * - `gpu`: the browser's GPU process dies: every tab loses its device at once.
 */
export type KillKind = 'close' | 'crash' | 'freeze' | 'cut' | 'links' | 'device' | 'gpu'

export interface Kill {
  readonly kind: KillKind
  /** Once so many tokens have come; 0: in the prompt. */
  readonly atToken: number
  readonly stageIndex: number
}

export interface Round {
  readonly prompt: number
  /** Sampled with this seed; null: greedy. */
  readonly samplingSeed: number | null
  /** In the order of tokens. */
  readonly kills: readonly Kill[]
}

export interface ChaosPlan {
  readonly stages: number
  readonly maxTokens: number
  readonly kinds: 'all' | 'without-gpu'
  readonly random: RandomGenerator
}

export const PROMPT_COUNT = 3
const SAMPLING_SEEDS = 2
/** Kills of one answer: more than one may meet a repair that is under way. */
const KILLS_PER_ANSWER_MAX = 2

/** So that a chain of `stages` is left whatever an answer loses: other tabs come only after its end. */
export function tabsNeeded(stages: number, kills: number): number {
  return stages + Math.min(kills, KILLS_PER_ANSWER_MAX)
}

/** Rounds without end. */
export function* planChaos({ stages, maxTokens, kinds, random }: ChaosPlan): Generator<Round> {
  const upTo = (max: number) => uniformInt(random, 0, max)
  // Each kind as often as the others, in an order of its own.
  const all: KillKind[] = ['close', 'crash', 'freeze', 'cut', 'links', ...(kinds === 'all' ? (['device', 'gpu'] as const) : [])]
  let bag: KillKind[] = []
  const draw = (): KillKind => {
    if (bag.length === 0) bag = [...all]
    return bag.splice(upTo(bag.length - 1), 1)[0] ?? 'close'
  }
  for (;;) {
    const count = 1 + upTo(KILLS_PER_ANSWER_MAX - 1)
    const planned = Array.from({ length: count }, () => ({
      kind: draw(),
      // One in five while the prompt is read.
      atToken: upTo(4) === 0 ? 0 : 1 + upTo(Math.max(1, maxTokens - 4) - 1),
      stageIndex: upTo(stages - 1),
    }))
    const samplingSeed = upTo(1) === 0 ? null : 1 + upTo(SAMPLING_SEEDS - 1)
    yield { prompt: upTo(PROMPT_COUNT - 1), samplingSeed, kills: planned.sort((a, b) => a.atToken - b.atToken) }
  }
}

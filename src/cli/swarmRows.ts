/** The rows that `bench swarm` prints: medians over the rounds of each condition, and what conditions say of each other. */

import { median, pairedRatios } from '../kernels/suite/index.ts'
import type { BenchTask } from './benchTasks.ts'
import { hopCount, type LapParts, lawTokensPerSecond } from './swarmFigures.ts'

export interface Condition {
  readonly latencyMs: number
  readonly sessions: number
  readonly speculation: 'off' | 'lookup' | 'on'
}

interface Figures {
  /** Of all sessions together, while every one was answering. */
  readonly tokensPerSecond: number
  /** Median of the sessions'. */
  readonly timeToFirstTokenMs: number
  /** All stages of a lap together, on average. */
  readonly computeMsPerLap: number
  /** What sessions that never wait for each other would give: computing and the way, and nothing else. */
  readonly idealTokensPerSecond: number
  readonly overheadPercent: number
  /** Everything that anybody sent. */
  readonly wireBytesPerToken: number
  /** (lap − compute − delay) ÷ hops of the median lap; with several sessions also what rows wait for the passes of others. */
  readonly hopFixedMs: number
}

/** One condition in one round. */
export interface Run extends Figures {
  readonly parts: LapParts | null
  readonly modelMs: number | null
}

/** What all rows of a table share. */
export interface RowSubject {
  readonly tabs: number
  readonly task: BenchTask['name']
  readonly engine: string
  readonly adapter: string
  /** Sum over the stages of a pass of one row while all are busy; null where it was not measured. */
  readonly modelMs: number | null
}

/** Medians over the rounds. */
export interface SwarmRow extends RowSubject, Condition, Figures {
  /** Where a hop's time goes, of one session without drafts. */
  readonly hopPartsMs: HopParts | null
  /** Of several sessions without drafts: min(R / t_token, S / t_model), what it is made of, and how much of it was reached. */
  readonly tokenMs: number | null
  readonly lawTokensPerSecond: number | null
  readonly lawRatio: number | null
  /** With drafts, where it was measured without too: median of the rounds' ratios. */
  readonly speculationRatio: number | null
}

/** Milliseconds a hop, on average of a lap's hops. */
export interface HopParts {
  readonly driver: number
  readonly transport: number
  readonly page: number
  readonly port: number
  readonly stage: number
}

/** Conditions of one table, each with its rounds in order. */
export type Runs = ReadonlyMap<Condition, readonly Run[]>

/** A row of `runs`; the law takes its t_token from the same condition with one session, which must be among them. */
export function swarmRow({ modelMs, ...subject }: RowSubject, condition: Condition, runs: Runs): SwarmRow {
  const own = runs.get(condition) ?? []
  const { tabs } = subject
  const middle = (figure: (run: Run) => number) => median(own.map(figure))
  const tokensPerSecond = middle((run) => run.tokensPerSecond)
  const tokenMs = isPlainCrowd(condition) ? 1_000 / median(speedsOf(runs, { ...condition, sessions: 1 })) : null
  const isLawful = tokenMs !== null && modelMs !== null
  const law = isLawful ? lawTokensPerSecond({ sessions: condition.sessions, stages: tabs, tokenMs, modelMs }) : null
  return {
    ...subject,
    ...condition,
    tokensPerSecond,
    timeToFirstTokenMs: middle((run) => run.timeToFirstTokenMs),
    computeMsPerLap: middle((run) => run.computeMsPerLap),
    idealTokensPerSecond: middle((run) => run.idealTokensPerSecond),
    overheadPercent: middle((run) => run.overheadPercent),
    wireBytesPerToken: middle((run) => run.wireBytesPerToken),
    hopFixedMs: middle((run) => run.hopFixedMs),
    hopPartsMs: hopPartsOf(own, tabs),
    tokenMs,
    modelMs: tokenMs === null ? null : modelMs,
    lawTokensPerSecond: law,
    lawRatio: law === null ? null : tokensPerSecond / law,
    speculationRatio: speculationRatioOf(condition, runs),
  }
}

/** Several sessions without drafts: for these there is a law. */
export function isPlainCrowd({ sessions, speculation }: Condition): boolean {
  return sessions > 1 && speculation === 'off'
}

function speculationRatioOf(condition: Condition, runs: Runs): number | null {
  const plain = condition.speculation === 'off' ? [] : speedsOf(runs, { ...condition, speculation: 'off' })
  return plain.length === 0 ? null : median(pairedRatios(plain, speedsOf(runs, condition)))
}

/** One figure a round; none where that condition was not measured. */
function speedsOf(runs: Runs, wanted: Condition): number[] {
  const key = ({ latencyMs, sessions, speculation }: Condition) => [latencyMs, sessions, speculation].join()
  return [...runs].flatMap(([condition, own]) => (key(condition) === key(wanted) ? own.map((run) => run.tokensPerSecond) : []))
}

function hopPartsOf(runs: readonly Run[], stages: number): HopParts | null {
  const parts = runs.flatMap((run) => run.parts ?? [])
  if (parts.length === 0) return null
  const middle = (part: keyof LapParts) => median(parts.map((each) => each[part])) / hopCount(stages)
  return {
    driver: middle('driverMs'),
    transport: middle('transportMs'),
    page: middle('pageMs'),
    port: middle('portMs'),
    stage: middle('stageMs'),
  }
}

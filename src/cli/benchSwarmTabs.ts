/**
 * BenchSwarm: one swarm of tabs that `bench swarm` asks under all its conditions, in turn. Delays change while tabs stay, so that rows of
 * one number of tabs differ in nothing else.
 */

import { median } from '../kernels/suite/index.ts'
import type { ResolvedModel, TimedAnswer, VolunteerTab } from '../node/index.ts'
import type { AskRequest, EngineChoice, SamplingOptions } from '../peer/index.ts'
import { type ModelId, required, TabswarmError } from '../shared/index.ts'
import type { BenchTask } from './benchTasks.ts'
import { closeLinks, FRAME_PROBE, probeWorker, takeFrameEvents } from './frameProbe.ts'
import {
  type ChainEvents,
  hopFixedMs,
  idealLapMs,
  lapPartsOf,
  lapsOf,
  modelMsOf,
  overheadPercent,
  throughputOf,
  wireBytesPerToken,
} from './swarmFigures.ts'
import { type Condition, isPlainCrowd, type Run, type SwarmRow, swarmRow } from './swarmRows.ts'
import { openTabSwarm, type TabSwarm } from './tabSwarm.ts'

export interface BenchSwarmOptions {
  readonly model: ResolvedModel
  readonly draftModel: ResolvedModel | null
  readonly tabs: number
  readonly engine: EngineChoice
  readonly maxTokens: number
  readonly sessionsMax: number
}

export interface SwarmPlan {
  readonly task: BenchTask
  readonly rounds: number
  readonly latencyMs: readonly number[]
  readonly sessions: readonly number[]
  readonly speculation: readonly Condition['speculation'][]
}

/** Longest prompt of the tasks, with its template. */
const PROMPT_POSITIONS = 256
const GREEDY: SamplingOptions = { temperature: 0, topP: 1, topK: 0, minP: 0, seed: 0, stop: [] }
/** Round trips of closing are added. */
const CLOSING_MS = 500
/** Sessions of the condition before that are about to end. */
const ENDING_SESSIONS = 2

export class BenchSwarm {
  readonly #options: BenchSwarmOptions
  readonly #swarm: TabSwarm
  readonly #expected = new Map<BenchTask, string>()
  #stages: readonly VolunteerTab[] = []
  #engine = { engine: '', adapter: '' }
  #latencyMs = 0

  private constructor(options: BenchSwarmOptions, swarm: TabSwarm) {
    this.#options = options
    this.#swarm = swarm
  }

  static async open(options: BenchSwarmOptions): Promise<BenchSwarm> {
    const { model, draftModel, tabs, engine, maxTokens, sessionsMax } = options
    const positions = (sessionsMax + ENDING_SESSIONS) * (PROMPT_POSITIONS + maxTokens)
    const swarm = await openTabSwarm({
      model,
      draftModel,
      tabs,
      engine,
      positions,
      latencyMs: 0,
      sessions: sessionsMax,
      initScript: FRAME_PROBE,
    })
    try {
      await Promise.all(swarm.volunteers.map(probeWorker))
      return new BenchSwarm(options, swarm)
    } catch (error) {
      await swarm.close()
      throw error
    }
  }

  close(): Promise<void> {
    return this.#swarm.close()
  }

  /** A row for each condition, medians over the rounds. */
  async measure(plan: SwarmPlan, onRun: (text: string) => void): Promise<SwarmRow[]> {
    const { task, rounds } = plan
    await this.#warmUp(task)
    const conditions = conditionsOf(plan)
    const runs = new Map<Condition, Run[]>(conditions.map((condition) => [condition, []]))
    const modelMs: number[] = []
    for (let round = 1; round <= rounds; round++) {
      // As many sessions as stages, without delays: every stage computes all the time, mostly one row.
      const busy = conditions.some(isPlainCrowd)
        ? await this.#run(task, { latencyMs: 0, sessions: this.#options.tabs, speculation: 'off' })
        : null
      if (busy?.modelMs != null) modelMs.push(busy.modelMs)
      for (const [condition, done] of runs) {
        const run = await this.#run(task, condition)
        done.push(run)
        const { latencyMs, sessions, speculation } = condition
        onRun(
          `round ${round} of ${rounds}, ${latencyMs} ms, sessions ${sessions}, drafts ${speculation}: ${run.tokensPerSecond.toFixed(2)} tokens/s`,
        )
      }
    }
    const asked = conditions.filter(({ sessions }) => plan.sessions.includes(sessions))
    const subject = { tabs: this.#options.tabs, task: task.name, ...this.#engine, modelMs: modelMs.length === 0 ? null : median(modelMs) }
    return asked.map((condition) => swarmRow(subject, condition, runs))
  }

  /** Connects everybody, and tells who is which stage. */
  async #warmUp(task: BenchTask): Promise<void> {
    await this.#connect()
    const [warm] = await this.#ask(task, 1, 'off')
    const { stages } = required(warm, 'an answer').answer
    const tabs = await Promise.all(this.#swarm.volunteers.map(async (tab) => ({ tab, peerId: await tab.peerId() })))
    this.#stages = stages.map(({ peerId }) => required(tabs.find((each) => each.peerId === peerId)?.tab, `the tab of stage ${peerId}`))
    const { engine, adapter } = required(stages[0], 'a stage')
    this.#engine = { engine, adapter }
    // The first time all sessions come, kernels for several rows may have to be compiled.
    await this.#ask(task, this.#options.sessionsMax, 'on')
  }

  /** Chromium gives a connection the delay that holds when it is made: so all are made anew. */
  async #setLatency(latencyMs: number): Promise<void> {
    if (latencyMs === this.#latencyMs) return
    this.#latencyMs = latencyMs
    const { nodeClock } = await import('../node/index.ts')
    const { requesters } = this.#swarm
    await this.#swarm.setLatency(latencyMs)
    await Promise.all([...requesters, ...this.#stages].map(closeLinks))
    // A link that is still closing would be taken for one that broke.
    await new Promise<void>((resolve) => void nodeClock.after(CLOSING_MS + 4 * latencyMs, resolve))
    await this.#connect()
  }

  /** A word by each requester, so that nobody's first token waits for connections. */
  async #connect(): Promise<void> {
    const request = { modelId: this.#modelId, prompt: { kind: 'raw' as const, text: 'Hello' }, maxTokens: 2, sampling: GREEDY }
    await Promise.all(this.#swarm.requesters.map((requester) => requester.askTogether(request, 1)))
  }

  #ask({ prompt, sampling }: BenchTask, sessions: number, speculation: Condition['speculation']): Promise<readonly TimedAnswer[]> {
    const { maxTokens } = this.#options
    const messages = [{ role: 'user' as const, content: prompt }]
    const request = { modelId: this.#modelId, prompt: { kind: 'messages' as const, messages }, maxTokens, speculation }
    return this.#spread({ ...request, sampling: { ...sampling, stop: [] } }, sessions)
  }

  /** As evenly over the requesters as it goes. */
  async #spread(request: AskRequest, sessions: number): Promise<readonly TimedAnswer[]> {
    const { requesters } = this.#swarm
    const countOf = (index: number) => Math.floor((sessions + requesters.length - 1 - index) / requesters.length)
    const answers = await Promise.all(requesters.map((requester, index) => requester.askTogether(request, countOf(index))))
    return answers.flat()
  }

  get #modelId(): ModelId {
    return this.#options.model.hashedManifest.manifest.id
  }

  async #run(task: BenchTask, { latencyMs, sessions, speculation }: Condition): Promise<Run> {
    await this.#setLatency(latencyMs)
    await this.#events()
    const answers = await this.#ask(task, sessions, speculation)
    this.#compare(task, answers)
    const events = await this.#events()
    const throughput = throughputOf(answers)
    const laps = lapsOf(events)
    if (throughput === null || laps.length === 0)
      throw new TabswarmError('too-short', `${sessions} sessions were not all answering at one time; raise --max-tokens`)
    const stages = this.#options.tabs
    const computeMs = laps.map((lap) => lap.computeMs.reduce((sum, ms) => sum + ms, 0))
    const computeMsPerLap = mean(computeMs)
    const tokensPerLap = mean(answers.map(({ answer }) => (answer.completionTokenIds.length - 1) / answer.drafts.laps))
    const idealTokensPerSecond = (1_000 * sessions * tokensPerLap) / idealLapMs({ computeMs: computeMsPerLap, stages, delayMs: latencyMs })
    return {
      tokensPerSecond: throughput.tokensPerSecond,
      timeToFirstTokenMs: median(answers.map(({ answer }) => answer.timeToFirstTokenMs ?? Number.NaN)),
      computeMsPerLap,
      idealTokensPerSecond,
      overheadPercent: overheadPercent(idealTokensPerSecond, throughput.tokensPerSecond),
      wireBytesPerToken: wireBytesPerToken(events, throughput),
      hopFixedMs: median(
        laps.map(({ lapMs }, index) => hopFixedMs({ lapMs, computeMs: computeMs[index] ?? 0, stages, delayMs: latencyMs })),
      ),
      parts: sessions === 1 && speculation === 'off' ? lapPartsOf(events, laps, latencyMs) : null,
      modelMs: modelMsOf(events.stages),
    }
  }

  /** Neither delays nor drafts nor other sessions change an answer. */
  #compare(task: BenchTask, answers: readonly TimedAnswer[]): void {
    for (const { answer } of answers) {
      const tokens = String(answer.completionTokenIds)
      const expected = this.#expected.get(task)
      if (expected !== undefined && expected !== tokens)
        throw new TabswarmError(
          'answers-differ',
          `two answers to "${task.name}" differ, which no delay, draft or neighbor may cause; report it`,
        )
      this.#expected.set(task, tokens)
    }
  }

  async #events(): Promise<ChainEvents> {
    const [drivers, stages] = await Promise.all(
      [this.#swarm.requesters, this.#stages].map((tabs) => Promise.all(tabs.map(takeFrameEvents))),
    )
    return { driver: drivers?.flat() ?? [], stages: stages ?? [] }
  }
}

/** All combinations, one session first: what several give is told in terms of what one does. */
function conditionsOf({ latencyMs, sessions, speculation }: SwarmPlan): Condition[] {
  const counts = [...new Set([1, ...sessions])]
  return latencyMs.flatMap((delay) =>
    counts.flatMap((count) => speculation.map((drafts) => ({ latencyMs: delay, sessions: count, speculation: drafts }))),
  )
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

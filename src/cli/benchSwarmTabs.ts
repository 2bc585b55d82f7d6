/**
 * BenchSwarm: one swarm of tabs that `bench swarm` asks under all its conditions, in turn. Delays change while tabs stay, so that rows of
 * one number of tabs differ in nothing else.
 */

import { median } from '../kernels/suite/index.ts'
import type { ResolvedModel, TimedAnswer, VolunteerTab } from '../node/index.ts'
import type { EngineChoice, SamplingOptions } from '../peer/index.ts'
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
  readonly speculation: readonly ('off' | 'on')[]
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
    const { model, tabs, engine, maxTokens, sessionsMax } = options
    const positions = (sessionsMax + ENDING_SESSIONS) * (PROMPT_POSITIONS + maxTokens)
    const swarm = await openTabSwarm({ model, tabs, engine, positions, latencyMs: 0, initScript: FRAME_PROBE })
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
    const { requester } = this.#swarm
    await this.#swarm.setLatency(latencyMs)
    await Promise.all([requester, ...this.#stages].map(closeLinks))
    // A link that is still closing would be taken for one that broke.
    await requester.page.waitForTimeout(CLOSING_MS + 4 * latencyMs)
    await requester.askTogether({ modelId: this.#modelId, prompt: { kind: 'raw', text: 'Hello' }, maxTokens: 2, sampling: GREEDY }, 1)
  }

  #ask({ prompt, sampling }: BenchTask, sessions: number, speculation: 'off' | 'on'): Promise<readonly TimedAnswer[]> {
    const { maxTokens } = this.#options
    const messages = [{ role: 'user' as const, content: prompt }]
    const request = { modelId: this.#modelId, prompt: { kind: 'messages' as const, messages }, maxTokens, speculation }
    return this.#swarm.requester.askTogether({ ...request, sampling: { ...sampling, stop: [] } }, sessions)
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
    const [driver = [], ...stages] = await Promise.all([this.#swarm.requester, ...this.#stages].map(takeFrameEvents))
    return { driver, stages }
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

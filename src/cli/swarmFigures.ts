/**
 * The arithmetic of `bench swarm`: from what was seen of one run's frames and tokens to its figures. Nothing here measures; everything
 * is milliseconds unless its name says otherwise.
 */

import { median } from '../kernels/suite/index.ts'
import type { Frame } from '../protocol/index.ts'
import type { FrameEvent, FramePoint } from './frameProbe.ts'

/** Frames that passed each tab of a chain. */
export interface ChainEvents {
  /** Of all requesters, one after the other. */
  readonly driver: readonly FrameEvent[]
  /** In the chain's order. */
  readonly stages: readonly (readonly FrameEvent[])[]
}

/** One round of an answer after its prompt. */
export interface TracedLap {
  readonly sessionId: string
  readonly firstPosition: number
  readonly rowCount: number
  /** From the driver's sending of these rows to its sending of the next. */
  readonly lapMs: number
  /** What each stage said of its pass, from rows handed to the engine until the packed result was readable. */
  readonly computeMs: readonly number[]
}

/** Where a lap's time went beside compute and delay; sums over all hops, so the parts of a lap add up to what it lost. */
export interface LapParts {
  /** From results to the next rows: decoding, sampling, text, encoding. */
  readonly driverMs: number
  /** From one tab's data channel to the next's, less the delay: SCTP, DTLS, sockets, threads. */
  readonly transportMs: number
  /** From a message to its post to the worker, and back; 0 where the worker has the data channel. */
  readonly pageMs: number
  /** From the page's post until the worker takes it, and back; 0 where the worker has the data channel. */
  readonly portMs: number
  /** In the worker, less compute: decoding, planning, log, encoding. */
  readonly stageMs: number
}

/** hops = stages + 1: the driver sends to the first, the last sends to the driver. */
export function hopCount(stages: number): number {
  return stages + 1
}

/** What a lap would take if only computing and the way took time. */
export function idealLapMs({ computeMs, stages, delayMs }: { computeMs: number; stages: number; delayMs: number }): number {
  return computeMs + hopCount(stages) * delayMs
}

/** (lap − compute − delay) ÷ hops. */
export function hopFixedMs(options: { lapMs: number; computeMs: number; stages: number; delayMs: number }): number {
  return (options.lapMs - idealLapMs(options)) / hopCount(options.stages)
}

/** How much longer than the ideal. */
export function overheadPercent(idealTokensPerSecond: number, tokensPerSecond: number): number {
  return 100 * (idealTokensPerSecond / tokensPerSecond - 1)
}

/** min(R / t_token, S / t_model): sessions alone never give more, nor does a pipeline of stages that take one row at a time. */
export function lawTokensPerSecond(options: { sessions: number; stages: number; tokenMs: number; modelMs: number }): number {
  const { sessions, stages, tokenMs, modelMs } = options
  return 1_000 * Math.min(sessions / tokenMs, stages / modelMs)
}

export interface Throughput {
  readonly tokensPerSecond: number
  /** While every session was answering. */
  readonly fromMs: number
  readonly untilMs: number
}

/** All sessions together while every one was answering; null where they were not for two tokens of each. */
export function throughputOf(sessions: readonly { readonly tokensMs: readonly number[] }[]): Throughput | null {
  const fromMs = Math.max(...sessions.map(({ tokensMs }) => tokensMs[0] ?? Number.POSITIVE_INFINITY))
  const untilMs = Math.min(...sessions.map(({ tokensMs }) => tokensMs.at(-1) ?? Number.NEGATIVE_INFINITY))
  // The tokens that came first are not counted: their time lies before.
  const counts = sessions.map(({ tokensMs }) => tokensMs.filter((atMs) => atMs > fromMs && atMs <= untilMs).length)
  if (Math.min(...counts) < 2) return null
  const tokens = counts.reduce((sum, count) => sum + count, 0)
  return { tokensPerSecond: (1_000 * tokens) / (untilMs - fromMs), fromMs, untilMs }
}

/** Bytes of everything that any tab sent, for each token, while all sessions were answering. */
export function wireBytesPerToken({ driver, stages }: ChainEvents, { tokensPerSecond, fromMs, untilMs }: Throughput): number {
  const sent = [driver, ...stages].flat().filter(({ point, atMs }) => point === 'send' && atMs > fromMs && atMs <= untilMs)
  const tokens = (tokensPerSecond * (untilMs - fromMs)) / 1_000
  return sent.reduce((sum, { bytes }) => sum + bytes, 0) / tokens
}

/** The laps after each prompt that another followed, and of which every stage has told. */
export function lapsOf({ driver, stages }: ChainEvents): TracedLap[] {
  const told = stages.map((events) => new Map(toldLaps(events).map((frame) => [lapKey(frame), frame.computeMs])))
  const sent = driver.flatMap(({ point, frame, atMs }) => (point === 'send' && isDecode(frame) ? [{ frame, atMs }] : []))
  return [...groupBy(sent, ({ frame }) => frame.sessionId)].flatMap(([sessionId, own]) =>
    own.flatMap(({ frame, atMs }, index) => {
      const { firstPosition, rowCount } = frame
      const next = own[index + 1]
      const computeMs = told.flatMap((times) => times.get(lapKey(frame)) ?? [])
      const isWhole = next !== undefined && computeMs.length === stages.length
      return isWhole ? [{ sessionId, firstPosition, rowCount, lapMs: next.atMs - atMs, computeMs }] : []
    }),
  )
}

/** Median parts of laps of one row each, of one session; null without any. */
export function lapPartsOf(events: ChainEvents, laps: readonly TracedLap[], delayMs: number): LapParts | null {
  const driver = timesOf(events.driver)
  const stages = events.stages.map(timesOf)
  const parts = laps.flatMap((lap) => partsOf(lap, driver, stages, delayMs) ?? [])
  if (parts.length === 0) return null
  const middle = (part: keyof LapParts) => median(parts.map((each) => each[part]))
  return {
    driverMs: middle('driverMs'),
    transportMs: middle('transportMs'),
    pageMs: middle('pageMs'),
    portMs: middle('portMs'),
    stageMs: middle('stageMs'),
  }
}

/** Sum over the stages of the median pass of one row; null where a stage had none. */
export function modelMsOf(stages: ChainEvents['stages']): number | null {
  const medians = stages.map((events) => {
    const told = toldLaps(events)
    // A pass over several sessions tells each of them the same time, one after the other.
    const alone = told.filter(
      ({ rowCount, computeMs }, index) =>
        rowCount === 1 && told[index - 1]?.computeMs !== computeMs && told[index + 1]?.computeMs !== computeMs,
    )
    return alone.length === 0 ? null : median(alone.map(({ computeMs }) => computeMs))
  })
  return medians.reduce<number | null>((sum, ms) => (sum === null || ms === null ? null : sum + ms), 0)
}

/** What a stage has told of its passes after prompts, in order. */
function toldLaps(stage: readonly FrameEvent[]): Extract<Frame, { readonly type: 'lap' }>[] {
  return stage.flatMap(({ point, frame }) => (point === 'send' && frame?.type === 'lap' && frame.kind === 'decode' ? [frame] : []))
}

function lapKey({ sessionId, firstPosition }: { readonly sessionId: string; readonly firstPosition: number }): string {
  return `${sessionId} ${firstPosition}`
}

function isDecode(frame: Frame | null): frame is Extract<Frame, { readonly type: 'rows' }> {
  return frame?.type === 'rows' && frame.kind === 'decode'
}

function groupBy<Value>(values: readonly Value[], keyOf: (value: Value) => string): Map<string, Value[]> {
  const groups = new Map<string, Value[]>()
  for (const value of values) groups.set(keyOf(value), [...(groups.get(keyOf(value)) ?? []), value])
  return groups
}

type Times = ReadonlyMap<string, number>

/** What a frame passes in a tab whose page has the data channel. */
const PORT_POINTS: readonly FramePoint[] = ['page-post', 'worker-take', 'worker-post', 'page-take']

/** When rows or results of a position passed each point of a tab: into it and out of it they pass different ones. */
function timesOf(events: readonly FrameEvent[]): Times {
  return new Map(
    events.flatMap(({ point, atMs, frame }) =>
      frame?.type === 'rows' || frame?.type === 'results' ? [[`${point} ${lapKey(frame)}`, atMs] as const] : [],
    ),
  )
}

/** Null where something was not seen. */
function partsOf(lap: TracedLap, driver: Times, stages: readonly Times[], delayMs: number): LapParts | null {
  if (lap.rowCount !== 1) return null
  const at = (times: Times, point: FramePoint) => times.get(`${point} ${lapKey(lap)}`) ?? Number.NaN
  const sum = (tabs: readonly Times[], from: FramePoint, to: FramePoint) =>
    tabs.reduce((total, times) => total + at(times, to) - at(times, from), 0)
  const inDriver = at(driver, 'receive') - at(driver, 'send')
  const inTabs = sum(stages, 'receive', 'send')
  const overPorts = stages.filter((times) => PORT_POINTS.some((point) => times.has(`${point} ${lapKey(lap)}`)))
  const pageMs = sum(overPorts, 'receive', 'page-post') + sum(overPorts, 'page-take', 'send')
  const portMs = sum(overPorts, 'page-post', 'worker-take') + sum(overPorts, 'worker-post', 'page-take')
  const parts = {
    driverMs: lap.lapMs - inDriver,
    transportMs: inDriver - inTabs - hopCount(stages.length) * delayMs,
    pageMs,
    portMs,
    stageMs: inTabs - pageMs - portMs - lap.computeMs.reduce((total, ms) => total + ms, 0),
  }
  return Object.values(parts).every(Number.isFinite) ? parts : null
}

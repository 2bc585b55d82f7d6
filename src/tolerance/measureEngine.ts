/**
 * What one engine has to say to a tolerance: its rows for every span of every recorded session, the same once more in other passes, and those of each
 * cheat. The engine holds the whole model; each adapter needs a process of its own, so this is all that such a process does.
 */

import { cheatingEngine, ENGINE_CHEATS, type EngineCheat, isOnlySent } from '../cheats/index.ts'
import type { ModelConfig, Span } from '../model/index.ts'
import { assert, required } from '../shared/index.ts'
import { type Engine, KV_BLOCK_POSITIONS, kvBlockCount, type LoadRequest } from '../worker/index.ts'
import { CHUNK_ROWS, type RecordedSession, type RecordRequest, recordSession } from './recording.ts'
import { type Outputs, replay, type SpanOutput } from './replay.ts'
import { SentAgainEngine } from './sentAgain.ts'

export interface EngineRows {
  readonly engine: string
  readonly numericClass: string
  readonly honest: Outputs
  /** Of the sessions that cheats compute: the honest rows again, in passes of other sizes. */
  readonly again: Outputs
  readonly cheats: readonly { readonly cheat: EngineCheat; readonly outputs: Outputs }[]
}

/** A whole model's; `kvPositions` is set here. */
export type WholeLoad = Omit<LoadRequest, 'kvPositions'>

/** Passes of the second run: of a size that divides no other. */
const AGAIN_CHUNK_ROWS = 7

export async function record(engine: Engine, load: WholeLoad, spans: readonly Span[], requests: readonly RecordRequest[]) {
  const positions = Math.max(...requests.map(({ promptIds, answerTokens }) => promptIds.length + answerTokens))
  await engine.load({ ...load, kvPositions: roomFor(positions, spans.length) })
  const sessions: RecordedSession[] = []
  for (const request of requests) sessions.push(await recordSession(engine, spans, request))
  return sessions
}

export interface MeasureRequest {
  readonly spans: readonly Span[]
  readonly sessions: readonly RecordedSession[]
  /** Indices of those that this engine computes. */
  readonly honestSessions: readonly number[]
  /** Indices of the sessions that cheats compute: none, or two and more of each encoding, since one cheat sends another session's rows. */
  readonly cheatSessions: readonly number[]
  /** Of the cheats' noise; 0 ≤ r < 1. */
  readonly random: () => number
  readonly onProgress: (what: string) => void
}

export async function measureEngine(engine: Engine, load: WholeLoad, request: MeasureRequest): Promise<EngineRows> {
  const { spans, sessions, honestSessions, cheatSessions, random, onProgress } = request
  assert(cheatSessions.length !== 1, 'cheats need two sessions, or none')
  const { config } = load.manifest
  const whole = { ...load, kvPositions: roomFor(Math.max(...sessions.map(({ tokenIds }) => tokenIds.length)), 1) }
  onProgress('honest rows')
  await engine.load(whole)
  const honest = await replayAll(engine, config, request, honestSessions)
  const again = await replayAll(engine, config, request, cheatSessions, AGAIN_CHUNK_ROWS)
  const cheats: EngineRows['cheats'][number][] = []
  for (const cheat of cheatSessions.length === 0 ? [] : ENGINE_CHEATS) {
    onProgress(cheat)
    const order = cheat === 'other-session' ? afterAnother(sessions, cheatSessions) : cheatSessions
    const inner = isOnlySent(cheat) ? new SentAgainEngine(engine, { spans, width: config.width, outputs: honest, order }) : engine
    const cheater = await cheatingEngine(cheat, inner, { random, openAnother: () => Promise.resolve(inner) })
    await cheater.load(whole)
    cheats.push({ cheat, outputs: await replayAll(cheater, config, request, order) })
  }
  const { adapter, numericClass } = engine.info
  return { engine: adapter, numericClass, honest, again, cheats }
}

/** Each behind another one whose rows went over the wire as its own do: where both begin with the same words both send the same. */
function afterAnother(sessions: readonly RecordedSession[], indices: readonly number[]): number[] {
  const encodings = [...new Set(indices.map((index) => sessions[index]?.encoding))]
  return encodings.flatMap((encoding) => {
    const alike = indices.filter((index) => sessions[index]?.encoding === encoding)
    return [...alike.slice(-1), ...alike]
  })
}

/** KV cache for one session at a time, in each of `spans` slots. */
function roomFor(positions: number, spans: number): number {
  return spans * kvBlockCount(positions) * KV_BLOCK_POSITIONS
}

/** A span's sessions follow each other, as they do at a stage; of one that comes twice the last outputs count. */
async function replayAll(
  engine: Engine,
  config: ModelConfig,
  { spans, sessions }: Pick<MeasureRequest, 'spans' | 'sessions'>,
  indices: readonly number[],
  chunkRows = CHUNK_ROWS,
): Promise<Outputs> {
  const outputs = new Map<number, SpanOutput[]>(indices.map((index) => [index, []]))
  for (const [at, span] of spans.entries())
    for (const index of indices) {
      const own = required(outputs.get(index), `session ${index}`)
      own[at] = await replay(engine, config, required(sessions[index], `session ${index}`), span, chunkRows)
    }
  return outputs
}

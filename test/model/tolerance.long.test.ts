/**
 * Honest audits: sessions of the default model are recorded on one engine, every engine at hand replays their spans, and none is held for a cheat. Alone:
 * TABSWARM_LONG=1 npx vitest run --project model test/model/tolerance.long.test.ts
 */

import { describe, expect, it } from 'vitest'
import type { EngineAdapter } from '../../src/cli/engine.ts'
import { openToleranceEngine } from '../../src/cli/toleranceEngine.ts'
import { drawPrompts } from '../../src/cli/tolerancePrompts.ts'
import { MEASURED_TOLERANCE, toleranceOf } from '../../src/coordinator/verification/index.ts'
import { createChatTemplate, createTokenizer, encodePrompt } from '../../src/model/index.ts'
import { resolveModel } from '../../src/node/index.ts'
import { required } from '../../src/shared/index.ts'
import { compareOutputs, cutSpans, type EngineRows, type RecordedSession, type RecordRequest } from '../../src/tolerance/index.ts'

const ADAPTERS: readonly EngineAdapter[] = ['wasm', 'lavapipe', 'swiftshader']
/** Others than the benchmark's, which the tolerance comes from. */
const SEED = 77
const SESSIONS = 44
const ANSWER_TOKENS = 12
const SPANS = 3
const CHEAT_SESSIONS = [0, 1]
const COMPARISONS_MIN = 2_000

async function drawRequests(): Promise<RecordRequest[]> {
  const { gguf } = await resolveModel('default')
  const tokenizer = createTokenizer(gguf.metadata)
  const template = createChatTemplate(gguf.metadata, tokenizer)
  return drawPrompts(SEED, SESSIONS).map((content) => ({
    promptIds: encodePrompt(tokenizer, template.render([{ role: 'user', content }])),
    answerTokens: ANSWER_TOKENS,
    encoding: 'f16e',
    endIds: tokenizer.endIds,
  }))
}

describe('audits between engines', () => {
  it('[V18] fail no honest stage in 2,000 comparisons, and every slice that a cheat has touched', { timeout: 3_600_000 }, async () => {
    const { config } = (await resolveModel('default')).hashedManifest.manifest
    const spans = cutSpans(config, SPANS)
    const requests = await drawRequests()
    const engines: EngineRows[] = []
    let sessions: readonly RecordedSession[] = []
    for (const adapter of ADAPTERS) {
      const engine = await openToleranceEngine(adapter, 'default', (what) => console.log(`${adapter}: ${what}`))
      if ('missing' in engine) {
        console.log(`${adapter} is left out: ${engine.missing}`)
        continue
      }
      if (sessions.length === 0) sessions = await engine.record(spans, requests)
      const cheatSessions = engines.length === 0 ? CHEAT_SESSIONS : []
      engines.push(await engine.measure({ spans, sessions, honestSessions: [...sessions.keys()], cheatSessions }, SEED))
      engine.close()
    }
    expect(engines.length, 'a comparison needs two engines').toBeGreaterThan(1)

    // So that two engines are enough for the comparisons that are wanted.
    const places = { spans, width: config.width, sliceRows: engines.length > 2 ? 6 : 2 }
    const pairs = engines.flatMap((one, index) => engines.slice(index + 1).map((other) => [one, other] as const))
    const tolerance = (one: EngineRows, other: EngineRows) =>
      toleranceOf({ tolerance: MEASURED_TOLERANCE }, one.numericClass, other.numericClass)
    const honest = pairs.flatMap(([one, other]) =>
      compareOutputs(places, sessions, one.honest, other.honest).flatMap(({ slices }) =>
        slices.map((distance) => ({ distance, fails: distance > tolerance(one, other) })),
      ),
    )
    const largest = honest.reduce((most, { distance }) => Math.max(most, distance), 0)
    console.log(`${honest.length} comparisons of ${sessions.length} sessions, the largest distance ${largest}`)
    expect(honest.length).toBeGreaterThanOrEqual(COMPARISONS_MIN)
    expect(honest.filter(({ fails }) => fails)).toEqual([])
    expect(largest).toBeGreaterThan(0)

    // Control: the same comparison finds a layer that is missing, everywhere.
    const [cheater, auditor] = [required(engines[0], 'an engine'), required(engines[1], 'another')]
    const skipped = required(
      cheater.cheats.find(({ cheat }) => cheat === 'skip-layer'),
      'skip-layer',
    )
    const found = compareOutputs(places, sessions, skipped.outputs, auditor.honest).flatMap(({ slices }) => slices)
    expect(found.length).toBeGreaterThan(0)
    expect(found.filter((distance) => distance <= tolerance(cheater, auditor))).toEqual([])
  })
})

/** What each cheat changes of what an honest engine sends, and what it leaves alone. The engine inside is the CPU twin over a small random model. */

import { beforeAll, describe, expect, it } from 'vitest'
import { loadRequest, model, openSlot, tokens } from '../../test/support/engineRuns.ts'
import type { Span } from '../model/index.ts'
import { decodeRows, encodeRows, type RowKind, rowBytes } from '../protocol/index.ts'
import { required } from '../shared/index.ts'
import { type Candidates, createCpuEngine, type Engine, type Segment, type Slot } from '../worker/index.ts'
import { boasted, SPEED_LIES } from './boastingEngine.ts'
import { type CheatOptions, cheatingEngine, ENGINE_CHEATS, type EngineCheat } from './cheats.ts'
import { coarsen } from './coarseEngine.ts'
import { type Moment, noise } from './lies.ts'

const { width, layerCount } = model.manifest.config
/** Layers in the middle: rows in, rows out. */
const MIDDLE: Span = { firstLayer: 1, endLayer: 4 }
const LAST: Span = { firstLayer: 2, endLayer: layerCount }
const PROMPT = 5
const ANSWER = 6
const LAZY_EVERY = 4
const stride = rowBytes('f16e', width)

const openPlain = () => createCpuEngine({ nowMs: () => 0 })

async function openCheat(cheat: EngineCheat | null, more: Partial<CheatOptions> = {}): Promise<Engine> {
  let draw = 0
  // Any sequence will do; this one is spread evenly.
  const random = () => (draw++ * 0.618_033_988_749) % 1
  const options = { random, openAnother: async () => openPlain(), strength: { lazyEvery: LAZY_EVERY }, ...more }
  const engine = cheat === null ? openPlain() : await cheatingEngine(cheat, openPlain(), options)
  await engine.load(loadRequest(model, { firstLayer: 0, endLayer: layerCount }))
  return engine
}

/** Rows as they would come in from a stage before. */
function inputRows(seed: number): Uint8Array {
  const values = Float32Array.from({ length: (PROMPT + ANSWER) * width }, (_, index) => Math.sin(seed + 0.37 * index * (1 + (index % 7))))
  return encodeRows('f16e', values, width)
}

function segmentOf(engine: Engine, slot: Slot, rows: Uint8Array, kind: RowKind, count: number, last: boolean): Segment {
  const firstPosition = engine.length(slot)
  const bytes = rows.subarray(firstPosition * stride, (firstPosition + count) * stride)
  return {
    slot,
    kind,
    firstPosition,
    input: { kind: 'rows', encoding: 'f16e', rowCount: count, bytes },
    output: last ? { kind: 'candidates', resultCount: count, topK: 8 } : { kind: 'rows', encoding: 'f16e' },
  }
}

type Sent = Uint8Array | Candidates

/** A prompt and then a row a pass, as a session runs; what was sent for each position. */
async function runSession(engine: Engine, span: Span, rows: Uint8Array): Promise<Sent[]> {
  const slot = openSlot(engine, span)
  const sent: Sent[] = []
  const last = span.endLayer === layerCount
  for (const count of [PROMPT, ...new Array<number>(ANSWER).fill(1)]) {
    const kind = count === PROMPT ? 'prompt' : 'decode'
    const { outputs } = await engine.forward([segmentOf(engine, slot, rows, kind, count, last)])
    const output = required(outputs[0], 'an output')
    if (output.kind === 'rows') for (let row = 0; row < count; row++) sent.push(output.bytes.slice(row * stride, (row + 1) * stride))
    else if (output.kind === 'candidates') sent.push(...output.positions)
  }
  expect(engine.length(slot)).toBe(PROMPT + ANSWER)
  engine.close(slot)
  return sent
}

/** Positions at which two sessions sent other rows. */
function changed(one: readonly Sent[], other: readonly Sent[]): number[] {
  expect(one).toHaveLength(other.length)
  return one.flatMap((row, position) => (JSON.stringify(row) === JSON.stringify(other[position]) ? [] : [position]))
}

const everyPosition = Array.from({ length: PROMPT + ANSWER }, (_, position) => position)
const odd = everyPosition.filter((position) => position % 2 === 1)
const lazyOnes = everyPosition.filter((position) => position % LAZY_EVERY === LAZY_EVERY - 1)
const CHANGED: Readonly<Record<EngineCheat, readonly number[]>> = {
  'skip-layer': everyPosition,
  'coarse-quantization': everyPosition,
  noise: everyPosition,
  'other-session': everyPosition,
  'repeat-row': odd,
  lazy: lazyOnes,
}

let honest: { readonly rows: readonly Sent[]; readonly results: readonly Sent[] }

beforeAll(async () => {
  const engine = await openCheat(null)
  honest = { rows: await runSession(engine, MIDDLE, inputRows(1)), results: await runSession(engine, LAST, inputRows(1)) }
})

describe.each(ENGINE_CHEATS)('%s', (cheat) => {
  it('sends other rows and other candidates at its positions alone', async () => {
    for (const [span, expected] of [
      [MIDDLE, honest.rows],
      [LAST, honest.results],
    ] as const) {
      const engine = await openCheat(cheat)
      if (cheat === 'other-session') await runSession(engine, span, inputRows(2))
      expect(changed(await runSession(engine, span, inputRows(1)), expected)).toEqual(CHANGED[cheat])
      engine.dispose()
    }
  })

  it('is honest to the bit for as many sessions as it was told to be', async () => {
    const engine = await openCheat(cheat, { afterSessions: 2 })
    expect(changed(await runSession(engine, MIDDLE, inputRows(1)), honest.rows)).toEqual([])
    await runSession(engine, MIDDLE, inputRows(2))
    expect(changed(await runSession(engine, MIDDLE, inputRows(1)), honest.rows)).toEqual(CHANGED[cheat])
    engine.dispose()
  })

  it('computes audits of others honestly, and counts none of them as a session', async () => {
    let isAudit = true
    const engine = await openCheat(cheat, { afterSessions: 1, isAudit: () => isAudit })
    for (const _ of [1, 2]) expect(changed(await runSession(engine, MIDDLE, inputRows(1)), honest.rows)).toEqual([])
    isAudit = false
    await runSession(engine, MIDDLE, inputRows(2))
    expect(changed(await runSession(engine, MIDDLE, inputRows(1)), honest.rows)).toEqual(CHANGED[cheat])
    isAudit = true
    expect(changed(await runSession(engine, MIDDLE, inputRows(1)), honest.rows)).toEqual([])
    engine.dispose()
  })

  it('says of itself what an honest engine says, and gives all its room back', async () => {
    const engine = await openCheat(cheat, { afterSessions: 1 })
    expect(engine.info).toEqual(openPlain().info)
    const before = engine.usage()
    await runSession(engine, MIDDLE, inputRows(1))
    await runSession(engine, LAST, inputRows(1))
    expect(engine.usage()).toEqual(before)
    engine.dispose()
  })

  it('takes a session back to a position and on from there, as drafts need it', async () => {
    const engine = await openCheat(cheat)
    if (cheat === 'other-session') await runSession(engine, MIDDLE, inputRows(2))
    const slot = openSlot(engine, MIDDLE)
    const rows = inputRows(1)
    const run = () => engine.forward([segmentOf(engine, slot, rows, 'decode', 3, false)])
    const first = await run()
    engine.truncate(slot, 0)
    expect(engine.length(slot)).toBe(0)
    // Noise is drawn anew.
    if (cheat !== 'noise') expect((await run()).outputs).toEqual(first.outputs)
    engine.close(slot)
    engine.dispose()
  })
})

describe('what is sent instead', () => {
  it('noise: candidates that a driver takes, best first and of no probability above 1', async () => {
    const sent = await runSession(await openCheat('noise'), LAST, inputRows(1))
    for (const row of sent) {
      const { logits, logSumExp } = row as Candidates
      expect([...logits]).toEqual([...logits].sort((a, b) => b - a))
      expect(logSumExp).toBeGreaterThanOrEqual(logits[0] ?? Number.POSITIVE_INFINITY)
    }
    const certain = { position: 0, logSumExp: 1, ids: Uint32Array.of(4, 5), logits: Float32Array.of(1, -20) }
    const moment = { honest: { kind: 'candidates', candidates: certain } } as unknown as Moment
    const noisy = Array.from({ length: 20 }, (_, draw) => noise(0.05, () => draw / 20)(moment))
    const best = noisy.map((row) => (row.kind === 'candidates' ? row.candidates.logSumExp - (row.candidates.logits[0] ?? 0) : -1))
    expect(Math.min(...best)).toBe(0)
  })

  const rowAt = (sent: readonly Sent[], position: number) => required(sent[position], `row ${position}`)

  it('repeat-row: the row before it', async () => {
    const sent = await runSession(await openCheat('repeat-row'), MIDDLE, inputRows(1))
    for (const position of odd) expect(rowAt(sent, position)).toEqual(rowAt(honest.rows, position - 1))
  })

  it('lazy: the row that came in; where candidates are wanted, those of the row before', async () => {
    const rows = inputRows(1)
    const sent = await runSession(await openCheat('lazy'), MIDDLE, rows)
    const results = await runSession(await openCheat('lazy'), LAST, rows)
    for (const position of lazyOnes) {
      expect(rowAt(sent, position)).toEqual(rows.slice(position * stride, (position + 1) * stride))
      expect(rowAt(results, position)).toEqual({ ...(rowAt(honest.results, position - 1) as Candidates), position })
    }
  })

  it('other-session: the earlier session’s row of that position', async () => {
    const engine = await openCheat('other-session')
    const earlier = await runSession(engine, MIDDLE, inputRows(2))
    expect(await runSession(engine, MIDDLE, inputRows(1))).toEqual(earlier)
  })

  it('noise: rows about its share away, candidates still best first', async () => {
    const noiseShare = 0.1
    const sent = await runSession(await openCheat('noise', { strength: { noiseShare } }), MIDDLE, inputRows(1))
    const valuesOf = (row: Sent) => decodeRows('f16e', row as Uint8Array, width)
    for (const position of everyPosition) {
      const [values, expected] = [valuesOf(rowAt(sent, position)), valuesOf(rowAt(honest.rows, position))]
      const apart = Math.hypot(...values.map((value, column) => value - (expected[column] ?? 0))) / Math.hypot(...expected)
      expect(apart).toBeGreaterThan(noiseShare / 2)
      expect(apart).toBeLessThan(2 * noiseShare)
    }
    const results = await runSession(await openCheat('noise', { strength: { noiseShare } }), LAST, inputRows(1))
    for (const candidates of results as Candidates[]) expect(candidates.logits).toEqual(candidates.logits.toSorted().reverse())
  })

  it('skip-layer: what layers 1 and 3 make of it without layer 2', async () => {
    const engine = await openCheat(null)
    const rows = inputRows(1)
    const run = async (span: Span, input: Segment['input'], encoding: 'f32' | 'f16e') => {
      const slot = openSlot(engine, span)
      const { outputs } = await engine.forward([{ slot, kind: 'prompt', firstPosition: 0, input, output: { kind: 'rows', encoding } }])
      const output = required(outputs[0], 'an output')
      if (output.kind !== 'rows') throw new Error(`expected rows, got ${output.kind}`)
      return output.bytes
    }
    const first = rows.subarray(0, PROMPT * stride)
    const between = await run({ firstLayer: 1, endLayer: 2 }, { kind: 'rows', encoding: 'f16e', rowCount: PROMPT, bytes: first }, 'f32')
    const without = await run({ firstLayer: 3, endLayer: 4 }, { kind: 'rows', encoding: 'f32', rowCount: PROMPT, bytes: between }, 'f16e')
    const sent = await runSession(await openCheat('skip-layer'), MIDDLE, rows)
    expect(sent.slice(0, PROMPT)).toEqual(Array.from({ length: PROMPT }, (_, row) => without.slice(row * stride, (row + 1) * stride)))
  })

  it('skip-layer: leaves a session that is honest in the same pass alone', async () => {
    const engine = await openCheat('skip-layer', { afterSessions: 1 })
    const rows = inputRows(1)
    const slots = [openSlot(engine, MIDDLE), openSlot(engine, MIDDLE)]
    const { outputs } = await engine.forward(slots.map((slot) => segmentOf(engine, slot, rows, 'prompt', PROMPT, false)))
    const [plain, skipped] = outputs.map((output) => (output.kind === 'rows' ? output.bytes.slice(0, stride) : null))
    expect(plain).toEqual(rowAt(honest.rows, 0))
    expect(skipped).not.toEqual(plain)
  })

  it('skip-layer: refuses a span of which no layer can be left out', async () => {
    const engine = await openCheat('skip-layer')
    expect(() => engine.open({ span: { firstLayer: 1, endLayer: 2 }, maxPositions: 8 })).toThrow(/none that can be left out/)
    expect(() => engine.open({ span: { firstLayer: layerCount - 2, endLayer: layerCount }, maxPositions: 8 })).toThrow(/none/)
  })

  it('coarse-quantization: 2^bits values a group, the least and the largest among them', () => {
    const values = Float32Array.from({ length: 64 }, (_, index) => Math.sin(index) * (index < 32 ? 1 : 100))
    const coarse = values.slice()
    coarsen(coarse, 2)
    for (const first of [0, 32]) {
      const [exact, group] = [values.slice(first, first + 32), coarse.slice(first, first + 32)]
      expect(new Set(group).size).toBe(4)
      expect([Math.min(...group), Math.max(...group)]).toEqual([Math.min(...exact), Math.max(...exact)])
    }
    expect(coarse[5]).not.toBe(values[5])
  })

  it('from token ids: the first stage cheats too', async () => {
    const span = { firstLayer: 0, endLayer: 3 }
    const run = async (engine: Engine) => {
      const slot = openSlot(engine, span)
      const segment = { slot, kind: 'prompt', firstPosition: 0, input: { kind: 'tokens', ids: tokens(PROMPT) } } as const
      const { outputs } = await engine.forward([{ ...segment, output: { kind: 'rows', encoding: 'f16e' } }])
      return JSON.stringify(outputs)
    }
    const plain = await run(await openCheat(null))
    for (const cheat of ENGINE_CHEATS.filter((name) => name !== 'other-session'))
      expect(await run(await openCheat(cheat)), cheat).not.toBe(plain)
  })
})

describe.each(['lie-speed', 'lie-adapter'] as const)('%s', (lie) => {
  it('computes honestly to the bit, and shortens what its passes took once it has begun', async () => {
    const options = { random: () => 0, openAnother: async () => openPlain(), afterSessions: 1 }
    // Each reading of its clock is a second later.
    let nowMs = 0
    const slow = createCpuEngine({ nowMs: () => (nowMs += 1_000) })
    const boasting = await cheatingEngine(lie, slow, options)
    await boasting.load(loadRequest(model, { firstLayer: 0, endLayer: layerCount }))
    const passMs = async () => {
      const slot = openSlot(boasting, MIDDLE)
      const { computeMs } = await boasting.forward([segmentOf(boasting, slot, inputRows(1), 'prompt', PROMPT, false)])
      boasting.close(slot)
      return computeMs
    }
    const honestMs = await passMs()
    expect(honestMs).toBeGreaterThan(0)
    expect(await passMs()).toBeCloseTo(honestMs / SPEED_LIES[lie])
    expect(changed(await runSession(boasting, MIDDLE, inputRows(1)), honest.rows)).toEqual([])
    boasting.dispose()
  })

  it('says the same of the probe, and the adapter only where that is the lie', () => {
    const detected = { adapter: 'an old one', macsPerSecond: 3, numericClass: 'as it computes' }
    const adapter = lie === 'lie-adapter' ? expect.not.stringMatching('an old one') : 'an old one'
    expect(boasted(lie, detected)).toEqual({ ...detected, macsPerSecond: 3 * SPEED_LIES[lie], adapter })
  })
})

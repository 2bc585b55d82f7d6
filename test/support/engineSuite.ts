/**
 * What every engine must do, whatever computes inside: the WGSL engine on each adapter and the CPU twin pass this one suite.
 * Numbers against references are test/golden's matter; here an engine is compared with itself, bit by bit.
 */

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Span, spanBytes } from '../../src/model/index.ts'
import { type Candidates, type Engine, EngineError, type LoadRequest, type Segment, type Slot } from '../../src/worker/index.ts'
import { randomModel } from './randomModel.ts'
import type { TestModel } from './tinyModels.ts'

const GENEROUS_BYTES = 2 ** 30
const KV_POSITIONS = 512
const model = randomModel({ seed: 7, twinTokens: true })
const { config } = model.manifest
const whole: Span = { firstLayer: 0, endLayer: config.layerCount }

export function loadRequest(testModel: TestModel, span: Span, more: Partial<LoadRequest> = {}): LoadRequest {
  return {
    manifest: testModel.manifest,
    span,
    loadTensor: testModel.loadTensor,
    memoryBytesMax: GENEROUS_BYTES,
    kvPositions: KV_POSITIONS,
    onProgress: () => undefined,
    signal: new AbortController().signal,
    ...more,
  }
}

const tokens = (count: number, seed = 1) => Uint32Array.from({ length: count }, (_, i) => (i * 37 + seed * 101) % config.vocabularySize)

function openSlot(engine: Engine, span: Span = whole, maxPositions = 64): Slot {
  const opened = engine.open({ span, maxPositions })
  if (!opened.ok) throw new Error('no room')
  return opened.value
}

interface Ask {
  readonly kind?: 'prompt' | 'decode'
  readonly resultCount?: number
  readonly topK?: number
}

function tokenSegment(
  engine: Engine,
  slot: Slot,
  ids: Uint32Array,
  { kind = 'prompt', resultCount = ids.length, topK = 8 }: Ask = {},
): Segment {
  return {
    slot,
    kind,
    firstPosition: engine.length(slot),
    input: { kind: 'tokens', ids },
    output: { kind: 'candidates', resultCount, topK },
  }
}

async function run(engine: Engine, segment: Segment): Promise<readonly Candidates[]> {
  const { outputs } = await engine.forward([segment])
  return candidatesOf(outputs[0])
}

function candidatesOf(output: Awaited<ReturnType<Engine['forward']>>['outputs'][number] | undefined): readonly Candidates[] {
  if (output?.kind !== 'candidates') throw new Error(`expected candidates, got ${output?.kind}`)
  return output.positions
}

/** The whole of `ids` in one prompt segment of a fresh slot: what everything else is compared with. */
async function plainRun(engine: Engine, ids: Uint32Array, ask: Ask = {}): Promise<readonly Candidates[]> {
  const slot = openSlot(engine)
  const result = await run(engine, tokenSegment(engine, slot, ids, ask))
  engine.close(slot)
  return result
}

/** Carries `ids` through slots of consecutive spans with f32 rows between them; the candidates of all rows. */
async function runSpans(
  stages: readonly { engine: Engine; slot: Slot }[],
  ids: Uint32Array,
  kind: 'prompt' | 'decode',
): Promise<readonly Candidates[]> {
  let input: Segment['input'] = { kind: 'tokens', ids }
  for (const [index, { engine, slot }] of stages.entries()) {
    const last = index === stages.length - 1
    const output: Segment['output'] = last ? { kind: 'candidates', resultCount: ids.length, topK: 8 } : { kind: 'rows', encoding: 'f32' }
    const { outputs } = await engine.forward([{ slot, kind, firstPosition: engine.length(slot), input, output }])
    const [first] = outputs
    if (last) return candidatesOf(first)
    if (first?.kind !== 'rows') throw new Error(`expected rows, got ${first?.kind}`)
    input = { kind: 'rows', encoding: 'f32', rowCount: ids.length, bytes: first.bytes }
  }
  throw new Error('no stages')
}

/** Spans that cut the layers into `count` parts, as equal as can be. */
export function cutSpans(layerCount: number, count: number): Span[] {
  return Array.from({ length: count }, (_, index) => ({
    firstLayer: Math.floor((layerCount * index) / count),
    endLayer: Math.floor((layerCount * (index + 1)) / count),
  }))
}

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.fail('it was accepted'),
    (error: unknown) => error,
  )
}

async function expectReason(promise: Promise<unknown>, reason: string): Promise<void> {
  const error = await rejection(promise)
  expect(error).toBeInstanceOf(EngineError)
  expect(error).toMatchObject({ reason })
}

/** `createEngine` makes engines that share nothing but the device. */
export function engineSuite(name: string, createEngine: () => Promise<Engine>): void {
  describe(`${name}: one model`, () => {
    let engine: Engine
    beforeAll(async () => {
      engine = await createEngine()
      await engine.load(loadRequest(model, whole))
    })
    afterAll(() => engine.dispose())
    afterEach(async ({ task }) => {
      const { openSlots } = engine.usage()
      if (openSlots === 0) return
      // A test that failed midway: the next one begins with a fresh pool.
      engine.unload()
      await engine.load(loadRequest(model, whole))
      if (task.result?.state === 'pass') expect(openSlots, 'slots that the test left open').toBe(0)
    })

    numbers(() => engine)
    slots(() => engine)
    refusals(() => engine)
  })
  describe(`${name}: loading`, () => loading(createEngine))
}

function numbers(engine: () => Engine): void {
  it('gives the best logits first, equal ones by the lower id, with their positions', async () => {
    const slot = openSlot(engine())
    const [result] = await run(engine(), tokenSegment(engine(), slot, tokens(5), { resultCount: 1, topK: 12 }))
    expect(result?.position).toBe(4)
    const { ids = new Uint32Array(), logits = new Float32Array() } = result ?? {}
    expect(ids).toHaveLength(12)
    for (let pair = 0; pair < 12; pair += 2) {
      // Every token has a twin with the same logit: control that the tie is really there.
      expect(logits[pair + 1]).toBe(logits[pair])
      expect((ids[pair] ?? 0) % 2).toBe(0)
      expect(ids[pair + 1]).toBe((ids[pair] ?? 0) + 1)
      if (pair > 0) expect(logits[pair]).toBeLessThan(logits[pair - 1] ?? 0)
    }
    engine().close(slot)
  })

  it('gives candidates and logsumexp that agree with all logits', async () => {
    const ids = tokens(9)
    const candidates = await plainRun(engine(), ids, { resultCount: 3, topK: 5 })
    const slot = openSlot(engine())
    const { outputs } = await engine().forward([{ ...tokenSegment(engine(), slot, ids), output: { kind: 'logits', resultCount: 3 } }])
    const [output] = outputs
    if (output?.kind !== 'logits') throw new Error('expected logits')
    expect(output.values).toHaveLength(3 * config.vocabularySize)
    candidates.forEach((candidate, row) => {
      const logits = output.values.subarray(row * config.vocabularySize, (row + 1) * config.vocabularySize)
      const best = [...logits.keys()].sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b).slice(0, 5)
      expect([...candidate.ids]).toEqual(best)
      expect([...candidate.logits]).toEqual(best.map((id) => logits[id]))
      const maximum = Math.max(...logits)
      const sum = logits.reduce((total, logit) => total + Math.exp(logit - maximum), 0)
      expect(candidate.logSumExp).toBeCloseTo(maximum + Math.log(sum), 4)
    })
    engine().close(slot)
  })

  it('asks nothing of the head for a segment without results', async () => {
    const slot = openSlot(engine())
    expect(await run(engine(), tokenSegment(engine(), slot, tokens(4), { resultCount: 0 }))).toEqual([])
    expect(engine().length(slot)).toBe(4)
    engine().close(slot)
  })

  it.each([1, 2, 3, 5])('gives equal bits whether %i spans or one hold the layers', async (count) => {
    const expected = await plainRun(engine(), tokens(21))
    const stages = cutSpans(config.layerCount, count).map((span) => ({ engine: engine(), slot: openSlot(engine(), span) }))
    expect(await runSpans(stages, tokens(21), 'prompt')).toEqual(expected)
    for (const { slot } of stages) engine().close(slot)
  })

  it('gives equal bits however a prompt is cut', async () => {
    const ids = tokens(50)
    const expected = await plainRun(engine(), ids)
    for (const cuts of [
      [1, 49],
      [32, 18],
      [33, 17],
      [7, 1, 1, 40, 1],
      [16, 16, 16, 2],
    ]) {
      const slot = openSlot(engine())
      const results: Candidates[] = []
      let at = 0
      for (const count of cuts) {
        results.push(...(await run(engine(), tokenSegment(engine(), slot, ids.subarray(at, at + count)))))
        at += count
      }
      expect(results, `cut as ${cuts}`).toEqual(expected)
      engine().close(slot)
    }
  })

  it('gives equal bits whoever else is in the pass', async () => {
    const own = tokens(6, 3)
    const alone = openSlot(engine())
    const expected = [...(await run(engine(), tokenSegment(engine(), alone, own)))]
    expected.push(...(await run(engine(), tokenSegment(engine(), alone, tokens(1, 9), { kind: 'decode' }))))
    engine().close(alone)

    const slots = Array.from({ length: 10 }, () => openSlot(engine(), whole, 20))
    const [mine = -1] = slots.splice(4, 1)
    const prompts = [...slots.map((slot, i) => tokenSegment(engine(), slot, tokens(2 + i, i)))]
    prompts.splice(3, 0, tokenSegment(engine(), mine, own))
    const first = candidatesOf((await engine().forward(prompts)).outputs[3])
    const mixed = slots.map((slot, i) =>
      tokenSegment(engine(), slot, tokens(i % 2 === 0 ? 1 : 3, i), { kind: i % 2 === 0 ? 'decode' : 'prompt' }),
    )
    mixed.push(tokenSegment(engine(), mine, tokens(1, 9), { kind: 'decode' }))
    const second = candidatesOf((await engine().forward(mixed)).outputs.at(-1))
    expect([...first, ...second]).toEqual(expected)
    for (const slot of [...slots, mine]) engine().close(slot)
  })

  it('forgets a truncated position: what is replayed gives equal bits', async () => {
    const ids = tokens(40)
    const expected = await plainRun(engine(), ids)
    const slot = openSlot(engine())
    await run(engine(), tokenSegment(engine(), slot, ids))
    for (const length of [33, 32, 31, 1, 0]) {
      await expectTruncated(engine(), slot, length, ids, expected)
    }
    engine().close(slot)
  })

  it('sees nothing of the session that had its blocks before', async () => {
    const expected = await plainRun(engine(), tokens(33))
    const slot = openSlot(engine(), whole, KV_POSITIONS)
    await run(engine(), tokenSegment(engine(), slot, tokens(200, 5), { resultCount: 0 }))
    engine().close(slot)
    expect(await plainRun(engine(), tokens(33))).toEqual(expected)
  })

  it('computes in the order of calls that were not awaited', async () => {
    const ids = tokens(12)
    const expected = await plainRun(engine(), ids)
    const slot = openSlot(engine())
    const calls = [0, 4, 8].map((at) =>
      engine().forward([{ ...tokenSegment(engine(), slot, ids.subarray(at, at + 4)), firstPosition: at }]),
    )
    const results = (await Promise.all(calls)).flatMap(({ outputs }) => candidatesOf(outputs[0]))
    expect(results).toEqual(expected)
    engine().close(slot)
  })
}

async function expectTruncated(
  engine: Engine,
  slot: Slot,
  length: number,
  ids: Uint32Array,
  expected: readonly Candidates[],
): Promise<void> {
  engine.truncate(slot, length)
  expect(engine.length(slot)).toBe(length)
  // Other tokens first, so that a stale key or value would show.
  await run(engine, tokenSegment(engine, slot, tokens(ids.length - length, 77), { resultCount: 0 }))
  engine.truncate(slot, length)
  expect(await run(engine, tokenSegment(engine, slot, ids.subarray(length))), `truncated to ${length}`).toEqual(expected.slice(length))
}

function slots(engine: () => Engine): void {
  it('reserves whole blocks at open and gives every one back at close', () => {
    const before = engine().usage()
    const slot = openSlot(engine(), whole, 33)
    expect(engine().usage()).toMatchObject({ openSlots: 1, kvBlocksFree: before.kvBlocksFree - 2 })
    engine().close(slot)
    expect(engine().usage()).toEqual(before)
  })

  it('says no-room instead of overcommitting, and has room again after a close', () => {
    const all = openSlot(engine(), whole, KV_POSITIONS)
    expect(engine().open({ span: whole, maxPositions: 1 })).toEqual({ ok: false, error: 'no-room' })
    engine().close(all)
    expect(engine().open({ span: whole, maxPositions: KV_POSITIONS + 1 })).toEqual({ ok: false, error: 'no-room' })
    const again = engine().open({ span: whole, maxPositions: KV_POSITIONS })
    expect(again.ok).toBe(true)
    if (again.ok) engine().close(again.value)
  })

  it('fills a slot to its last position', async () => {
    const slot = openSlot(engine(), whole, 33)
    await run(engine(), tokenSegment(engine(), slot, tokens(32), { resultCount: 1 }))
    await run(engine(), tokenSegment(engine(), slot, tokens(1), { kind: 'decode' }))
    await expectReason(engine().forward([tokenSegment(engine(), slot, tokens(1), { kind: 'decode' })]), 'bad-batch')
    engine().close(slot)
  })
}

function refusals(engine: () => Engine): void {
  const f32Rows = (rowCount: number, value = 0.5) => new Uint8Array(new Float32Array(rowCount * config.width).fill(value).buffer)
  const rows = (slot: Slot, firstPosition: number, bytes: Uint8Array, rowCount: number): Segment => ({
    slot,
    kind: 'prompt',
    firstPosition,
    input: { kind: 'rows', encoding: 'f32', rowCount, bytes },
    output: { kind: 'rows', encoding: 'f32' },
  })

  it('refuses a bad batch by reason, computes nothing of it, and goes on', async () => {
    const slot = openSlot(engine(), whole, 40)
    const middle = openSlot(engine(), { firstLayer: 1, endLayer: 3 }, 8)
    const closed = openSlot(engine())
    engine().close(closed)
    await run(engine(), tokenSegment(engine(), slot, tokens(3)))
    const good = tokenSegment(engine(), slot, tokens(2))
    const bad: Record<string, readonly Segment[]> = {
      'no segments': [],
      'a closed slot': [{ ...good, slot: closed }],
      'a slot twice': [good, { ...good, firstPosition: 5 }],
      'a gap': [{ ...good, firstPosition: 4 }],
      'a repeated position': [{ ...good, firstPosition: 2 }],
      'no rows': [tokenSegment(engine(), slot, tokens(0))],
      'more than was reserved': [tokenSegment(engine(), slot, tokens(38))],
      'a foreign token': [tokenSegment(engine(), slot, Uint32Array.of(config.vocabularySize))],
      'more results than rows': [{ ...good, output: { kind: 'candidates', resultCount: 3, topK: 8 } }],
      'no candidates': [{ ...good, output: { kind: 'candidates', resultCount: 1, topK: 0 } }],
      'too many candidates': [{ ...good, output: { kind: 'candidates', resultCount: 1, topK: 257 } }],
      'tokens for a middle layer': [{ ...good, slot: middle, firstPosition: 0, output: { kind: 'rows', encoding: 'f32' } }],
      'rows for layer 0': [{ ...rows(slot, 3, f32Rows(1), 1), output: good.output }],
      'logits of a middle layer': [{ ...rows(middle, 0, f32Rows(1), 1), output: { kind: 'logits', resultCount: 1 } }],
      'a byte too few': [rows(middle, 0, f32Rows(2).subarray(1), 2)],
      'a good and a bad segment': [good, rows(middle, 1, f32Rows(1), 1)],
    }
    for (const [what, segments] of Object.entries(bad)) {
      await expectReason(engine().forward(segments), 'bad-batch').catch((error: unknown) => {
        throw new Error(`${what}: ${String(error)}`)
      })
    }
    expect([engine().length(slot), engine().length(middle)]).toEqual([3, 0])
    // Control: the same segments in order are fine.
    await engine().forward([good, rows(middle, 0, f32Rows(2), 2)])
    expect([engine().length(slot), engine().length(middle)]).toEqual([5, 2])
    engine().close(slot)
    engine().close(middle)
  })

  it.each([Number.NaN, Number.POSITIVE_INFINITY])(
    'rejects a pass whose outputs are not finite (%f) and keeps the slot as it was',
    async (value) => {
      const span = { firstLayer: 1, endLayer: 3 }
      const slot = openSlot(engine(), span)
      await engine().forward([rows(slot, 0, f32Rows(2), 2)])
      const poisoned = f32Rows(3)
      new DataView(poisoned.buffer).setFloat32(4 * (config.width + 5), value, true)
      await expectReason(engine().forward([rows(slot, 2, poisoned, 3)]), 'not-finite')
      expect(engine().length(slot)).toBe(2)
      const after = await engine().forward([rows(slot, 2, f32Rows(3), 3)])
      const control = openSlot(engine(), span)
      const expected = await engine().forward([rows(control, 0, f32Rows(5), 5)])
      const bytesOf = ({ outputs }: typeof after) => (outputs[0]?.kind === 'rows' ? outputs[0].bytes : new Uint8Array())
      expect(bytesOf(after)).toEqual(bytesOf(expected).slice(2 * 4 * config.width))
      engine().close(slot)
      engine().close(control)
    },
  )
}

function loading(createEngine: () => Promise<Engine>): void {
  const totalBytes = (engine: Engine) => {
    const { weightBytes, kvBytes, scratchBytes } = engine.usage()
    return weightBytes + kvBytes + scratchBytes
  }

  it('counts memory to the byte: fits in what it uses, refuses one byte less, frees all', async () => {
    const engine = await createEngine()
    await engine.load(loadRequest(model, whole))
    const needed = totalBytes(engine)
    expect(needed).toBeGreaterThan(0)
    engine.unload()
    expect(totalBytes(engine)).toBe(0)
    await expectReason(engine.load(loadRequest(model, whole, { memoryBytesMax: needed - 1 })), 'does-not-fit')
    expect(totalBytes(engine)).toBe(0)
    await engine.load(loadRequest(model, whole, { memoryBytesMax: needed }))
    expect(totalBytes(engine)).toBe(needed)
    engine.dispose()
  })

  it('refuses work while nothing is loaded', async () => {
    const engine = await createEngine()
    const segment: Segment = {
      slot: 0,
      kind: 'prompt',
      firstPosition: 0,
      input: { kind: 'tokens', ids: tokens(1) },
      output: { kind: 'candidates', resultCount: 1, topK: 1 },
    }
    await expectReason(engine.forward([segment]), 'not-loaded')
    await engine.load(loadRequest(model, whole))
    engine.unload()
    await expectReason(engine.forward([segment]), 'not-loaded')
    engine.dispose()
  })

  it('loads only the tensors of its span, and reports progress up to their bytes', async () => {
    const engine = await createEngine()
    const span = { firstLayer: 1, endLayer: 2 }
    const loaded: string[] = []
    const progress: number[] = []
    let total = 0
    await engine.load(
      loadRequest(model, span, {
        loadTensor: (tensor, signal) => {
          loaded.push(tensor.name)
          return model.loadTensor(tensor, signal)
        },
        onProgress: (bytesLoaded, bytesTotal) => {
          progress.push(bytesLoaded)
          total = bytesTotal
        },
      }),
    )
    expect(loaded.every((name) => name.startsWith('blk.1.'))).toBe(true)
    expect(new Set(loaded).size).toBe(9)
    expect(total).toBe(spanBytes(model.manifest, span))
    expect(progress).toEqual([...progress].sort((a, b) => a - b))
    expect(progress.at(-1)).toBe(total)
    engine.dispose()
  })

  it('passes on what the source fails with, and holds nothing afterwards', async () => {
    const engine = await createEngine()
    const failure = new Error('the source broke')
    let count = 0
    const loadTensor: LoadRequest['loadTensor'] = async (tensor, signal) => {
      if (count++ === 5) throw failure
      return model.loadTensor(tensor, signal)
    }
    expect(await rejection(engine.load(loadRequest(model, whole, { loadTensor })))).toBe(failure)
    expect(totalBytes(engine)).toBe(0)
    await engine.load(loadRequest(model, whole))
    expect(totalBytes(engine)).toBeGreaterThan(0)
    engine.dispose()
  })

  it('stops loading when it is told to, and holds nothing afterwards', async () => {
    const engine = await createEngine()
    const abort = new AbortController()
    const loadTensor: LoadRequest['loadTensor'] = (tensor, signal) => {
      abort.abort()
      return model.loadTensor(tensor, signal)
    }
    await expectReason(engine.load(loadRequest(model, whole, { loadTensor, signal: abort.signal })), 'aborted')
    expect(totalBytes(engine)).toBe(0)
    engine.dispose()
  })

  it('gives equal bits when other engines hold the other layers', async () => {
    const single = await createEngine()
    await single.load(loadRequest(model, whole))
    const expected = await plainRun(single, tokens(17))
    single.dispose()
    const spans = cutSpans(config.layerCount, 2)
    const engines = await Promise.all(spans.map(() => createEngine()))
    const stages: { engine: Engine; slot: Slot }[] = []
    for (const [index, span] of spans.entries()) {
      const engine = engines[index]
      if (engine === undefined) throw new Error('an engine is missing')
      await engine.load(loadRequest(model, span))
      stages.push({ engine, slot: openSlot(engine, span) })
    }
    expect(await runSpans(stages, tokens(17), 'prompt')).toEqual(expected)
    for (const engine of engines) engine.dispose()
  })
}

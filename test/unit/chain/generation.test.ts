/** Whole chains over links: the same answer however the layers are split, and nothing left behind. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { REPAIR_WAIT_MS } from '../../../src/protocol/index.ts'
import { type Chain, type GenerateRequest, generate, openEngineChain } from '../../../src/session/index.ts'
import { FakeEngine, fakeConfig } from './fakeEngine.ts'
import { World } from './world.ts'

const tokenizer = {
  vocabularySize: fakeConfig.vocabularySize,
  tokenBytes: (id: number) => new TextEncoder().encode(`${id} `),
  isEnd: (id: number) => id === 49,
}

const prompt = Array.from({ length: 37 }, (_, index) => (index * 7 + 3) % 49)

function request(world: World, chain: Chain, change: Partial<GenerateRequest> = {}): GenerateRequest {
  const sampling = { temperature: 1.5, topP: 1, topK: 8, minP: 0, seed: 7 }
  return { chain, tokenizer, promptTokenIds: prompt, maxTokens: 12, sampling, chunkRows: 10, clock: world.clock, ...change }
}

/** What one engine alone answers, without any network. */
async function reference(change: Partial<GenerateRequest> = {}): Promise<readonly number[]> {
  const world = new World(0)
  const engine = new FakeEngine()
  const span = { firstLayer: 0, endLayer: fakeConfig.layerCount }
  const chain = openEngineChain({ stages: [{ engine, span }], maxPositions: 1_000, topK: 8, rowEncoding: 'f32' })
  const { completionTokenIds } = await generate(request(world, chain, change))
  chain.close()
  await new Promise((resolve) => setImmediate(resolve))
  expect(engine.usage().openSlots).toBe(0)
  return completionTokenIds
}

describe('an answer over a chain', () => {
  it('has tokens to compare: the reference is neither empty nor one token repeated', async () => {
    const ids = await reference()
    expect(ids.length).toBe(12)
    expect(new Set(ids).size).toBeGreaterThan(4)
  })

  for (const stageCount of [1, 2, 3, 5]) {
    for (const rowEncoding of ['f32', 'f16e'] as const) {
      it(`is the same over ${stageCount} stages with ${rowEncoding} rows`, async () => {
        const world = new World(stageCount)
        const chain = await world.open(world.grant({ rowEncoding }))
        const laps = new Set<number>()
        const events: string[] = []
        const onEvent: GenerateRequest['onEvent'] = (event) => {
          events.push(event.kind)
          if (event.kind === 'lap') laps.add(event.lap.stageIndex)
        }
        const result = await world.run(generate(request(world, chain, { onEvent })))
        expect(result.completionTokenIds).toEqual(await reference())
        expect(result.finishReason).toBe('length')
        expect(result.text).toBe(result.completionTokenIds.map((id) => `${id} `).join(''))
        expect([...laps].sort()).toEqual(Array.from({ length: stageCount }, (_, index) => index))
        expect(events.filter((kind) => kind === 'token')).toHaveLength(12)
        chain.close()
        await world.settle()
        expect(world.openSlots()).toBe(0)
        for (const { host } of world.stages) expect(host.work.sessionsOpen).toBe(0)
      })
    }
  }

  it('[S14] does not depend on how the prompt is cut', async () => {
    const expected = await reference()
    for (const chunkRows of [1, 2, 36, 37, 512]) {
      const world = new World(3)
      const chain = await world.open(world.grant())
      const { completionTokenIds } = await world.run(generate(request(world, chain, { chunkRows })))
      expect(completionTokenIds).toEqual(expected)
    }
  })

  it('[W5] goes on through a prompt of several windows', async () => {
    const promptTokenIds = Array.from({ length: 3_000 }, (_, index) => (index * 11) % 49)
    const world = new World(3)
    const chain = await world.open(world.grant({ change: { maxPositions: 3_010 } }))
    const done: number[] = []
    const onEvent: GenerateRequest['onEvent'] = (event) => {
      if (event.kind === 'prompt') done.push(event.done)
    }
    const result = await world.run(generate(request(world, chain, { promptTokenIds, maxTokens: 3, chunkRows: 512, onEvent })))
    const span = { firstLayer: 0, endLayer: fakeConfig.layerCount }
    const alone = openEngineChain({ stages: [{ engine: new FakeEngine(), span }], maxPositions: 3_010, topK: 8, rowEncoding: 'f32' })
    const expected = await generate(request(world, alone, { promptTokenIds, maxTokens: 3, chunkRows: 512 }))
    expect(result.completionTokenIds).toEqual(expected.completionTokenIds)
    expect(done.at(-1)).toBe(3_000)
    expect(done).toEqual([...done].sort((a, b) => a - b))
  })

  it('[S9] forgets by truncation, and answers as if the forgotten had never been', async () => {
    const world = new World(3)
    const chain = await world.open(world.grant())
    await world.run(generate(request(world, chain)))
    chain.truncate(0)
    const again = await world.run(generate(request(world, chain)))
    expect(again.completionTokenIds).toEqual(await reference())
    chain.close()
    await world.settle()
    expect(world.openSlots()).toBe(0)
  })

  it('batches rows of several sessions into one pass', async () => {
    const world = new World(2)
    const first = required(world.stages[0]).engine
    first.passTurns = 6
    const chains = await Promise.all([1, 2, 3].map(() => world.open(world.grant())))
    const seeds = [1, 2, 3]
    const answers = chains.map((chain, index) => {
      const sampling = { temperature: 1.5, topP: 1, topK: 0, minP: 0, seed: seeds[index] ?? 0 }
      return generate(request(world, chain, { sampling }))
    })
    const results = await world.run(Promise.all(answers))
    for (const [index, result] of results.entries()) {
      const sampling = { temperature: 1.5, topP: 1, topK: 0, minP: 0, seed: seeds[index] ?? 0 }
      expect(result.completionTokenIds).toEqual(await reference({ sampling }))
    }
    expect(first.passes.some((segments) => segments.length > 1)).toBe(true)
  })

  it('goes on decoding while another session reads a long prompt, whose passes stay bounded', async () => {
    const world = new World(1)
    const { engine } = required(world.stages[0])
    engine.passTurns = 3
    const reader = await world.open(world.grant({ change: { maxPositions: 1_000 } }))
    const writer = await world.open(world.grant())
    const promptTokenIds = Array.from({ length: 900 }, (_, index) => index % 49)
    const long = generate(request(world, reader, { promptTokenIds, maxTokens: 1, chunkRows: 128 }))
    const short = generate(request(world, writer, { promptTokenIds: [1] }))
    await world.run(Promise.all([long, short]))
    expect(Math.max(...engine.passes.map((segments) => segments.reduce((sum, rows) => sum + rows, 0)))).toBeLessThanOrEqual(128 + 64)
    const shared = engine.passes.filter((segments) => segments.length === 2 && segments.includes(1))
    expect(shared.length).toBeGreaterThan(2)
  })

  it('[F13][W5] in any order of delivery, with any sessions beside it and any end, gives the same tokens and leaves nothing', async () => {
    const expected = await reference()
    await fc.assert(
      fc.asyncProperty(
        fc.infiniteStream(fc.nat(1_000)),
        fc.array(fc.constantFrom('finish', 'cancel', 'lose', 'close'), { minLength: 1, maxLength: 4 }),
        fc.constantFrom(1, 2, 3, 5),
        async (order, ends, stageCount) => {
          const picks = order[Symbol.iterator]()
          const world = new World(stageCount, { pick: (count) => (picks.next().value ?? 0) % Math.max(1, count) })
          const runs = ends.map(async (end) => {
            const controller = new AbortController()
            let chain: Chain
            const grant = world.grant()
            try {
              chain = await world.open(grant)
            } catch {
              return
            }
            let tokens = 0
            const onEvent: GenerateRequest['onEvent'] = (event) => {
              if (event.kind !== 'token' || ++tokens !== 5) return
              if (end === 'cancel') controller.abort()
              if (end === 'lose') world.links.at(-1)?.atFrom.close({ reason: 'lost', detail: 'cut by the test' })
              if (end === 'close') chain.close()
            }
            const result = await generate(request(world, chain, { onEvent, signal: controller.signal })).catch(() => null)
            if (end === 'finish' && !ends.includes('lose')) expect(result?.completionTokenIds).toEqual(expected)
            if (end === 'cancel' && !ends.includes('lose')) expect(result?.finishReason).toBe('cancelled')
            if (result !== null) expect(expected.slice(0, result.completionTokenIds.length)).toEqual(result.completionTokenIds)
            chain.close()
          })
          await world.run(Promise.all(runs))
          await world.settle()
          // Who lost its driver waits for it.
          world.clock.advance(REPAIR_WAIT_MS)
          expect(world.openSlots()).toBe(0)
          for (const { host } of world.stages) expect(host.work.sessionsOpen).toBe(0)
        },
      ),
      { numRuns: 25 },
    )
  })
})

function required<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error('missing')
  return value
}

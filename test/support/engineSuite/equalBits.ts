/** A position's result has the same bits, whoever computes what of it when, and beside whom. */

import { expect, it } from 'vitest'
import type { Candidates, Engine, Slot } from '../../../src/worker/index.ts'
import {
  candidatesOf,
  config,
  cutSpans,
  KV_POSITIONS,
  openSlot,
  plainRun,
  run,
  runSpans,
  tokenSegment,
  tokens,
  whole,
} from '../engineRuns.ts'

export function equalBits(engine: () => Engine): void {
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

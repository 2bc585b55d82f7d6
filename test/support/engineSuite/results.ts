/** What a pass gives: candidates in order, the logsumexp, logits, or nothing where nothing was asked. */

import { expect, it } from 'vitest'
import type { Engine } from '../../../src/worker/index.ts'
import { config, openSlot, plainRun, run, tokenSegment, tokens } from '../engineRuns.ts'

export function results(engine: () => Engine): void {
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

  it('gives the logits of the tokens that each row names, several segments in a pass', async () => {
    const [one, other] = [openSlot(engine()), openSlot(engine())]
    const names = [Uint32Array.of(3, 0, 3), Uint32Array.of(config.vocabularySize - 1, 5, 2)]
    const named = Uint32Array.from(names.flatMap((ids) => [...ids]))
    const asked = { kind: 'candidates', resultCount: 2, topK: 4 } as const
    const { outputs } = await engine().forward([
      { ...tokenSegment(engine(), one, tokens(9)), output: { ...asked, named } },
      { ...tokenSegment(engine(), other, tokens(9)), output: asked },
    ])
    const plain = openSlot(engine())
    const [all] = (await engine().forward([{ ...tokenSegment(engine(), plain, tokens(9)), output: { kind: 'logits', resultCount: 2 } }]))
      .outputs
    if (all?.kind !== 'logits') throw new Error('expected logits')
    const [found, unnamed] = outputs.map((output) => (output.kind === 'candidates' ? output.positions : []))
    expect(found).toHaveLength(2)
    for (const [row, ids] of names.entries()) {
      expect([...(found?.[row]?.named?.ids ?? [])]).toEqual([...ids])
      expect([...(found?.[row]?.named?.logits ?? [])]).toEqual([...ids].map((id) => all.values[row * config.vocabularySize + id]))
    }
    expect(unnamed?.map((row) => row.named)).toEqual([undefined, undefined])
    for (const slot of [one, other, plain]) engine().close(slot)
  })

  for (const kind of ['prompt', 'decode'] as const) {
    it(`gives a ${kind} row that is computed again, alone and for all its logits, the bits that it had among others`, async () => {
      const slot = openSlot(engine())
      const ids = tokens(11)
      const [last] = (await run(engine(), { ...tokenSegment(engine(), slot, ids, { resultCount: 1, topK: 6 }), kind })).slice(-1)
      engine().truncate(slot, 10)
      const again = { ...tokenSegment(engine(), slot, ids.subarray(10)), kind, output: { kind: 'logits', resultCount: 1 } } as const
      const [output] = (await engine().forward([again])).outputs
      if (output?.kind !== 'logits') throw new Error('expected logits')
      expect([...(last?.ids ?? [])].map((id) => output.values[id])).toEqual([...(last?.logits ?? [])])
      expect(engine().length(slot)).toBe(11)
      engine().close(slot)
    })
  }

  it('asks nothing of the head for a segment without results', async () => {
    const slot = openSlot(engine())
    expect(await run(engine(), tokenSegment(engine(), slot, tokens(4), { resultCount: 0 }))).toEqual([])
    expect(engine().length(slot)).toBe(4)
    engine().close(slot)
  })
}

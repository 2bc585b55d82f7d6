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

  it('asks nothing of the head for a segment without results', async () => {
    const slot = openSlot(engine())
    expect(await run(engine(), tokenSegment(engine(), slot, tokens(4), { resultCount: 0 }))).toEqual([])
    expect(engine().length(slot)).toBe(4)
    engine().close(slot)
  })
}

/** What is refused, by reason, and that nothing of it was computed. */

import { expect, it } from 'vitest'
import type { Engine, Segment, Slot } from '../../../src/worker/index.ts'
import { config, expectReason, openSlot, run, tokenSegment, tokens, whole } from '../engineRuns.ts'

export function refusals(engine: () => Engine): void {
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
      'too many named tokens': [{ ...good, output: { kind: 'candidates', resultCount: 1, topK: 8, named: new Uint32Array(9) } }],
      'named tokens of half a result': [{ ...good, output: { kind: 'candidates', resultCount: 2, topK: 8, named: new Uint32Array(3) } }],
      'a foreign named token': [
        { ...good, output: { kind: 'candidates', resultCount: 1, topK: 8, named: Uint32Array.of(config.vocabularySize) } },
      ],
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

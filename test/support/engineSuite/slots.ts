/** Slots: whole blocks, no overcommit, room to the last position. */

import { expect, it } from 'vitest'
import type { Engine } from '../../../src/worker/index.ts'
import { expectReason, KV_POSITIONS, openSlot, run, tokenSegment, tokens, whole } from '../engineRuns.ts'

export function slots(engine: () => Engine): void {
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

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { KV_BLOCK_POSITIONS, KvBlocks, kvBlockCount } from './kvBlocks.ts'

const span = { firstLayer: 0, endLayer: 3 }

function opened(pool: KvBlocks, maxPositions: number): number {
  const result = pool.open({ span, maxPositions })
  if (!result.ok) throw new Error('no room')
  return result.value
}

describe('KvBlocks', () => {
  it('reserves whole blocks at open: both sides of a block border', () => {
    expect(kvBlockCount(KV_BLOCK_POSITIONS)).toBe(1)
    expect(kvBlockCount(KV_BLOCK_POSITIONS + 1)).toBe(2)
    const pool = new KvBlocks(3, span)
    opened(pool, KV_BLOCK_POSITIONS + 1)
    expect(pool.blocksFree).toBe(1)
    expect(pool.open({ span, maxPositions: KV_BLOCK_POSITIONS + 1 })).toEqual({ ok: false, error: 'no-room' })
    opened(pool, KV_BLOCK_POSITIONS)
    expect(pool.blocksFree).toBe(0)
  })

  it('opens parts of the loaded span and nothing beyond it', () => {
    const pool = new KvBlocks(4, { firstLayer: 2, endLayer: 5 })
    const open = (firstLayer: number, endLayer: number) => pool.open({ span: { firstLayer, endLayer }, maxPositions: 1 })
    expect([open(2, 5).ok, open(3, 4).ok]).toEqual([true, true])
    for (const [firstLayer, endLayer] of [
      [1, 5],
      [2, 6],
      [3, 3],
    ] as const)
      expect(() => open(firstLayer, endLayer)).toThrow(`layers [${firstLayer}, ${endLayer}) of the loaded [2, 5)`)
  })

  it('truncates by moving a number; the blocks stay reserved', () => {
    const pool = new KvBlocks(2, span)
    const slot = opened(pool, 64)
    pool.append(slot, 50)
    pool.truncate(slot, 7)
    expect(pool.get(slot)).toMatchObject({ length: 7, maxPositions: 64 })
    expect(pool.blocksFree).toBe(0)
    expect(() => pool.truncate(slot, 8)).toThrow('truncate 7 positions to 8')
    expect(() => pool.append(slot, 58)).toThrow('7 + 58 of 64')
  })

  it('never gives a closed slot its number again', () => {
    const pool = new KvBlocks(1, span)
    const first = opened(pool, 1)
    pool.close(first)
    expect(opened(pool, 1)).not.toBe(first)
    expect(pool.find(first)).toBeUndefined()
    expect(() => pool.close(first)).toThrow('is not open')
  })

  it('no block has two owners and none is lost, whatever opens and closes', () => {
    const steps = fc.array(fc.record({ open: fc.boolean(), size: fc.integer({ min: 1, max: 200 }) }), { maxLength: 60 })
    fc.assert(
      fc.property(steps, (list) => {
        const pool = new KvBlocks(20, span)
        const open: number[] = []
        for (const step of list) {
          if (step.open) {
            const result = pool.open({ span, maxPositions: step.size })
            expect(result.ok).toBe(kvBlockCount(step.size) <= 20 - open.reduce((sum, slot) => sum + pool.get(slot).blocks.length, 0))
            if (result.ok) open.push(result.value)
          } else if (open.length > 0) pool.close(open.splice(step.size % open.length, 1)[0] ?? -1)
          const owned = open.flatMap((slot) => [...pool.get(slot).blocks])
          expect(new Set(owned).size).toBe(owned.length)
          expect(owned.length + pool.blocksFree).toBe(20)
          expect(owned.every((block) => block < 20)).toBe(true)
        }
        for (const slot of open) pool.close(slot)
        expect([pool.blocksFree, pool.openSlots]).toEqual([20, 0])
      }),
    )
  })
})

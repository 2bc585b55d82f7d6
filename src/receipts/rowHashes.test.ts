import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RowBudget } from './rowBudget.ts'
import { type HashedRow, RowHashes } from './rowHashes.ts'

const digest = (...parts: Uint8Array[]) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}
/** Answers late and out of step, as WebCrypto may. */
const sha256 = async (bytes: Uint8Array) => {
  for (let turn = (bytes[32] ?? 0) % 3; turn > 0; turn--) await new Promise((resolve) => setImmediate(resolve))
  return digest(bytes)
}

/** The chain by its formula. */
function expectedHash(first: number, rows: readonly HashedRow[]): Uint8Array {
  return rows.reduce((before, row, index) => {
    const header = new Uint8Array(5)
    new DataView(header.buffer).setUint32(0, first + index, true)
    header[4] = row.kind === 'prompt' ? 1 : 2
    return digest(before, header, row.bytes)
  }, new Uint8Array(32) as Uint8Array)
}

const row = fc.record({ kind: fc.constantFrom('prompt' as const, 'decode' as const), bytes: fc.uint8Array({ maxLength: 20 }) })
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ row, isKept: fc.boolean() }) },
  fc.nat(20).map((truncateTo) => ({ truncateTo })),
  fc.constant('look' as const),
)
const rowsOf = (count: number) => Array.from({ length: count }, (_, index) => ({ kind: 'decode' as const, bytes: Uint8Array.of(index) }))

describe('RowHashes', () => {
  it('[V7] [V8] has the hash of what stands at every cut, wherever it began, whatever was taken back, also while hashing', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(10), fc.nat(60), fc.array(step, { maxLength: 30 }), async (began, bytesMax, steps) => {
        const budget = new RowBudget(bytesMax)
        const hashes = new RowHashes(began, sha256, budget)
        let first = began
        const standing: HashedRow[] = []
        const asked: { readonly hash: Promise<Uint8Array | null>; readonly expected: Uint8Array; isLost: boolean; readonly end: number }[] =
          []
        for (const next of steps) {
          if (next === 'look') {
            const end = first + standing.length
            asked.push({ hash: hashes.hashAt(end), expected: expectedHash(first, standing), isLost: false, end })
            await Promise.resolve()
          } else if ('row' in next) {
            hashes.add(next.row, next.isKept)
            standing.push(next.row)
          } else {
            hashes.truncate(next.truncateTo)
            standing.splice(Math.max(0, next.truncateTo - first))
            first = Math.min(first, next.truncateTo)
            for (const one of asked) one.isLost ||= one.end > next.truncateTo
          }
          expect(budget.bytesUsed).toBeLessThanOrEqual(bytesMax / 2)
        }
        for (const [index] of [...standing, null].entries())
          expect(await hashes.hashAt(first + index)).toEqual(expectedHash(first, standing.slice(0, index)))
        // One that was ready before its rows were taken back may be told.
        for (const { hash, expected, isLost } of asked) {
          const told = await hash
          if (told !== null || !isLost) expect(told).toEqual(expected)
        }
        hashes.drop()
        expect([budget.bytesUsed, budget.positionBytes]).toEqual([0, 0])
      }),
    )
  })

  it('tells none rather than the hash of rows that took the place of those asked for', async () => {
    const hashes = new RowHashes(0, sha256, new RowBudget())
    for (const added of rowsOf(4)) hashes.add(added, true)
    const asked = hashes.hashAt(4)
    hashes.truncate(2)
    for (const added of rowsOf(2)) hashes.add(added, true)
    expect(await asked).toBeNull()
  })

  it('hashes nothing before somebody asks, while there is room for rows', async () => {
    let count = 0
    const counting = (bytes: Uint8Array) => {
      count++
      return sha256(bytes)
    }
    const hashes = new RowHashes(0, counting, new RowBudget(20))
    for (const added of rowsOf(10)) hashes.add(added, false)
    await new Promise((resolve) => setImmediate(resolve))
    expect(count).toBe(0)
    // The eleventh byte is more than half of the room.
    hashes.add({ kind: 'decode', bytes: new Uint8Array(1) }, false)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(count).toBe(11)
  })

  it('[R5] accounts for the hashes of all positions: 32 to 64 bytes each', async () => {
    const budget = new RowBudget()
    const hashes = new RowHashes(0, sha256, budget)
    for (const added of rowsOf(100)) hashes.add(added, false)
    expect(await hashes.hashAt(40)).toEqual(expectedHash(0, rowsOf(40)))
    await hashes.hashAt(100)
    expect(budget.positionBytes).toBeGreaterThanOrEqual(32 * 100)
    expect(budget.positionBytes).toBeLessThanOrEqual(64 * 100)
    expect(budget.bytesUsed).toBe(0)
  })

  it('tells who asks that hashing failed', async () => {
    const hashes = new RowHashes(0, () => Promise.reject(new Error('no SHA-256 here')), new RowBudget())
    hashes.add({ kind: 'decode', bytes: new Uint8Array(1) }, true)
    await expect(hashes.hashAt(1)).rejects.toThrow('no SHA-256 here')
  })
})

import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ActivationLog, LogBudget, type LoggedRow } from './activationLog.ts'

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
function expectedHash(rows: readonly LoggedRow[]): Uint8Array {
  return rows.reduce((before, row, position) => {
    const header = new Uint8Array(5)
    new DataView(header.buffer).setUint32(0, position, true)
    header[4] = row.kind === 'prompt' ? 1 : 2
    return digest(before, header, row.bytes)
  }, new Uint8Array(32) as Uint8Array)
}

const row = fc.record({
  kind: fc.constantFrom('prompt' as const, 'decode' as const),
  wanted: fc.boolean(),
  bytes: fc.uint8Array({ maxLength: 20 }),
})
const step = fc.oneof(
  row.map((added) => ({ row: added })),
  fc.nat(20).map((length) => ({ truncateTo: length })),
)

describe('ActivationLog', () => {
  it('holds the rows and the hash of exactly what was not truncated, whatever came between', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const budget = new LogBudget()
        const log = new ActivationLog(sha256, budget)
        const model: LoggedRow[] = []
        for (const next of steps) {
          if ('row' in next) {
            log.append(next.row)
            model.push(next.row)
          } else {
            const length = Math.min(next.truncateTo, model.length)
            log.truncate(length)
            model.length = length
          }
        }
        expect(log.length).toBe(model.length)
        expect(log.rows(0, log.length)).toEqual(model)
        for (const position of model.keys()) expect(await log.hash(position)).toEqual(expectedHash(model.slice(0, position + 1)))
        expect(await log.hash(model.length)).toBeNull()
        expect(budget.bytesUsed).toBe(model.reduce((sum, { bytes }) => sum + bytes.byteLength, 0))
        log.drop()
        expect([budget.bytesUsed, budget.hashBytes]).toEqual([0, 0])
      }),
    )
  })

  it('keeps hashes but no rows beyond the bound, and has no holes', async () => {
    const budget = new LogBudget(25)
    const log = new ActivationLog(sha256, budget)
    const rows = [10, 10, 10, 5].map((length, index) => ({
      kind: 'decode' as const,
      wanted: true,
      bytes: new Uint8Array(length).fill(index),
    }))
    for (const added of rows) log.append(added)
    expect([log.keptLength, log.length]).toEqual([2, 4])
    expect(log.rows(0, 2)).toEqual(rows.slice(0, 2))
    expect(() => log.rows(0, 3)).toThrow(/kept/)
    expect(await log.hash(3)).toEqual(expectedHash(rows))
    expect([budget.bytesUsed, budget.hashBytes]).toEqual([20, 16 * 32])
  })

  it('accounts for the hashes of all positions: 32 to 64 bytes each', async () => {
    const budget = new LogBudget(0)
    const log = new ActivationLog(sha256, budget)
    const rows = Array.from({ length: 100 }, (_, index) => ({ kind: 'decode' as const, wanted: true, bytes: Uint8Array.of(index) }))
    for (const added of rows) log.append(added)
    expect(await log.hash(99)).toEqual(expectedHash(rows))
    expect(await log.hash(40)).toEqual(expectedHash(rows.slice(0, 41)))
    expect(budget.hashBytes).toBeGreaterThanOrEqual(32 * 100)
    expect(budget.hashBytes).toBeLessThanOrEqual(64 * 100)
  })

  it('keeps rows again once truncation has made room', () => {
    const log = new ActivationLog(sha256, new LogBudget(20))
    for (let position = 0; position < 3; position++) log.append({ kind: 'decode', wanted: true, bytes: new Uint8Array(10) })
    log.truncate(1)
    log.append({ kind: 'decode', wanted: true, bytes: new Uint8Array(10) })
    expect([log.keptLength, log.length]).toEqual([2, 2])
  })

  it('tells who asks that hashing failed', async () => {
    const log = new ActivationLog(() => Promise.reject(new Error('no SHA-256 here')), new LogBudget())
    log.append({ kind: 'decode', wanted: true, bytes: new Uint8Array(1) })
    await expect(log.hash(0)).rejects.toThrow('no SHA-256 here')
  })
})

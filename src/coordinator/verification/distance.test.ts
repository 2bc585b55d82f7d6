import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EMPTY_HASH, type PositionCandidates, rowHashInput } from '../../protocol/index.ts'
import { fromHex, toHex } from '../../shared/index.ts'
import { isCommitted } from './commitment.ts'
import { candidatesDistance, rowsDistance } from './distance.ts'
import { distanceAt, parseDistanceTable, toleranceOf } from './distanceTable.ts'

const row = (...values: number[]) => Float32Array.from(values)
const finite = fc.float({ noNaN: true, noDefaultInfinity: true })

describe('rowsDistance', () => {
  it('is ‖a − b‖ ÷ the larger norm, of the worst row', () => {
    expect(rowsDistance(row(3, 4, 1, 0), row(3, 4, 0, 0), 2)).toEqual({ worst: 1, worstRow: 1, quantile: 1 })
    expect(rowsDistance(row(3, 4), row(-3, -4), 2).worst).toBe(2)
    expect(rowsDistance(row(1e30, 0), row(0, 1e30), 2).worst).toBeCloseTo(Math.SQRT2, 12)
  })

  it('tells one bad row of ten from ten', () => {
    const good = new Float32Array(20).fill(1)
    const one = good.with(8, 3)
    const [lazy, all] = [
      rowsDistance(good, one, 2),
      rowsDistance(
        good,
        good.map((value) => -value),
        2,
      ),
    ]
    expect(lazy).toMatchObject({ worstRow: 4, quantile: 0 })
    expect(lazy.worst).toBeGreaterThan(0.5)
    expect(all).toEqual({ worst: 2, worstRow: 0, quantile: 2 })
  })

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('a value of %d is infinitely far, on either side', (bad) => {
    expect(rowsDistance(row(1, 2), row(1, bad), 2).worst).toBe(Number.POSITIVE_INFINITY)
    expect(rowsDistance(row(bad, bad), row(bad, bad), 2).worst).toBe(Number.POSITIVE_INFINITY)
  })

  it('a row that one side lacks is infinitely far; of no rows there is no distance', () => {
    expect(rowsDistance(row(1, 2, 3, 4), row(1, 2), 2)).toMatchObject({ worst: Number.POSITIVE_INFINITY, worstRow: 1 })
    expect(rowsDistance(row(1, 2), row(1, 2, 3, 4), 2).worst).toBe(Number.POSITIVE_INFINITY)
    expect(rowsDistance(row(), row(), 2)).toEqual({ worst: 0, worstRow: -1, quantile: 0 })
  })

  it('is the same both ways, 0 of a row and itself, and never more than 2', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(finite, finite), { minLength: 1, maxLength: 12 }), (pairs) => {
        const [one, other] = [Float32Array.from(pairs, ([a]) => a), Float32Array.from(pairs, ([, b]) => b)]
        const { worst, quantile } = rowsDistance(one, other, 1)
        expect(worst).toBe(rowsDistance(other, one, 1).worst)
        expect(worst).toBeLessThanOrEqual(2)
        expect(quantile).toBeLessThanOrEqual(worst)
        expect(rowsDistance(one, one, 1).worst).toBe(0)
      }),
    )
  })
})

describe('candidatesDistance', () => {
  const position = (logits: readonly (readonly [number, number])[], logSumExp = 2, at = 5): PositionCandidates => ({
    position: at,
    logSumExp,
    ids: Uint32Array.from(logits, ([id]) => id),
    logits: Float32Array.from(logits, ([, logit]) => logit),
  })

  it('is that of logarithms of probabilities: a shift of all logits is none', () => {
    expect(
      candidatesDistance(
        [
          position([
            [7, 1.5],
            [8, 1],
          ]),
        ],
        [
          position(
            [
              [7, 2.5],
              [8, 2],
            ],
            3,
          ),
        ],
      ).worst,
    ).toBe(0)
    // −0.5 and −1 against −0.5 and −1.5.
    expect(
      candidatesDistance(
        [
          position([
            [7, 1.5],
            [8, 1],
          ]),
        ],
        [
          position([
            [7, 1.5],
            [8, 0.5],
          ]),
        ],
      ).worst,
    ).toBeCloseTo(0.5 / Math.sqrt(2.5), 12)
  })

  it('a tie that fell the other way at the end of the list is near; other words are far', () => {
    const near = candidatesDistance(
      [
        position([
          [7, 1.5],
          [8, -3],
        ]),
      ],
      [
        position([
          [7, 1.5],
          [9, -3.001],
        ]),
      ],
    ).worst
    const far = candidatesDistance(
      [
        position([
          [7, 1.5],
          [8, -3],
        ]),
      ],
      [
        position([
          [1, 1.5],
          [2, -3],
        ]),
      ],
    ).worst
    expect(near).toBeLessThan(0.001)
    expect(far).toBeGreaterThan(0.5)
  })

  it('positions that one side lacks, or of another place, are infinitely far', () => {
    const one = position([[7, 1]])
    expect(candidatesDistance([one], []).worst).toBe(Number.POSITIVE_INFINITY)
    expect(candidatesDistance([one], [position([[7, 1]], 2, 6)]).worst).toBe(Number.POSITIVE_INFINITY)
    expect(candidatesDistance([position([[7, Number.NaN]])], [one]).worst).toBe(Number.POSITIVE_INFINITY)
  })
})

describe('isCommitted', () => {
  const sha256 = async (bytes: Uint8Array) => new Uint8Array(createHash('sha256').update(bytes).digest())
  const rows = [1, 2, 3].map((byte) => ({ kind: 'decode' as const, bytes: Uint8Array.of(byte, byte) }))

  it('[V7] holds for the rows that were signed, from the segment’s first position on, and for no others', async () => {
    let hash: Uint8Array = fromHex(EMPTY_HASH)
    for (const [index, { kind, bytes }] of rows.entries()) hash = await sha256(rowHashInput(hash, 40 + index, kind, bytes))
    const tally = { firstPosition: 40, endPosition: 43, prompt: 0, decode: 3, results: 0, hash: toHex(hash) }
    expect(await isCommitted(rows, tally, sha256)).toBe(true)
    expect(await isCommitted(rows.toReversed(), tally, sha256)).toBe(false)
    expect(await isCommitted(rows.slice(1), tally, sha256)).toBe(false)
    expect(
      await isCommitted(
        rows.map(({ bytes }) => ({ kind: 'prompt' as const, bytes })),
        tally,
        sha256,
      ),
    ).toBe(false)
    expect(await isCommitted(rows, { ...tally, firstPosition: 0, endPosition: 3 }, sha256)).toBe(false)
  })
})

describe('a table of distances', () => {
  const spread = [
    [0, 0],
    [0.5, 2],
    [1, 4],
  ] as [number, number][]
  const table = {
    version: 1,
    source: 'placeholders of a test',
    tolerance: { default: 9, pairs: [{ classes: ['a', 'b'], distance: 3 }] },
    honest: [
      { classes: ['a', 'a'], spread },
      { classes: ['a', 'b'], spread },
      { classes: ['b', 'b'], spread },
    ],
    cheats: [],
  }

  it('gives the tolerance of a pair in either order, else the default, and distances by share', () => {
    const parsed = parseDistanceTable(JSON.stringify(table))
    if (!parsed.ok) throw new Error(parsed.error)
    expect([toleranceOf(parsed.value, 'b', 'a'), toleranceOf(parsed.value, 'a', 'a')]).toEqual([3, 9])
    expect([0, 0.25, 0.5, 1].map((share) => distanceAt(spread, share))).toEqual([0, 1, 2, 4])
  })

  it.each([
    ['text', '{', /JSON/],
    ['another version', { ...table, version: 2 }, /version/],
    ['an unknown field', { ...table, extra: 1 }, /extra/],
    ['an unknown cheat', { ...table, cheats: [{ ...table.honest[0], cheat: 'sleep' }] }, /cheat/],
    ['a spread that does not reach share 1', { ...table, honest: [{ classes: ['a', 'b'], spread: spread.slice(0, 2) }] }, /share 1/],
    [
      'a spread that falls',
      {
        ...table,
        honest: [
          {
            classes: ['a', 'b'],
            spread: [
              [0, 3],
              [1, 2],
            ],
          },
        ],
      },
      /rise/,
    ],
    ['a pair that was not measured', { ...table, honest: table.honest.slice(1) }, /honest engines between "a" and "a"/],
    [
      'a cheat that was not measured against all',
      { ...table, cheats: [{ ...table.honest[0], cheat: 'lazy' }] },
      /lazy between "a" and "b"/,
    ],
    ['a distance below zero', { ...table, tolerance: { ...table.tolerance, default: -1 } }, /default/],
  ])('is refused by name: %s', (_, value, message) => {
    expect(parseDistanceTable(typeof value === 'string' ? value : JSON.stringify(value))).toMatchObject({
      ok: false,
      error: expect.stringMatching(message),
    })
  })
})

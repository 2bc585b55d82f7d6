/** Which rows receipts bind, and how far two tables are apart. */

import { describe, expect, it } from 'vitest'
import { tableDistance } from '../../../src/coordinator/audits/distance.ts'
import { wantedOf } from '../../../src/coordinator/audits/handedOver.ts'
import { type AuditTable, EMPTY_HASH, encodeCandidates, encodeRows, type LinkTally, type Receipt } from '../../../src/protocol/index.ts'

const tally = (firstPosition: number, endPosition: number): LinkTally => ({
  firstPosition,
  endPosition,
  prompt: endPosition - firstPosition,
  decode: 0,
  results: 0,
  hash: firstPosition === endPosition ? EMPTY_HASH : 'ab'.repeat(32),
})
const receipt = (received: LinkTally, sent: LinkTally, firstLayer = 2) =>
  ({ party: { kind: 'stage', index: 1, firstLayer, endLayer: 4 }, received, sent }) as unknown as Receipt
const challenged = (firstPosition: number, endPosition: number, ...commitments: readonly Receipt[]) =>
  wantedOf({ firstLayer: 2, endLayer: 4, firstPosition, endPosition, commitments })

describe('rows that receipts bind', () => {
  it('[V15] are all of the links, whatever part of them is audited', () => {
    expect(challenged(20, 60, receipt(tally(0, 100), tally(0, 90)))).toMatchObject({ inputEnd: 100, output: { first: 0, end: 90 } })
    const repaired = [receipt(tally(0, 100), tally(0, 90)), receipt(tally(100, 150), tally(90, 140))]
    expect(challenged(0, 140, ...repaired)).toMatchObject({ inputEnd: 150, output: { first: 0, end: 140 } })
    // A replacement: everything came again, and only what the driver had not got went on.
    expect(challenged(90, 140, receipt(tally(0, 140), tally(90, 140)))).toMatchObject({ inputEnd: 140, output: { first: 90, end: 140 } })
  })

  it('[V23] are none where a later segment took back what an earlier one had signed for, or nobody signed for the beginning', () => {
    expect(challenged(0, 150, receipt(tally(0, 100), tally(0, 100)), receipt(tally(95, 150), tally(95, 150)))).toBeNull()
    // Control: all of it came again.
    expect(challenged(0, 150, receipt(tally(0, 100), tally(0, 100)), receipt(tally(0, 150), tally(0, 150)))).not.toBeNull()
    expect(challenged(50, 150, receipt(tally(40, 150), tally(40, 150)))).toBeNull()
    expect(challenged(0, 150, receipt(tally(0, 100), tally(0, 100)), receipt(tally(0, 0), tally(0, 0)))).toBeNull()
    expect(challenged(0, 100, receipt(tally(0, 100), tally(0, 80)))).toBeNull()
    expect(challenged(0, 80, receipt(tally(0, 100), tally(0, 100), 3))).toBeNull()
  })
})

const WIDTH = 4
const pause = async () => undefined
const rows = (...values: readonly number[][]): AuditTable => ({
  rowBytes: 4 * WIDTH,
  rows: values.map((row) => ({ kind: 'prompt', given: true, bytes: encodeRows('f32', Float32Array.from(row), WIDTH) })),
})
const meaning = { kind: 'rows', encoding: 'f32', width: WIDTH } as const

describe('how far two tables are apart', () => {
  it('[V18] nothing where bytes are equal; else as the worst row is', async () => {
    const one = rows([3, 4, 0, 0], [1, 0, 0, 0])
    expect(await tableDistance(one, rows([3, 4, 0, 0], [1, 0, 0, 0]), meaning, pause)).toBe(0)
    expect(await tableDistance(one, rows([3, 4, 0, 1], [1, 0, 0, 0]), meaning, pause)).toBeCloseTo(1 / Math.sqrt(26))
  })

  it('[V18] infinitely where a row is missing, or is no row of its kind', async () => {
    const one = rows([3, 4, 0, 0])
    expect(await tableDistance(one, rows([3, 4, 0, 0], [0, 0, 0, 0]), meaning, pause)).toBe(Number.POSITIVE_INFINITY)
    const broken = { ...one, rows: one.rows.map((row) => ({ ...row, bytes: new Uint8Array(16).fill(255) })) }
    expect(await tableDistance(one, broken, meaning, pause)).toBe(Number.POSITIVE_INFINITY)
    const absent = { ...one, rows: one.rows.map((row) => ({ ...row, given: false, bytes: new Uint8Array(0) })) }
    expect(await tableDistance(one, absent, meaning, pause)).toBe(Number.POSITIVE_INFINITY)
  })

  it('[V18] of candidates: by their probabilities, and a token that is in no vocabulary is infinitely far', async () => {
    const table = (logit: number, id = 1): AuditTable => {
      const row = { logSumExp: 1, ids: Uint32Array.of(2, id), logits: Float32Array.of(0.5, logit) }
      return { rowBytes: 20, rows: [{ kind: 'decode', given: true, bytes: encodeCandidates([row], 2) }] }
    }
    const candidates = { kind: 'candidates', vocabularySize: 10 } as const
    expect(await tableDistance(table(0.25), table(0.25), candidates, pause)).toBe(0)
    expect(await tableDistance(table(0.25), table(0), candidates, pause)).toBeGreaterThan(0.1)
    expect(await tableDistance(table(0.25), table(0.25, 11), candidates, pause)).toBe(Number.POSITIVE_INFINITY)
  })
})

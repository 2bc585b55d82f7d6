import { createHash } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import {
  EMPTY_HASH,
  type LedgerHead,
  type Receipt,
  type ReceiptParty,
  type RowCounts,
  readReceipt,
  rowHashInput,
} from '../protocol/index.ts'
import { ManualClock, type PeerId, required, type SessionId, toHex } from '../shared/index.ts'
import type { PassingRow } from './linkEnd.ts'
import type { Part } from './part.ts'
import { ReceiptBook } from './receiptBook.ts'
import { RowBudget } from './rowBudget.ts'

const NOW_MS = 1_700_000_000_000
const sessionId = 'e'.repeat(32) as SessionId
const grant = { sessionId, revision: 2, expiresAtMs: NOW_MS + 120_000 }
const party = (computed: RowCounts): ReceiptParty => ({ kind: 'stage', index: 0, firstLayer: 0, endLayer: 3, computed })
const sha256 = async (bytes: Uint8Array) => new Uint8Array(createHash('sha256').update(bytes).digest())
const signer = { publicKey: new Uint8Array(65), sign: async () => new Uint8Array(64) }

let clock: ManualClock
let budget: RowBudget
let said: Receipt[]
let book: ReceiptBook
let head: LedgerHead | null

beforeEach(() => {
  clock = new ManualClock()
  clock.advance(NOW_MS)
  budget = new RowBudget()
  said = []
  head = null
  const onReceipt = (signed: Parameters<typeof readReceipt>[0]) => {
    const read = readReceipt(signed)
    if (!read.ok) throw new Error(read.error)
    said.push(read.value)
  }
  book = new ReceiptBook({ peerId: 'a'.repeat(32) as PeerId, signer, sha256, clock, budget, head: () => head, onReceipt })
})

const rows = (first: number, end: number, salt = 0): PassingRow[] =>
  Array.from({ length: end - first }, (_, index) => ({
    kind: first + index < 300 ? 'prompt' : 'decode',
    wanted: first + index >= 299,
    bytes: Uint8Array.of((first + index) & 255, salt),
  }))

/** Both links begin at 0. */
function begun(): Part {
  const part = book.begin({ grant, epoch: 0, party })
  part.begin('received', 0)
  part.begin('sent', 0)
  return part
}

/** Rows come, are computed, and go. */
function flow(part: Part, first: number, end: number, salt = 0): void {
  part.pass('received', first, rows(first, end, salt))
  for (const row of rows(first, end)) part.workFrom(first).pass(row)
  part.pass('sent', first, rows(first, end, salt + 1))
}

async function hashOf(passed: readonly PassingRow[]): Promise<string> {
  let hash = new Uint8Array(32)
  for (const [position, { kind, bytes }] of passed.entries()) hash = await sha256(rowHashInput(hash, position, kind, bytes))
  return toHex(hash)
}

const ends = () => said.map(({ received, sent }) => [received.endPosition, sent.endPosition])

describe('a part', () => {
  it('[V31] is signed with the head of the ledger that its peer has checked last', async () => {
    const part = begun()
    flow(part, 0, 300)
    const checked = { size: 7, root: 'a'.repeat(64), atMs: 5, publicKey: 'k', signature: 's' }
    head = checked
    book.end(part)
    await book.settled()
    expect(said.map((receipt) => receipt.head)).toEqual([null, checked])
  })

  it('[V9] is signed at each multiple of 256 that rows have passed on both sides, with what had passed by then', async () => {
    const part = begun()
    part.pass('received', 0, rows(0, 600))
    for (const row of rows(0, 520)) part.workFrom(0).pass(row)
    part.pass('sent', 0, rows(0, 520, 1))
    await book.settled()
    expect(ends()).toEqual([
      [256, 256],
      [512, 512],
    ])
    const last = required(said[1], 'the second receipt')
    expect(last).toMatchObject({ revision: 2, epoch: 0, sequence: 1, timeMs: NOW_MS, final: false })
    expect(last.party).toEqual(party({ prompt: 300, decode: 212, results: 213 }))
    expect(last.received).toEqual({
      firstPosition: 0,
      endPosition: 512,
      prompt: 300,
      decode: 212,
      results: 213,
      hash: await hashOf(rows(0, 512)),
    })
    expect(last.sent.hash).toBe(await hashOf(rows(0, 512, 1)))
  })

  it('[V8] [V9] after a truncation it signs what stands in the new epoch, and counts what was taken back', async () => {
    const part = begun()
    flow(part, 0, 500)
    part.truncate(1, 250)
    flow(part, 250, 260, 7)
    book.end(part)
    await book.settled()
    const last = required(said.at(-1), 'the last receipt')
    expect(last).toMatchObject({ epoch: 1, final: true })
    expect(last.received).toMatchObject({ firstPosition: 0, endPosition: 260, prompt: 310, decode: 200 })
    expect(last.received.hash).toBe(await hashOf([...rows(0, 250), ...rows(250, 260, 7)]))
    expect(said.map(({ epoch, received }) => [epoch, received.endPosition])).toContainEqual([1, 256])
  })

  it('[V7] a checkpoint whose rows are taken back before it is signed is left out', async () => {
    const part = begun()
    flow(part, 0, 256)
    part.truncate(1, 10)
    flow(part, 10, 256, 7)
    await book.settled()
    expect(said.map(({ epoch, received }) => [epoch, received.endPosition])).toEqual([[1, 256]])
    expect(said[0]?.received.hash).toBe(await hashOf([...rows(0, 10), ...rows(10, 256, 7)]))
  })

  it('[V6] sequences rise, and times end with the grant', async () => {
    const part = begun()
    part.signNow()
    clock.advance(500_000)
    book.end(part)
    await book.settled()
    expect(said.map(({ sequence, timeMs, final }) => [sequence, timeMs, final])).toEqual([
      [0, NOW_MS, false],
      [1, grant.expiresAtMs - 1, true],
    ])
    expect(said[1]?.sent.hash).toBe(EMPTY_HASH)
  })

  it('[V9] is signed where the coordinator asks, now or when rows get there, and for a while after its end', async () => {
    const part = begun()
    const ask = (endPosition: number, revision = 2) => book.ask({ sessionId, revision, endPosition })
    flow(part, 0, 20)
    ask(7)
    ask(30)
    ask(7, 1)
    flow(part, 20, 40)
    book.end(part)
    ask(35)
    await book.settled()
    expect(ends().map(([end]) => end)).toEqual([7, 30, 40, 35])
    expect(said.at(-1)).toMatchObject({ final: true, sequence: 3 })
    clock.advance(60_000)
    ask(36)
    await book.settled()
    expect(said).toHaveLength(4)
  })

  it('keeps a bounded number of parts that have ended', async () => {
    for (let revision = 0; revision < 300; revision++) book.end(book.begin({ grant: { ...grant, revision }, epoch: 0, party }))
    await book.settled()
    said.length = 0
    for (let revision = 0; revision < 300; revision++) book.ask({ sessionId, revision, endPosition: 0 })
    await book.settled()
    expect(said.map(({ revision }) => revision)).toEqual(Array.from({ length: 256 }, (_, index) => 44 + index))
  })

  it('keeps parts that have ended no longer than there is room for their hashes', async () => {
    const part = begun()
    flow(part, 0, 40)
    book.end(part)
    budget.resizePositions(0, 32 * 1024 * 1024)
    book.end(book.begin({ grant: { ...grant, revision: 3 }, epoch: 0, party }))
    await book.settled()
    said.length = 0
    book.ask({ sessionId, revision: 2, endPosition: 3 })
    await book.settled()
    expect(said).toEqual([])
  })

  it('[V15] keeps nothing once it is released', async () => {
    const part = begun()
    flow(part, 0, 40)
    book.release(sessionId)
    expect(budget.positionBytes).toBeGreaterThan(0)
    book.end(part)
    book.release(sessionId)
    await book.settled()
    await new Promise((resolve) => setImmediate(resolve))
    expect(ends()).toEqual([[40, 40]])
    expect([budget.bytesUsed, budget.positionBytes]).toEqual([0, 0])
    book.ask({ sessionId, revision: 2, endPosition: 3 })
    expect(said).toHaveLength(1)
  })
})

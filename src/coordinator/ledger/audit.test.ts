import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { anyCommand, NOON_MS, priceCommands } from '../../../test/support/ledger/commands.ts'
import { createIdentity, sha256Of, signatureVerifier } from '../../network/index.ts'
import type { Signer } from '../../shared/index.ts'
import { EARNED, issuance, type Purse, userAccount } from './accounts.ts'
import { AMOUNT_MAX } from './amounts.ts'
import { type AuditSummary, LedgerAudit } from './audit.ts'
import { Book } from './book.ts'
import type { Command } from './commands.ts'
import { FIRST_PREVIOUS, hashEvent, type LedgerEvent } from './event.ts'
import { encodeLine, type LedgerLine, parseLine } from './export.ts'
import { signHead } from './head.ts'
import { TreeEdge } from './tree.ts'

const sha256 = sha256Of(crypto.subtle)
let signer: Signer
let lines: readonly LedgerLine[]

beforeAll(async () => {
  signer = await createIdentity(crypto.subtle)
  const book = new Book()
  const sample = fc.sample(anyCommand, { numRuns: 400, seed: 6 })
  const events = [...priceCommands, ...sample].flatMap((command) => postedBy(book, command))
  lines = await record(events)
})

function postedBy(book: Book, command: Command): LedgerEvent[] {
  const result = book.post(command, NOON_MS)
  return result.ok && !result.value.repeated ? [result.value.event] : []
}

/** The lines of an honest ledger: hashes, and a head behind every tenth event and the last. */
async function record(events: readonly LedgerEvent[]): Promise<LedgerLine[]> {
  const edge = new TreeEdge(sha256)
  const written: LedgerLine[] = []
  let previous = FIRST_PREVIOUS
  for (const [index, event] of events.entries()) {
    previous = await hashEvent(event, previous, sha256)
    await edge.push(0, previous)
    written.push({ kind: 'event', event, hash: previous })
    if (index % 10 !== 9 && index !== events.length - 1) continue
    const head = await signHead({ size: index + 1, root: await edge.root(), atMs: NOON_MS }, signer)
    written.push({ kind: 'head', head })
  }
  return written
}

async function audit(read: readonly LedgerLine[]): Promise<AuditSummary> {
  const check = new LedgerAudit(sha256, signatureVerifier(crypto.subtle))
  for (const line of read) await check.take(line)
  return check.finish()
}

const eventsOf = (read: readonly LedgerLine[]) => read.flatMap((line) => (line.kind === 'event' ? [line.event] : []))
const lastOf = (read: readonly LedgerLine[]) => read.findLastIndex(({ kind }) => kind === 'event')

describe('audit', () => {
  it('an honest ledger passes, also when it was written and read', async () => {
    const read = lines.map((line) => {
      const parsed = parseLine(encodeLine(line))
      return parsed.ok ? parsed.value : expect.fail(parsed.error.message)
    })
    expect(read).toEqual(lines)
    const events = eventsOf(lines)
    expect(events.length).toBeGreaterThan(50)
    expect(await audit(read)).toMatchObject({ events: events.length })
  })

  it('names the first line that was changed, left out or exchanged', async () => {
    const at = lines.findIndex((line) => line.kind === 'event' && line.event.sequence === 23)
    const line = lines[at]
    const next = lines[at + 1]
    if (line?.kind !== 'event' || next?.kind !== 'event') return expect.fail('no such events')
    const changed = (event: LedgerEvent): LedgerLine => ({ ...line, event })
    const broken: readonly (readonly [string, readonly LedgerLine[]])[] = [
      ['event 23 .* was changed', lines.with(at, changed({ ...line.event, atMs: 1 }))],
      ['event 24 .* stands where event 23 should', lines.toSpliced(at, 1)],
      ['event 24 .* stands where event 23 should', lines.with(at, next).with(at + 1, line)],
      ['event 23 .* stands where event 24 should', lines.toSpliced(at, 0, line)],
      ['the head over .* was changed|has another root|stands behind', lines.filter((one) => one !== lines.at(-2))],
    ]
    for (const [what, forged] of broken) await expect(audit(forged)).rejects.toThrow(new RegExp(what))
  })

  it('a ledger that was written anew with its hashes does not pass its signed heads', async () => {
    const events = eventsOf(lines).map((event) => (event.sequence === 23 ? { ...event, atMs: event.atMs + 1 } : event))
    const forged = await record(events)
    const heads = lines.filter(({ kind }) => kind === 'head')
    const mixed = forged.map((line) => (line.kind === 'head' ? (heads.shift() ?? line) : line))
    await expect(audit(mixed)).rejects.toThrow('the head over 30 events has another root')
    signer = await createIdentity(crypto.subtle)
    const other = await record(eventsOf(lines))
    await expect(audit([...lines.slice(0, 11), ...other.slice(11)])).rejects.toThrow('signed by another key')
  })

  it('an event that breaks a law is named even if all its hashes fit', async () => {
    const events = eventsOf(lines)
    const next = { sequence: events.length, atMs: NOON_MS }
    const gift: Command = { kind: 'issue', reference: 'gift', account: 'ann', purse: EARNED, amount: 1n, note: '' }
    const transfer: Command = { kind: 'transfer', reference: 'x', from: 'ann', to: 'bob', amount: 1n }
    const to = userAccount('ann', EARNED)
    const made = (account: string, amount: bigint, purse: Purse = EARNED) => [
      { account: issuance, amount: -amount },
      { account: userAccount(account, purse), amount },
    ]
    const cases: readonly (readonly [string, LedgerEvent])[] = [
      ['does not sum to zero', { ...next, command: gift, postings: [{ account: to, amount: 1n }] }],
      [
        'makes 1 granted micro-credits transferable',
        {
          ...next,
          command: transfer,
          postings: [
            { account: to, amount: 1n },
            { account: issuance, amount: -1n },
          ],
        },
      ],
      [
        'leaves user:zoe::earned with -1',
        {
          ...next,
          command: transfer,
          postings: [
            { account: to, amount: 1n },
            { account: userAccount('zoe', EARNED), amount: -1n },
          ],
        },
      ],
      ['was posted twice', { ...next, command: events[3]?.command ?? gift, postings: [] }],
      ['posts something else than it says', { ...next, command: gift, postings: made('ann', 5_000n) }],
      ['posts something else than it says', { ...next, command: gift, postings: made('mallory', 1n) }],
      ['which a transfer must not', { ...next, command: transfer, postings: made('mallory', 1n, 'granted/never') }],
      [
        'makes credits where it should end some',
        { ...next, command: { kind: 'expire', account: 'ann', day: '2020-01-01' }, postings: made('ann', 1n, 'granted/never') },
      ],
      [
        'is not the opposite of',
        { ...next, command: { kind: 'compensate', event: 'issue/none', note: '' }, postings: made('ann', 1n, 'granted/never') },
      ],
      ['outstanding, more than there may be', { ...next, command: { ...gift, amount: AMOUNT_MAX }, postings: made('ann', AMOUNT_MAX) }],
    ]
    for (const [what, event] of cases) await expect(audit(await record([...events, event]))).rejects.toThrow(what)
  })

  it('lines that are missing at the end are missed', async () => {
    await expect(audit(lines.slice(0, lastOf(lines) + 1))).rejects.toThrow('lines are missing at the end')
  })

  it('text that is no line is refused, whatever it is', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => void expect(parseLine(text).ok).toBe(false)))
  })
})

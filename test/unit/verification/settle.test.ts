/** Whole sessions, honest and not: who is found to lie, and what everybody is paid. Nothing may be left undecided, nothing paid twice. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { missingReceipts } from '../../../src/coordinator/verification/proveWork.ts'
import { addRows, NO_ROWS } from '../../../src/coordinator/verification/rows.ts'
import { Segment } from '../../../src/coordinator/verification/segment.ts'
import { type SessionSegment, settle } from '../../../src/coordinator/verification/settle.ts'
import type { LinkTally, Receipt, RowCounts } from '../../../src/protocol/index.ts'
import type { PeerId } from '../../../src/shared/index.ts'
import { grantOf, peerOf, Ring } from './ring.ts'

const strangers = (one: PeerId, other: PeerId) => one === other
const friends =
  (...names: string[]) =>
  (one: PeerId, other: PeerId) =>
    one === other || [one, other].every((peerId) => names.some((name) => peerOf(name) === peerId))
const rows = (prompt: number, decode: number) => ({ prompt, decode, results: decode })

function segmentOf(ring: Ring, receipts: readonly Receipt[], left: readonly string[] = []): SessionSegment {
  const segment = new Segment(ring.grant)
  for (const receipt of receipts) expect(segment.add(receipt)).toBeNull()
  return { segment, left: new Set(left.map(peerOf)) }
}

/** Everybody is asked for what is missing, and answers; the driver may be mute. */
function answered(ring: Ring, { segment, left }: SessionSegment, isMute = false): SessionSegment {
  for (const { peerId, endPosition } of missingReceipts(segment)) {
    const place = [ring.grant.driver, ...ring.grant.stages.map((stage) => stage.peerId)].indexOf(peerId)
    if (place > 0 || !isMute) segment.add(ring.receipt(place, { end: endPosition }))
  }
  return { segment, left }
}

/** Rows that a peer is paid for at its first layer; none: null. */
function paid(segments: readonly SessionSegment[], linked = strangers) {
  const { lines, findings, submitted } = settle(segments, linked)
  const of = (name: string): RowCounts | null => lines.find(({ peerId }) => peerId === peerOf(name))?.rows ?? null
  const last = findings.at(-1)
  const names = (places: Iterable<number>) => [...places].map((place) => last?.segment.peerAt(place))
  return { of, submitted, liars: names(last?.liars ?? []), disputes: (last?.disputes ?? []).map(names), lines, findings }
}

const answer = (names: readonly string[]) => new Ring(grantOf(names)).submit('prompt', 30).flow().submit('decode', 20).flow()
const doubled = (tally: LinkTally): LinkTally => ({ ...tally, prompt: 2 * tally.prompt, decode: 2 * tally.decode })
/** All receipts, one of them bent. */
const bend = (receipts: readonly Receipt[], place: number, change: (receipt: Receipt) => Partial<Receipt>) =>
  receipts.map((receipt, at) => (at === place ? { ...receipt, ...change(receipt) } : receipt))
const stageOf = (receipt: Receipt, computed: RowCounts): Receipt['party'] =>
  receipt.party.kind === 'stage' ? { ...receipt.party, computed } : receipt.party

describe('honest sessions', () => {
  it('[V11] [V13] an answer to its end pays every stage each row, the rejected drafts too', () => {
    const ring = answer(['a', 'b', 'c']).submit('decode', 4).flow().truncate(51).submit('decode', 1).flow()
    const { of, submitted, lines } = paid([segmentOf(ring, ring.finals())])
    expect(submitted).toEqual(rows(30, 25))
    for (const name of ['a', 'b', 'c']) expect(of(name)).toEqual(rows(30, 25))
    expect(lines.map(({ firstLayer, endLayer }) => [firstLayer, endLayer])).toEqual([
      [0, 10],
      [10, 20],
      [20, 30],
    ])
  })

  it('[V9] a session broken off pays what the next in line got, after the ends were asked for', () => {
    const ring = new Ring(grantOf(['a', 'b', 'c'])).submit('prompt', 100).flow(0, 80).flow(1, 50).flow(2, 20).flow(3, 10)
    const { of } = paid([answered(ring, segmentOf(ring, ring.finals()))])
    expect([of('a'), of('b'), of('c')]).toEqual([rows(50, 0), rows(20, 0), rows(10, 0)])
  })

  it('[V14] a replacement is paid its own rows and its replay, the stage that left the rest, and the requester pays once', () => {
    const first = answer(['a', 'b', 'c'])
    const before = segmentOf(first, first.finals())
    const second = new Ring(grantOf(['a', 'x', 'c'], { revision: 1 }), first).flow().submit('decode', 10).flow()
    const { of, submitted } = paid([before, segmentOf(second, second.finals(), ['b'])])
    expect(submitted).toEqual(rows(30, 30))
    expect([of('a'), of('c')]).toEqual([rows(30, 30), rows(30, 30)])
    // 30 rows of the prompt and a quarter of 20 decode rows.
    expect(of('x')).toEqual({ prompt: 30, decode: 15, results: 10 })
    expect(of('b')).toEqual({ prompt: 0, decode: 15, results: 20 })
  })

  it('[V14] nobody pays for the replay of a stage that the coordinator did not see leave', () => {
    const first = answer(['a', 'b', 'c'])
    const before = segmentOf(first, first.finals())
    const second = new Ring(grantOf(['a', 'x', 'c'], { revision: 1 }), first).flow().submit('decode', 10).flow()
    const { of } = paid([before, segmentOf(second, second.finals())])
    expect([of('b'), of('x')]).toEqual([rows(30, 20), rows(0, 10)])
  })

  type Step =
    | { submit: number; decode: boolean }
    | { link: number; count: number }
    | { truncate: number }
    | { lose: number }
    | { sign: number }
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ submit: fc.integer({ min: 1, max: 20 }), decode: fc.boolean() }),
    fc.record({ link: fc.nat(3), count: fc.integer({ min: 1, max: 30 }) }),
    fc.record({ truncate: fc.integer({ min: 1, max: 6 }) }),
    fc.record({ lose: fc.nat(2) }),
    fc.record({ sign: fc.nat(3) }),
  )

  /** Of which segments nothing is heard from the driver. */
  const mutes: readonly ((segment: number) => boolean)[] = [
    () => false,
    () => true,
    (segment) => segment % 2 === 0,
    (segment) => segment % 2 === 1,
  ]

  it('[V12] [V14] whatever happened: nobody honest contradicts, no layer is paid more rows than were submitted', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), fc.boolean(), fc.constantFrom(...mutes), (steps, complete, isMute) => {
        let names = ['a', 'b', 'c']
        let ring = new Ring(grantOf(names))
        let segment = new Segment(ring.grant)
        let left = new Set<PeerId>()
        // No prompt comes after what was drawn.
        let decodes = false
        const segments: SessionSegment[] = []
        const end = () => {
          for (const receipt of ring.finals()) if (!isMute(segments.length) || receipt.party.kind === 'stage') segment.add(receipt)
          segments.push(answered(ring, { segment, left }, isMute(segments.length)))
        }
        for (const [index, next] of steps.entries()) {
          if ('submit' in next) {
            decodes ||= next.decode
            ring.submit(decodes ? 'decode' : 'prompt', next.submit)
          } else if ('link' in next) ring.flow(next.link, next.count)
          else if ('truncate' in next) ring.truncate(Math.max(0, ring.reached(0) - next.truncate))
          else if ('sign' in next) segment.add(ring.receipt(next.sign))
          else {
            end()
            left = new Set([peerOf(names[next.lose] ?? '')])
            names = names.with(next.lose, `${index}`)
            ring = new Ring(grantOf(names, { revision: ring.grant.revision + 1 }), ring)
            segment = new Segment(ring.grant)
          }
        }
        if (complete) ring.flow()
        end()
        const { lines, findings, submitted } = settle(segments, strangers)
        for (const { liars, links } of findings) {
          expect([...liars]).toEqual([])
          expect(links.map(({ contradiction }) => contradiction)).toEqual([null, null, null, null])
        }
        expect(submitted.prompt + submitted.decode).toBeLessThanOrEqual(ring.drawn)
        for (const layer of [5, 15, 25]) {
          const at = lines.filter(({ firstLayer, endLayer }) => firstLayer <= layer && layer < endLayer).map((line) => line.rows)
          const sum = at.reduce(addRows, NO_ROWS)
          expect(sum.prompt).toBeLessThanOrEqual(submitted.prompt)
          expect(sum.decode).toBeLessThanOrEqual(submitted.decode)
          const dropped = steps.some((next) => 'truncate' in next)
          if (complete && !isMute(0) && !dropped && segments.length === 1) expect(sum).toEqual(submitted)
        }
      }),
      { numRuns: 1_000 },
    )
  })
})

describe('any lie of one', () => {
  const factor = fc.constantFrom(0, 0.3, 0.9, 1, 1.5, 3)
  const lie = fc.record({
    place: fc.nat(4),
    rows: factor,
    ends: fc.constantFrom(0.5, 1),
    hash: fc.boolean(),
    links: fc.constantFrom('received', 'sent', 'both'),
    silent: fc.boolean(),
  })
  const bent = (tally: LinkTally, { rows: by, ends, hash }: { rows: number; ends: number; hash: boolean }): LinkTally => {
    const endPosition = Math.ceil(tally.endPosition * ends)
    const prompt = Math.max(Math.ceil(tally.prompt * by), endPosition)
    return { ...tally, endPosition, prompt, decode: Math.ceil(tally.decode * by), hash: hash ? 'e'.repeat(64) : tally.hash }
  }

  it('[V12] convicts nobody else, costs no other stage a row, and the requester none that it did not submit', () => {
    const ring = answer(['a', 'b', 'c', 'd']).submit('decode', 4).flow().truncate(52).submit('decode', 2).flow()
    const finals = ring.finals()
    fc.assert(
      fc.property(lie, ({ place, silent, links, ...how }) => {
        const receipts = bend(finals, place, ({ received, sent, party }) => ({
          received: links === 'sent' ? received : bent(received, how),
          sent: links === 'received' ? sent : bent(sent, how),
          party: party.kind === 'driver' ? party : { ...party, computed: links === 'sent' ? party.computed : bent(received, how) },
        }))
        const { of, liars, submitted, lines } = paid([segmentOf(ring, silent ? receipts.toSpliced(place, 1) : receipts)])
        expect(liars.filter((peerId) => peerId !== ring.peerAt(place))).toEqual([])
        for (const { rows: line } of lines) {
          expect(line.prompt).toBeLessThanOrEqual(Math.max(submitted.prompt, 30))
          expect(line.prompt + line.decode).toBeLessThanOrEqual(submitted.prompt + submitted.decode)
        }
        if (place === 0) return
        expect(submitted).toEqual(rows(30, 26))
        for (const [index, name] of ['a', 'b', 'c', 'd'].entries()) if (index + 1 !== place) expect(of(name)).toEqual(rows(30, 26))
      }),
      { numRuns: 1_000 },
    )
  })
})

describe('lies about quantity', () => {
  it('[V12] a driver that reports half is alone against two stages, and pays all', () => {
    const ring = answer(['a', 'b', 'c'])
    const half: LinkTally = { ...ring.receipt(0).sent, prompt: 20, decode: 5, results: 5, endPosition: 25 }
    const receipts = bend(ring.finals(), 0, ({ received }) => ({ sent: half, received: { ...received, ...half, hash: received.hash } }))
    const { of, liars, submitted } = paid([segmentOf(ring, receipts)])
    expect(liars).toEqual([peerOf('driver')])
    expect(submitted).toEqual(rows(30, 20))
    for (const name of ['a', 'b', 'c']) expect(of(name)).toEqual(rows(30, 20))
  })

  it('[V12] two stages that belong together convict no driver: what it says is paid', () => {
    const ring = answer(['a', 'b'])
    const more = (receipt: Receipt): Partial<Receipt> => {
      const [received, sent] = [doubled(receipt.received), doubled(receipt.sent)]
      return { received, sent, party: stageOf(receipt, { prompt: 60, decode: 40, results: 20 }) }
    }
    const receipts = bend(bend(ring.finals(), 1, more), 2, more)
    const { of, liars, submitted } = paid([segmentOf(ring, receipts)], friends('a', 'b'))
    expect(liars).toEqual([])
    expect([submitted, of('a'), of('b')]).toEqual([rows(30, 20), rows(30, 20), rows(30, 20)])
  })

  it('[V12] a stage that reports twice as much is alone against the two before it, and gets nothing; the others get theirs', () => {
    const ring = answer(['a', 'b', 'c'])
    const receipts = bend(ring.finals(), 2, (receipt) => ({
      received: doubled(receipt.received),
      sent: doubled(receipt.sent),
      party: stageOf(receipt, { prompt: 60, decode: 40, results: 20 }),
    }))
    const { of, liars, submitted } = paid([segmentOf(ring, receipts)])
    expect(liars).toEqual([peerOf('b')])
    expect(submitted).toEqual(rows(30, 20))
    expect([of('a'), of('b'), of('c')]).toEqual([rows(30, 20), null, rows(30, 20)])
  })

  it('[V12] of a chain of one stage nobody is a third: both are disputed, and the lesser word is paid', () => {
    const ring = answer(['a'])
    const receipts = bend(ring.finals(), 1, (receipt) => ({
      received: doubled(receipt.received),
      party: stageOf(receipt, { prompt: 60, decode: 40, results: 20 }),
    }))
    const { of, liars, disputes } = paid([segmentOf(ring, receipts)])
    expect(liars).toEqual([])
    expect(disputes).toEqual([[peerOf('driver'), peerOf('a')]])
    expect(of('a')).toEqual(rows(30, 20))
  })

  it('[V14] a driver that calls all rows after a repair repeats pays for them all the same', () => {
    const first = answer(['a', 'b'])
    const before = segmentOf(first, first.finals())
    const second = new Ring(grantOf(['a', 'x'], { revision: 1 }), first).flow().submit('decode', 10).flow()
    const receipts = bend(second.finals(), 0, ({ sent }) => ({
      party: { kind: 'driver', resent: { prompt: sent.prompt, decode: sent.decode, results: sent.results } },
    }))
    expect(paid([before, segmentOf(second, receipts, ['b'])]).submitted).toEqual(rows(30, 30))
  })
})

describe('lies about data', () => {
  const other = 'e'.repeat(64)

  it('[V12] a stage whose both neighbors saw other bytes is alone, and gets nothing', () => {
    const ring = answer(['a', 'b', 'c'])
    const receipts = bend(ring.finals(), 2, ({ received, sent }) => ({
      received: { ...received, hash: other },
      sent: { ...sent, hash: other },
    }))
    const { of, liars } = paid([segmentOf(ring, receipts)])
    expect(liars).toEqual([peerOf('b')])
    expect([of('a'), of('b'), of('c')]).toEqual([rows(30, 20), null, rows(30, 20)])
  })

  it('[V12] a pair that contradicts each other is disputed, and blamed by nobody', () => {
    const ring = answer(['a', 'b', 'c'])
    const receipts = bend(ring.finals(), 2, ({ sent }) => ({ sent: { ...sent, hash: other } }))
    const { liars, disputes, findings } = paid([segmentOf(ring, receipts)])
    expect(liars).toEqual([])
    expect(disputes).toEqual([[peerOf('b'), peerOf('c')]])
    expect(findings[0]?.links.map(({ contradiction }) => contradiction)).toEqual([null, null, 'data', null])
  })

  it('[V4] [V6] a receipt of another session, or an old one again, counts for nothing', () => {
    const ring = answer(['a', 'b'])
    const segment = new Segment(grantOf(['a', 'b']))
    const [, first] = ring.finals()
    if (first === undefined) throw new Error('no receipt')
    expect(segment.add(first)).toBeNull()
    expect(segment.add(first)).toMatch(/sequence/)
    expect(segment.add({ ...first, sequence: 9, revision: 1 })).toMatch(/revision/)
    expect(segment.add({ ...first, sequence: 9, sessionId: 'f'.repeat(32) as Receipt['sessionId'] })).toMatch(/session/)
  })
})

describe('who is gone', () => {
  it('[V14] a driver whose word of the first part was lost pays no row of it twice', () => {
    const first = answer(['a', 'b', 'c'])
    const before = segmentOf(first, first.finals().slice(1))
    const second = new Ring(grantOf(['x', 'y', 'z'], { revision: 1 }), first).flow().submit('decode', 10).flow()
    const { submitted } = paid([before, segmentOf(second, second.finals(), ['a', 'b', 'c'])])
    expect(submitted).toEqual(rows(30, 30))
  })

  it('[V14] what a stage alone says it had before a repair takes nothing from those who come after it', () => {
    const first = new Ring(grantOf(['a', 'b', 'c'])).submit('prompt', 30).flow(0)
    const before = segmentOf(first, [first.receipt(1, { final: true })])
    for (const driverGone of [false, true]) {
      const second = new Ring(grantOf(['x', 'y', 'z'], { revision: 1 }), first).flow().submit('decode', 20).flow()
      const receipts = second.finals().filter(({ party }) => party.kind === 'stage' || !driverGone)
      const { of, submitted } = paid([before, segmentOf(second, receipts, ['a', 'b', 'c'])])
      expect([of('x'), of('y'), submitted]).toEqual([rows(30, 20), rows(30, 20), rows(30, 20)])
    }
  })

  it('[V13] a driver that never signs pays what its stages agree to', () => {
    const ring = answer(['a', 'b', 'c'])
    const { of, submitted } = paid([segmentOf(ring, ring.finals().slice(1))])
    expect(submitted).toEqual(rows(30, 20))
    for (const name of ['a', 'b', 'c']) expect(of(name)).toEqual(rows(30, 20))
  })

  it('[V13] a driver that never signs pays nothing on the word of stages that belong together, nor on that of one', () => {
    const two = answer(['a', 'b'])
    expect(paid([segmentOf(two, two.finals().slice(1))], friends('a', 'b')).lines).toEqual([])
    const one = answer(['a'])
    expect(paid([segmentOf(one, one.finals().slice(1))]).lines).toEqual([])
  })

  it('[V10] a single stage gets what its driver acknowledged before it vanished', () => {
    const ring = new Ring(grantOf(['a'])).submit('prompt', 256).flow()
    const acknowledged = [ring.receipt(0), ring.receipt(1)]
    ring.submit('decode', 40).flow()
    expect(paid([segmentOf(ring, [...acknowledged, ring.receipt(1, { final: true })])]).of('a')).toEqual(rows(256, 0))
  })

  it('[V13] a stage that vanishes is paid what it signed before, its neighbors what the driver got', () => {
    const ring = new Ring(grantOf(['a', 'b', 'c'])).submit('prompt', 256).flow()
    const signed = ring.receipt(2)
    ring.submit('decode', 40).flow()
    const receipts = ring.finals().with(2, signed)
    const { of, liars } = paid([segmentOf(ring, receipts)])
    expect(liars).toEqual([])
    expect([of('a'), of('b'), of('c')]).toEqual([rows(256, 40), rows(256, 0), rows(256, 40)])
  })

  it('[V13] driver and a stage gone: the others are paid up to where all had signed', () => {
    const ring = new Ring(grantOf(['a', 'b', 'c'])).submit('prompt', 256).flow()
    const signed = [1, 2, 3].map((place) => ring.receipt(place))
    ring.submit('decode', 40).flow()
    const receipts = [...signed, ring.receipt(1, { final: true }), ring.receipt(3, { final: true })]
    const { of } = paid([segmentOf(ring, receipts)])
    expect([of('a'), of('b'), of('c')]).toEqual([rows(256, 0), rows(256, 0), rows(256, 0)])
  })

  it('nobody signed: nothing is paid', () => {
    const ring = answer(['a', 'b'])
    expect(paid([segmentOf(ring, [])])).toMatchObject({ lines: [], submitted: NO_ROWS })
  })
})

/** Heads of one ledger, of a forked one, of another, and of nobody: what a peer makes of each. */

import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { consistencyProof, NODE_LEVELS, type ReadNodes, signHead, TreeEdge } from '../coordinator/ledger/index.ts'
import { createIdentity, sha256Of, signatureVerifier } from '../network/index.ts'
import type { LedgerHead } from '../protocol/index.ts'
import { required, type Signer, toHex } from '../shared/index.ts'
import { type HeadAlarm, HeadWatch } from './headWatch.ts'

const { subtle } = crypto
const sha256 = sha256Of(subtle)
const verify = signatureVerifier(subtle)

/** A ledger of `size` events; from `forkAt` on they are others than those of fork 0. */
interface Ledger {
  head(size: number, signer?: Signer): Promise<LedgerHead>
  path(from: number, to: number): Promise<readonly string[]>
}

async function ledgerOf(size: number, fork: number, forkAt: number): Promise<Ledger> {
  const edge = new TreeEdge(sha256)
  const kept = new Map<string, string>()
  const roots = [await edge.root()]
  for (let index = 0; index < size; index++) {
    const leaf = toHex(await sha256(Uint8Array.of(index, index < forkAt ? 0 : fork)))
    kept.set(`0/${index}`, leaf)
    for (const { level, index: at, hash } of await edge.push(0, leaf)) if (level % NODE_LEVELS === 0) kept.set(`${level}/${at}`, hash)
    roots.push(await edge.root())
  }
  const read: ReadNodes = async (level, first, count) =>
    Array.from({ length: count }, (_, at) => required(kept.get(`${level}/${first + at}`), 'a node'))
  return {
    head: (at, signer = key) => signHead({ size: at, root: required(roots[at], `root ${at}`), atMs: 5 }, signer),
    path: (from, to) => consistencyProof(from, to, read, sha256),
  }
}

let key: Signer
let honest: Ledger
let forked: Ledger
let watch: HeadWatch
let alarms: HeadAlarm[]
let heads: number[]
let asked: (readonly [number, number])[]
/** What the coordinator shows when it is asked. */
let shown: Ledger | 'nothing' | 'offline'

beforeAll(async () => {
  key = await createIdentity(subtle)
  ;[honest, forked] = await Promise.all([ledgerOf(20, 0, 0), ledgerOf(20, 1, 7)])
})

beforeEach(() => {
  ;[alarms, heads, asked, shown] = [[], [], [], honest]
  watch = new HeadWatch({
    async askPath(from, to) {
      asked.push([from, to])
      if (shown === 'offline') throw new Error('offline')
      return shown === 'nothing' ? null : shown.path(from, to)
    },
    sha256,
    verify,
  })
  watch.onAlarm((alarm) => alarms.push(alarm))
  watch.onHead(({ size }) => heads.push(size))
})

const told = async (ledger: Ledger, size: number, from: number | null = null) =>
  watch.told({ head: await ledger.head(size), from, path: from === null ? [] : await ledger.path(from, size) })

describe('[E16] heads that the coordinator tells', () => {
  it('are checked against the last one, by the path that comes along, or by one that is asked for', async () => {
    await told(honest, 5)
    await told(honest, 9, 5)
    expect([heads, asked]).toEqual([[5, 9], []])
    // It has missed one.
    await told(honest, 15, 12)
    expect([heads, asked]).toEqual([[5, 9, 15], [[9, 15]]])
    expect([watch.head?.size, alarms]).toEqual([15, []])
    await told(honest, 15, 12)
    expect(asked).toHaveLength(1)
  })

  it('that do not extend it are told, and not kept', async () => {
    await told(honest, 9)
    await told(forked, 12, 9)
    expect(watch.head?.size).toBe(9)
    expect(alarms).toHaveLength(1)
    expect(alarms[0]).toMatchObject({ seen: { size: 9 }, head: { size: 12 } })
    expect(alarms[0]?.what).toMatch(/tells this tab .* 12 events, and cannot show that it is the one with 9/)
    // A part of the truth is no fork.
    await told(honest, 12, 9)
    expect(watch.head?.size).toBe(12)
    await told(forked, 14, 12)
    expect(alarms).toHaveLength(1)
  })

  it('of another key are told, and are what counts from then on: the coordinator may have been set up anew', async () => {
    const other = await createIdentity(subtle)
    await told(honest, 9)
    await watch.told({ head: await honest.head(3, other), from: null, path: [] })
    expect(alarms[0]?.what).toContain('another key')
    expect(watch.head?.size).toBe(3)
    await watch.heard(await honest.head(3, other))
    expect(alarms).toHaveLength(1)
  })

  it('that nobody has signed are no word of its', async () => {
    const { signature } = await honest.head(4)
    const bad = { ...(await honest.head(5)), signature }
    await watch.told({ head: bad, from: null, path: [] })
    expect(watch.head).toBeNull()
    await told(honest, 5)
    await watch.told({ head: { ...(await forked.head(12)), signature }, from: null, path: [] })
    expect([watch.head?.size, alarms]).toEqual([5, []])
  })
})

describe('[V32] heads in others’ receipts', () => {
  it('of the same ledger, older or newer, are no news; a newer one is kept', async () => {
    await told(honest, 9)
    for (const size of [9, 4, 4, 12, 11]) await watch.heard(await honest.head(size))
    expect(asked).toEqual([
      [4, 9],
      [9, 12],
      [11, 12],
    ])
    expect([watch.head?.size, alarms]).toEqual([12, []])
  })

  it('of the same size that differ are a fork, without asking anybody', async () => {
    await told(honest, 9)
    await watch.heard(await forked.head(9))
    expect(asked).toEqual([])
    expect(alarms).toHaveLength(1)
    const roots = await Promise.all([honest, forked].map(async (ledger) => (await ledger.head(9)).root))
    expect([alarms[0]?.seen.root, alarms[0]?.head.root]).toEqual(roots)
    expect(alarms[0]?.what).toContain('tells another tab')
    expect(watch.head?.root).toBe((await honest.head(9)).root)
  })

  it.each([
    ['older', 8],
    ['newer', 14],
  ])('of another size, %s, are a fork where the coordinator cannot connect them', async (_, size) => {
    await told(honest, 9)
    await watch.heard(await forked.head(size))
    expect(alarms).toHaveLength(1)
    for (const shows of [forked, 'nothing'] as const) {
      const next = new HeadWatch({ askPath: async (from, to) => (shows === 'nothing' ? null : shows.path(from, to)), sha256, verify })
      const found: HeadAlarm[] = []
      next.onAlarm((alarm) => found.push(alarm))
      await next.told({ head: await honest.head(9), from: null, path: [] })
      await next.heard(await forked.head(size))
      expect(found).toHaveLength(1)
    }
  })

  it('from before the fork prove nothing', async () => {
    await told(honest, 9)
    await watch.heard(await forked.head(6))
    expect(alarms).toEqual([])
  })

  it('are asked about again where the coordinator did not answer', async () => {
    await told(honest, 9)
    shown = 'offline'
    await watch.heard(await forked.head(12))
    expect(alarms).toEqual([])
    shown = honest
    await watch.heard(await forked.head(12))
    expect(alarms).toHaveLength(1)
  })

  it('say nothing to who has heard of none, nor if others than the ledger have signed them', async () => {
    await watch.heard(await forked.head(9))
    await told(honest, 9)
    const { signature } = await honest.head(3)
    await watch.heard({ ...(await forked.head(9)), signature })
    expect([asked, alarms]).toEqual([[], []])
  })
})

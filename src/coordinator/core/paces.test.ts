import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { PeerId } from '../../shared/index.ts'
import { Paces } from './paces.ts'

const peerOf = (index: number) => `${index}`.padStart(32, '0') as PeerId

/** A session over these peers, each with its true time and how many times as fast it says to be. */
const lap = (
  origin: string,
  chain: readonly { readonly peer: number; readonly trueMs: number; readonly factor?: number }[],
  jitter = 1,
  atMs = 0,
) => ({
  origin,
  linksMs: 20,
  lapMs: 20 + jitter * chain.reduce((sum, { trueMs }) => sum + trueMs, 0),
  stages: chain.map(({ peer, trueMs, factor = 1 }) => ({ peerId: peerOf(peer), toldMs: trueMs / factor })),
  atMs,
})

describe('Paces', () => {
  it('finds the one that hides time, in whose every session it is missed, and takes the lie back twice', () => {
    const paces = new Paces()
    for (let k = 0; k < 8; k++) {
      paces.see(
        lap(`r${k}`, [
          { peer: 0, trueMs: 20, factor: 10 },
          { peer: 1 + (k % 4), trueMs: 20 },
        ]),
      )
      paces.see(
        lap(`r${k}`, [
          { peer: 1 + (k % 4), trueMs: 20 },
          { peer: 1 + ((k + 1) % 4), trueMs: 20 },
        ]),
      )
    }
    expect(paces.slowness(peerOf(1), 0)).toBe(1)
    // It told 2 ms, and 16 ms more are beyond all slack: 9 times as long.
    expect(paces.slowness(peerOf(0), 0)).toBeCloseTo(9 ** 2)
  })

  it('believes what is told of a peer that few have used, and never makes one faster', () => {
    const paces = new Paces()
    const slow = (origin: string) => paces.see(lap(origin, [{ peer: 0, trueMs: 50, factor: 5 }]))
    slow('one')
    slow('two')
    expect(paces.slowness(peerOf(0), 0)).toBe(1)
    slow('three')
    expect(paces.slowness(peerOf(0), 0)).toBe(25)
    paces.forget(peerOf(0))
    expect(paces.slowness(peerOf(0), 0)).toBe(1)
  })

  it('one origin makes nobody slow, however often it says so', () => {
    const paces = new Paces()
    for (let k = 0; k < 100; k++) paces.see({ ...lap('liar', [{ peer: 0, trueMs: 20 }]), lapMs: 10_000 })
    expect(paces.slowness(peerOf(0), 0)).toBe(1)
    for (const origin of ['a', 'b', 'c']) paces.see(lap(origin, [{ peer: 0, trueMs: 20 }]))
    expect(paces.slowness(peerOf(0), 0)).toBe(1)
  })

  it('forgets what was seen a day ago, and no sooner: nobody asks who counts as slow', () => {
    const paces = new Paces()
    const dayMs = 24 * 3_600_000
    for (const origin of ['a', 'b', 'c']) paces.see(lap(origin, [{ peer: 0, trueMs: 20, factor: 10 }], 1, 1_000))
    expect(paces.slowness(peerOf(0), 1_000 + dayMs - 1)).toBeCloseTo(100)
    expect(paces.slowness(peerOf(0), 1_000 + dayMs)).toBe(1)
  })

  it('honest peers whose passes jitter by a fifth are believed, whoever they serve with', () => {
    const chain = fc.array(fc.record({ peer: fc.nat(9), trueMs: fc.integer({ min: 10, max: 40 }) }), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(fc.array(fc.tuple(chain, fc.nat(20)), { maxLength: 60 }), (sessions) => {
        const paces = new Paces()
        // One time a peer: its first.
        const times = new Map<number, number>()
        for (const { peer, trueMs } of sessions.flatMap(([stages]) => stages)) if (!times.has(peer)) times.set(peer, trueMs)
        const timed = (peer: number) => times.get(peer) ?? 10
        for (const [stages, origin] of sessions)
          paces.see(
            lap(
              `r${origin}`,
              stages.map(({ peer }) => ({ peer, trueMs: timed(peer) })),
              1.2,
            ),
          )
        for (const peer of times.keys()) expect(paces.slowness(peerOf(peer), 0)).toBe(1)
      }),
    )
  })
})

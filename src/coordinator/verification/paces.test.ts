import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { PeerId } from '../../shared/index.ts'
import { Paces } from './paces.ts'

const peerOf = (index: number) => `${index}`.padStart(32, '0') as PeerId

/** A session over these peers, each with its true time and how many times as fast it says to be. */
const lap = (
  requester: string,
  chain: readonly { readonly peer: number; readonly trueMs: number; readonly factor?: number }[],
  jitter = 1,
) => ({
  requester,
  linksMs: 20,
  lapMs: 20 + jitter * chain.reduce((sum, { trueMs }) => sum + trueMs, 0),
  stages: chain.map(({ peer, trueMs, factor = 1 }) => ({ peerId: peerOf(peer), toldMs: trueMs / factor })),
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
    expect(paces.believedMs(peerOf(1), 20)).toBe(20)
    // It was seen to take 15 ms, so much is beyond all slack: 7.5 times as long as it told.
    expect(paces.believedMs(peerOf(0), 2)).toBeGreaterThan(100)
  })

  it('believes what is told of a peer that few have used, and never makes one faster', () => {
    const paces = new Paces()
    const slow = (requester: string) => paces.see(lap(requester, [{ peer: 0, trueMs: 50, factor: 5 }]))
    slow('one')
    slow('two')
    expect(paces.believedMs(peerOf(0), 10)).toBe(10)
    slow('three')
    expect(paces.believedMs(peerOf(0), 10)).toBe(250)
    paces.forget(peerOf(0))
    expect(paces.believedMs(peerOf(0), 10)).toBe(10)
  })

  it('one requester makes nobody slow, however often it says so', () => {
    const paces = new Paces()
    for (let k = 0; k < 100; k++) paces.see({ ...lap('liar', [{ peer: 0, trueMs: 20 }]), lapMs: 10_000 })
    expect(paces.believedMs(peerOf(0), 20)).toBe(20)
    for (const requester of ['a', 'b', 'c']) paces.see(lap(requester, [{ peer: 0, trueMs: 20 }]))
    expect(paces.believedMs(peerOf(0), 20)).toBe(20)
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
        for (const [stages, requester] of sessions)
          paces.see(
            lap(
              `r${requester}`,
              stages.map(({ peer }) => ({ peer, trueMs: timed(peer) })),
              1.2,
            ),
          )
        for (const peer of times.keys()) expect(paces.believedMs(peerOf(peer), timed(peer))).toBe(timed(peer))
      }),
    )
  })
})

import { describe, expect, it } from 'vitest'
import type { Grant } from '../../protocol/index.ts'
import type { ManifestHash, ModelId, PeerId, SessionId } from '../../shared/index.ts'
import { Ghosts } from './ghosts.ts'
import { isAvoided, newPeer, type PeerRecord } from './peers.ts'
import { PendingRepairs } from './pendingRepairs.ts'
import { OpenSessions } from './sessions.ts'

const KV_POSITIONS = 1_024

/** Two volunteers that serve, and drivers `a1`, `a2` of the origin a, `b1` of the origin b and so on. */
function setUp() {
  const peers = new Map<PeerId, PeerRecord>()
  const open = new OpenSessions()
  const repairs = new PendingRepairs()
  const givenUp: PeerId[] = []
  const ghosts = new Ghosts({ peers, open, repairs, onGivenUp: (peerId) => givenUp.push(peerId) })
  let sessions = 0
  const peer = (name: string): PeerRecord => {
    const peerId = name.padEnd(32, '0') as PeerId
    const known = peers.get(peerId) ?? newPeer(peerId, name.slice(0, 1), 0)
    peers.set(peerId, known)
    return known
  }
  const volunteer = (name: string) => {
    const record = peer(name)
    record.served = { modelId: 'm' as ModelId, span: { firstLayer: 0, endLayer: 1 }, kvPositions: KV_POSITIONS }
    return record
  }
  const grant = (driver: string, over: PeerRecord, issuedAtMs: number): Grant => {
    const made: Grant = {
      version: 1,
      revision: 0,
      sessionId: (sessions++).toString(16).padStart(32, '0') as SessionId,
      modelId: 'm' as ModelId,
      manifestHash: '0'.repeat(64) as ManifestHash,
      driver: peer(driver).peerId,
      stages: [{ peerId: over.peerId, firstLayer: 0, endLayer: 1 }],
      maxPositions: 32,
      topK: 8,
      rowEncoding: 'f16e',
      issuedAtMs,
      expiresAtMs: issuedAtMs + 1e9,
    }
    open.grant(made, [])
    return made
  }
  const finish = (driver: string, over: PeerRecord, atMs: number) => {
    const finished = grant(driver, over, atMs)
    open.end(finished.sessionId)
    ghosts.finished(finished)
  }
  const fail = (driver: string, over: PeerRecord, ...timesMs: number[]) => {
    for (const atMs of timesMs) ghosts.failed(over, peer(driver), atMs)
  }
  return { ghosts, open, repairs, givenUp, peer, volunteer, grant, finish, fail, victim: volunteer('v'), other: volunteer('w') }
}

describe('who is given up', () => {
  it('[C29] is over whom two origins fail, 10 s apart', () => {
    const { fail, victim, givenUp } = setUp()
    fail('a1', victim, 0)
    fail('b1', victim, 9_999)
    expect(givenUp).toEqual([])
    fail('b1', victim, 10_000)
    expect(givenUp).toEqual([victim.peerId])
  })

  it('[C29] is over whom one origin fails three times, however many drivers it has', () => {
    const { fail, victim, givenUp } = setUp()
    fail('a1', victim, 0, 10_000)
    expect(givenUp).toEqual([])
    fail('a2', victim, 11_000)
    expect(givenUp).toEqual([victim.peerId])
  })

  it('[C29] is not who finishes sessions between failures', () => {
    const { fail, finish, victim, givenUp } = setUp()
    for (let atMs = 0; atMs < 100_000; atMs += 5_000) {
      fail('a1', victim, atMs)
      fail('b1', victim, atMs)
      if (atMs % 10_000 === 5_000) finish('c1', victim, atMs)
    }
    expect(givenUp).toEqual([])
  })

  it('[C29] is not over whom a session goes on for 25 s, unless that waits for another chain', () => {
    for (const isBroken of [false, true]) {
      const { fail, grant, repairs, victim, givenUp } = setUp()
      const { sessionId, driver } = grant('c1', victim, 0)
      const lost = new Set([victim.peerId])
      if (isBroken) repairs.add({ driver, requestId: 'r', sessionId, lost, sinceMs: 20_000, brokenMs: 20_000 })
      fail('a1', victim, 15_000)
      fail('b1', victim, 25_000)
      expect(givenUp).toEqual(isBroken ? [victim.peerId] : [])
    }
  })

  it('[C29] is not whom one origin accuses while another has a session over it', () => {
    const { fail, grant, open, victim, givenUp } = setUp()
    const { sessionId } = grant('b1', victim, 20_000)
    fail('a1', victim, 0, 10_000, 20_000)
    expect(givenUp).toEqual([])
    open.end(sessionId)
    fail('a1', victim, 30_000)
    expect(givenUp).toEqual([victim.peerId])
  })

  it('[C29] is nobody whom drivers accuse to whom all fail, until they have an answer', () => {
    const { fail, finish, victim, volunteer, givenUp, other } = setUp()
    const third = volunteer('x')
    for (const driver of ['a1', 'b1']) for (const peer of [other, third]) fail(driver, peer, 0)
    fail('a1', victim, 0)
    fail('b1', victim, 11_000)
    expect(givenUp).toEqual([])
    for (const driver of ['a1', 'b1']) finish(driver, other, 20_000)
    fail('a1', victim, 30_000)
    expect(givenUp).toEqual([victim.peerId])
  })

  it('[C29] gets no layers for a minute, then for two, and after a finished session for one again', () => {
    const { fail, finish, victim } = setUp()
    const give = (atMs: number) => {
      fail('a1', victim, atMs)
      fail('b1', victim, atMs + 10_000)
      return victim.blockedUntilMs - atMs - 10_000
    }
    expect(give(0)).toBe(60_000)
    // Failures within that minute prolong nothing.
    fail('c1', victim, 40_000)
    expect(victim.blockedUntilMs).toBe(70_000)
    fail('c1', victim, 80_000)
    expect(victim.blockedUntilMs).toBe(200_000)
    finish('c1', victim, 100_000)
    expect(victim.blockedUntilMs).toBe(0)
    expect(give(300_000)).toBe(60_000)
  })

  it('[C29] is not who serves nothing, or drains', () => {
    const { fail, victim, other, givenUp } = setUp()
    victim.served = null
    other.draining = true
    for (const peer of [victim, other]) {
      fail('a1', peer, 0)
      fail('b1', peer, 20_000)
    }
    expect(givenUp).toEqual([])
  })
})

describe('a driver’s word', () => {
  it('[C28] counts four times at once, and once more every 15 s', () => {
    const { fail, victim } = setUp()
    fail('a1', victim, 0, 1, 2, 3, 4, 5, 6)
    expect(victim.doubts.failures).toHaveLength(4)
    fail('a1', victim, 15_000, 15_001)
    expect(victim.doubts.failures).toHaveLength(5)
  })

  it('[C28] has the peer avoided for ten minutes at most', () => {
    const { fail, victim } = setUp()
    for (const driver of ['a1', 'b1', 'c1', 'd1']) fail(driver, victim, 0, 0, 0, 0)
    expect(isAvoided(victim, 'z', 599_999)).toBe(true)
    expect(isAvoided(victim, 'z', 600_000)).toBe(false)
  })
})

describe('a report that contradicts what is granted', () => {
  /** What it tells, for so long; grants of 32 positions are open over it. */
  function tell(kvPositionsFree: number, grants: number, ms: number) {
    const { ghosts, grant, victim, givenUp } = setUp()
    for (let count = 0; count < grants; count++) grant('a1', victim, 0)
    for (let atMs = 10_000; atMs <= ms; atMs += 2_000) {
      victim.report = { sessions: 0, kvPositionsFree, atMs }
      ghosts.tick(atMs)
    }
    return { givenUp, victim, ghosts }
  }

  it('[C30] counts where more than half of the KV is taken by nobody, for 90 s', () => {
    expect(tell(0, 0, 99_000).givenUp).toEqual([])
    expect(tell(0, 0, 100_000).givenUp).toHaveLength(1)
    expect(tell(KV_POSITIONS / 2 - 1, 0, 150_000).givenUp).toHaveLength(1)
    expect(tell(KV_POSITIONS / 2, 0, 150_000).givenUp).toEqual([])
  })

  it('[C30] is none where as much is granted', () => {
    expect(tell(0, KV_POSITIONS / 64 - 1, 150_000).givenUp).toHaveLength(1)
    expect(tell(0, KV_POSITIONS / 64, 150_000).givenUp).toEqual([])
  })

  it('[C30] is over when the peer says otherwise', () => {
    const { victim, ghosts } = tell(0, 0, 120_000)
    expect(victim.blockedUntilMs).toBeGreaterThan(130_000)
    victim.report = { sessions: 0, kvPositionsFree: KV_POSITIONS, atMs: 130_000 }
    ghosts.tick(130_000)
    expect(victim.blockedUntilMs).toBe(0)
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Grant } from '../protocol/index.ts'
import { UsedGrants } from './usedGrants.ts'

const LIFE_MS = 1_000

const grantOf = (session: number, revision: number, issuedAtMs: number) =>
  ({ sessionId: `session ${session}`, revision, issuedAtMs, expiresAtMs: issuedAtMs + LIFE_MS }) as unknown as Grant

describe('UsedGrants', () => {
  it('[G8] takes as many sessions as come, and refuses those that it has forgotten', () => {
    const used = new UsedGrants()
    for (let session = 0; session < 10_100; session++) {
      const grant = grantOf(session, 0, session / 100)
      expect(used.faultOf(grant)).toBeNull()
      used.add(grant, 0)
    }
    expect(used.size).toBe(10_000)
    expect(used.faultOf(grantOf(0, 0, 0))).toMatch(/older than those/)
    expect(used.faultOf(grantOf(20_000, 0, 0.99))).toMatch(/older than those/)
    expect(used.faultOf(grantOf(20_000, 0, 1))).toBeNull()
    expect(used.faultOf(grantOf(10_099, 0, 100.99))).toMatch(/used before/)
    expect(used.faultOf(grantOf(10_099, 1, 100.99))).toBeNull()
  })

  it('[G8] forgets those that have expired first, and then refuses nobody for it', () => {
    const used = new UsedGrants(2)
    for (const session of [0, 1]) used.add(grantOf(session, 0, session), 0)
    used.add(grantOf(2, 0, 500), LIFE_MS + 10)
    expect(used.size).toBe(1)
    expect(used.faultOf(grantOf(3, 0, 1))).toBeNull()
  })

  it('[G8] lets no grant begin two sessions, whatever comes in which order, and every one that is newer than what it holds', () => {
    const event = fc.record({ session: fc.nat(12), revision: fc.nat(3), passesMs: fc.nat(40) })
    fc.assert(
      fc.property(fc.array(event, { minLength: 60, maxLength: 120 }), (events) => {
        const used = new UsedGrants(4)
        const begun = new Set<string>()
        let nowMs = 0
        for (const { session, revision, passesMs } of events) {
          nowMs += passesMs
          // A session's revisions are issued one after the other.
          const grant = grantOf(session, revision, session * 40 + revision * 400)
          const name = `${session} ${revision}`
          if (nowMs < grant.issuedAtMs || nowMs >= grant.expiresAtMs || used.faultOf(grant) !== null) continue
          expect(begun).not.toContain(name)
          begun.add(name)
          used.add(grant, nowMs)
          expect(used.size).toBeLessThanOrEqual(4)
        }
        const newest = grantOf(99, 0, nowMs + 5_000)
        expect(used.faultOf(newest)).toBeNull()
      }),
    )
  })
})

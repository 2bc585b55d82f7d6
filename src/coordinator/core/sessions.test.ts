import { describe, expect, it } from 'vitest'
import type { Grant } from '../../protocol/index.ts'
import type { ManifestHash, ModelId, PeerId, SessionId } from '../../shared/index.ts'
import { OpenSessions } from './sessions.ts'

const peer = (letter: string) => letter.repeat(32) as PeerId

function grantOver(driver: string, stages: string): Grant {
  return {
    version: 1,
    revision: 0,
    sessionId: '0'.repeat(32) as SessionId,
    modelId: 'm' as ModelId,
    manifestHash: '0'.repeat(64) as ManifestHash,
    driver: peer(driver),
    stages: [...stages].map((letter, index) => ({ peerId: peer(letter), firstLayer: index, endLayer: index + 1 })),
    maxPositions: 16,
    topK: 8,
    rowEncoding: 'f16e',
    issuedAtMs: 0,
    expiresAtMs: 1_000,
  }
}

describe('open sessions', () => {
  it.each([
    ['d', 'a', true],
    ['c', 'd', true],
    ['a', 'b', true],
    ['c', 'b', true],
    ['a', 'c', false],
    ['d', 'd', false],
    ['a', 'a', false],
    ['d', 'x', false],
    ['x', 'a', false],
    ['x', 'y', false],
  ])('[L1] over driver d and stages a, b, c: %s and %s are joined: %s', (one, other, joined) => {
    const sessions = new OpenSessions()
    sessions.grant(grantOver('d', 'abc'), [])
    expect(sessions.join(peer(one), peer(other))).toBe(joined)
    sessions.end('0'.repeat(32) as SessionId)
    expect(sessions.join(peer(one), peer(other))).toBe(false)
  })

  it('[L1] joins a driver that holds a stage itself to its chain and to nobody else', () => {
    const sessions = new OpenSessions()
    sessions.grant(grantOver('a', 'abc'), [])
    expect([sessions.join(peer('a'), peer('c')), sessions.join(peer('a'), peer('x')), sessions.join(peer('x'), peer('a'))]).toEqual([
      true,
      false,
      false,
    ])
  })
})

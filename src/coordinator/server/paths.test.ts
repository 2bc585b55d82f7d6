import { describe, expect, it } from 'vitest'
import type { PeerId } from '../../shared/index.ts'
import { type PathOptions, pathsFor, TURN_LIFE_MS, TURN_RENEW_MS } from './paths.ts'

const peerId = 'a'.repeat(32) as PeerId
const none: PathOptions = { stunUrls: [], turn: null, iceTransportPolicy: 'all', relay: true }
const turn = { urls: ['turn:turn.example:3478', 'turns:turn.example?transport=tcp'], secret: 'north wind' }

describe('a peer’s paths', () => {
  it('[L10] name no host where the operator names none', () => {
    expect(pathsFor(none, peerId, 5)).toEqual({ iceServers: [], iceTransportPolicy: 'all', relay: true, expiresAtMs: null })
    expect(pathsFor({ ...none, stunUrls: ['stun:stun.example'], relay: false }, peerId, 5)).toEqual({
      iceServers: [{ urls: ['stun:stun.example'] }],
      iceTransportPolicy: 'all',
      relay: false,
      expiresAtMs: null,
    })
  })

  it('[L10] hold TURN credentials as coturn checks them: printf 1700003600:aaa… | openssl dgst -sha1 -hmac "north wind" -binary | base64', () => {
    const { iceServers, expiresAtMs } = pathsFor({ ...none, turn }, peerId, 1_700_000_000_999)
    expect(iceServers).toEqual([{ urls: turn.urls, username: `1700003600:${peerId}`, credential: 'CZxmsXf9GYqtPcC4r90uDi6LTmk=' }])
    expect(expiresAtMs).toBe(1_700_003_600_000)
  })

  it('[L10] hold credentials that differ from peer to peer and from secret to secret, and never the secret', () => {
    const credentialOf = (id: PeerId, secret: string) => pathsFor({ ...none, turn: { ...turn, secret } }, id, 0).iceServers[0]?.credential
    const all = [credentialOf(peerId, 'x'), credentialOf(peerId, 'y'), credentialOf('b'.repeat(32) as PeerId, 'x')]
    expect(new Set(all).size).toBe(3)
    expect(JSON.stringify(pathsFor({ ...none, turn }, peerId, 0))).not.toContain('north wind')
  })

  it('[L10] are renewed long before they expire', () => {
    expect(TURN_LIFE_MS - TURN_RENEW_MS).toBeGreaterThanOrEqual(600_000)
  })
})

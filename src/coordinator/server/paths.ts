/**
 * What the operator lets peers connect through, and the credentials of one peer for it: TURN's "REST" convention, which coturn calls
 * `use-auth-secret`. The user name is its own expiry and the peer's id, the password its HMAC-SHA1 under the secret that coordinator and TURN
 * server share; so the server needs no list of users, and what leaks is void within the hour.
 */

import { createHmac } from 'node:crypto'
import type { Paths } from '../../protocol/index.ts'
import type { PeerId } from '../../shared/index.ts'

export interface PathOptions {
  /** `stun:` URLs. */
  readonly stunUrls: readonly string[]
  readonly turn: TurnOptions | null
  /** `relay`: over TURN servers alone, which is for tests of them. */
  readonly iceTransportPolicy: 'all' | 'relay'
  /** Whether the coordinator carries frames for pairs that find no path of their own. */
  readonly relay: boolean
}

export interface TurnOptions {
  /** `turn:` and `turns:` URLs; at least one. */
  readonly urls: readonly string[]
  /** What the TURN servers have as `static-auth-secret`. */
  readonly secret: string
}

/** Long enough for every connection that is begun with it: only making one asks for it. */
export const TURN_LIFE_MS = 3_600_000
/** So whatever a peer holds is good for half an hour at least. */
export const TURN_RENEW_MS = TURN_LIFE_MS / 2

/** The peer's paths as of now, coordinator time. */
export function pathsFor({ stunUrls, turn, iceTransportPolicy, relay }: PathOptions, peerId: PeerId, nowMs: number): Paths {
  const stun = stunUrls.length === 0 ? [] : [{ urls: [...stunUrls] }]
  if (turn === null) return { iceServers: stun, iceTransportPolicy, relay, expiresAtMs: null }
  const { username, credential, expiresAtMs } = turnCredentials(turn.secret, peerId, nowMs)
  return { iceServers: [...stun, { urls: [...turn.urls], username, credential }], iceTransportPolicy, relay, expiresAtMs }
}

function turnCredentials(secret: string, peerId: PeerId, nowMs: number) {
  const expirySeconds = Math.floor((nowMs + TURN_LIFE_MS) / 1_000)
  const username = `${expirySeconds}:${peerId}`
  return { username, credential: createHmac('sha1', secret).update(username).digest('base64'), expiresAtMs: expirySeconds * 1_000 }
}

/** What a browser says of a peer connection, in this project's words: its certificates, its path, its bytes. */

import type { LinkKind, LinkStats } from '../../protocol/index.ts'
import { fromHex, TabswarmError } from '../../shared/index.ts'

/** SHA-256 of the certificate that the description allows; DTLS itself refuses any other. Throws TabswarmError `handshake-failed`. */
export function fingerprintOf(description: RTCSessionDescription | null): Uint8Array {
  const lines = [...(description?.sdp ?? '').matchAll(/^a=fingerprint:(\S+) ([0-9A-Fa-f:]+)\s*$/gm)]
  const distinct = new Set(lines.map(([, hash, value]) => `${hash?.toLowerCase()} ${value?.toLowerCase()}`))
  const [only, ...others] = distinct
  const hex = /^sha-256 ((?:[0-9a-f]{2}:){31}[0-9a-f]{2})$/.exec(only ?? '')?.[1]
  if (hex === undefined || others.length > 0)
    throw new TabswarmError('handshake-failed', `the connection names ${distinct.size} certificates; one SHA-256 fingerprint is needed`)
  return fromHex(hex.replaceAll(':', ''))
}

/** What getStats says of the data channels and of the candidate pair in use; `before` where it says nothing. */
export function readStats(report: RTCStatsReport, before: LinkStats): LinkStats {
  const entries = new Map<string, Record<string, unknown>>()
  report.forEach((entry: Record<string, unknown>, id: string) => {
    entries.set(id, entry)
  })
  const all = [...entries.values()]
  const channels = all.filter((entry) => entry.type === 'data-channel')
  const transport = all.find((entry) => entry.type === 'transport')
  // Firefox has no transport entry; its pair in use is marked `selected`.
  const pair =
    entries.get(String(transport?.selectedCandidatePairId)) ??
    all.find((entry) => entry.type === 'candidate-pair' && (entry.selected === true || entry.nominated === true))
  const ends = [entries.get(String(pair?.localCandidateId)), entries.get(String(pair?.remoteCandidateId))]
  const kind: LinkKind = ends.some((end) => end?.candidateType === 'relay') ? 'turn' : 'webrtc'
  const roundTripSeconds = pair?.currentRoundTripTime
  const sum = (name: 'bytesSent' | 'bytesReceived') =>
    channels.reduce((total, channel) => total + (typeof channel[name] === 'number' ? channel[name] : 0), 0)
  return {
    kind: pair === undefined ? before.kind : kind,
    bytesSent: Math.max(sum('bytesSent'), before.bytesSent),
    bytesReceived: Math.max(sum('bytesReceived'), before.bytesReceived),
    roundTripMs: typeof roundTripSeconds === 'number' && roundTripSeconds >= 0 ? roundTripSeconds * 1000 : before.roundTripMs,
  }
}

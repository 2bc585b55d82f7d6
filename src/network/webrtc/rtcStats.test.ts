import { describe, expect, it } from 'vitest'
import type { LinkStats } from '../../protocol/index.ts'
import { fingerprintOf, readStats } from './rtcStats.ts'

const pairs = (byte: string) => Array.from({ length: 32 }, () => byte).join(':')
const describeSdp = (...lines: string[]) => ({ type: 'offer', sdp: ['v=0', ...lines, ''].join('\r\n') }) as RTCSessionDescription

describe('the fingerprint of a session description', () => {
  it('[H4] is the SHA-256 of its one certificate, wherever and however often it is named', () => {
    const line = `a=fingerprint:sha-256 ${pairs('AB')}`
    expect(fingerprintOf(describeSdp(line))).toEqual(new Uint8Array(32).fill(0xab))
    expect(fingerprintOf(describeSdp(line, 'm=application 9 UDP/DTLS/SCTP webrtc-datachannel', line))).toEqual(
      new Uint8Array(32).fill(0xab),
    )
  })

  it.each([
    ['none', null],
    ['no line', describeSdp('a=x')],
    ['two certificates', describeSdp(`a=fingerprint:sha-256 ${pairs('AB')}`, `a=fingerprint:sha-256 ${pairs('AC')}`)],
    ['another hash', describeSdp(`a=fingerprint:sha-1 ${pairs('AB')}`)],
    ['another hash beside it', describeSdp(`a=fingerprint:sha-256 ${pairs('AB')}`, `a=fingerprint:sha-512 ${pairs('AB')}`)],
    ['a short one', describeSdp('a=fingerprint:sha-256 AB:CD')],
  ])('[H4] is refused with %s', (_, description) => {
    expect(() => fingerprintOf(description)).toThrow(/one SHA-256 fingerprint is needed/)
  })
})

describe('statistics of a connection', () => {
  const before: LinkStats = { kind: 'webrtc', bytesSent: 1, bytesReceived: 2, roundTripMs: null }
  const report = (...entries: [string, object][]) => new Map(entries) as unknown as RTCStatsReport
  const channel: [string, object] = ['d', { type: 'data-channel', bytesSent: 100, bytesReceived: 50 }]
  const pair: [string, object] = [
    'p',
    { type: 'candidate-pair', localCandidateId: 'l', remoteCandidateId: 'r', currentRoundTripTime: 0.25, nominated: true },
  ]
  const other: [string, object] = ['q', { type: 'candidate-pair', localCandidateId: 'r', remoteCandidateId: 'r' }]
  const transport: [string, object] = ['t', { type: 'transport', selectedCandidatePairId: 'p' }]

  it('come from the data channel and the selected pair', () => {
    const direct = report(channel, other, pair, transport, ['l', { candidateType: 'host' }], ['r', { candidateType: 'prflx' }])
    expect(readStats(direct, before)).toEqual({ kind: 'webrtc', bytesSent: 100, bytesReceived: 50, roundTripMs: 250 })
  })

  it('call a link `turn` as soon as one end is relayed', () => {
    const relayed = report(channel, pair, transport, ['l', { candidateType: 'relay' }], ['r', { candidateType: 'host' }])
    expect(readStats(relayed, before).kind).toBe('turn')
    const withoutTransport = report(channel, other, pair, ['l', { candidateType: 'host' }], ['r', { candidateType: 'relay' }])
    expect(readStats(withoutTransport, before).kind).toBe('turn')
  })

  it('know no round trip below nothing, as some report before they have measured one', () => {
    const unmeasured = report(channel, ['p', { ...pair[1], currentRoundTripTime: -1 }])
    expect(readStats(unmeasured, before).roundTripMs).toBeNull()
    expect(readStats(unmeasured, { ...before, roundTripMs: 40 }).roundTripMs).toBe(40)
  })

  it('stay what they were where the report says nothing', () => {
    expect(readStats(report(), { ...before, kind: 'turn' })).toEqual({ ...before, kind: 'turn' })
  })
})

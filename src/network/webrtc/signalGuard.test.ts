import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseSignal } from './signalGuard.ts'

const src = 'a'.repeat(32)
const offer = {
  type: 'OFFER',
  src,
  payload: {
    type: 'data',
    serialization: 'raw',
    reliable: true,
    label: 'frames',
    connectionId: 'dc_1',
    sdp: { type: 'offer', sdp: 'v=0' },
  },
}
const candidate = {
  type: 'CANDIDATE',
  src,
  payload: { type: 'data', connectionId: 'dc_1', candidate: { candidate: 'c', sdpMid: '0', sdpMLineIndex: 0 } },
}

describe('the guard before PeerJS', () => {
  it.each([
    ['an offer', offer],
    ['an answer', { type: 'ANSWER', src, payload: { type: 'data', connectionId: 'dc_1', sdp: { type: 'answer', sdp: 'v=0' } } }],
    ['a candidate', candidate],
    ['the opening', { type: 'OPEN' }],
    ['an expiry', { type: 'EXPIRE', src }],
    ['an error of the server', { type: 'ERROR', payload: { msg: 'no' } }],
  ])('lets %s through', (_, message) => {
    expect(parseSignal(message)).toEqual(message)
  })

  it.each([
    ['a media call', { ...offer, payload: { ...offer.payload, type: 'media' } }],
    ['a serializer of PeerJS', { ...offer, payload: { ...offer.payload, serialization: 'binary' } }],
    ['a serializer out of the prototype', { ...offer, payload: { ...offer.payload, serialization: 'constructor' } }],
    ['an unreliable channel', { ...offer, payload: { ...offer.payload, reliable: false } }],
    ['an offer without SDP', { ...offer, payload: { ...offer.payload, sdp: undefined } }],
    ['an SDP of the wrong type', { ...offer, payload: { ...offer.payload, sdp: { type: 'rollback', sdp: '' } } }],
    ['an SDP beyond its bound', { ...offer, payload: { ...offer.payload, sdp: { type: 'offer', sdp: 'x'.repeat(20_001) } } }],
    ['a sender that is no peer', { ...offer, src: 'bob' }],
    ['a leave: only the connection says that it ended', { type: 'LEAVE', src }],
    ['no payload', { type: 'CANDIDATE', src }],
    ['null', null],
    ['a text', 'OPEN'],
  ])('drops %s', (_, message) => {
    expect(parseSignal(message)).toBe(null)
  })

  it('hands on only the fields it knows', () => {
    expect(parseSignal({ ...offer, extra: 1, payload: { ...offer.payload, metadata: { x: 1 } } })).toEqual(offer)
  })

  it('never throws', () => {
    fc.assert(
      fc.property(fc.anything(), (message) => {
        expect(parseSignal(message)).toBe(null)
      }),
    )
  })
})

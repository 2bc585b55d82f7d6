/**
 * What the signalling server may hand to PeerJS: PeerJS trusts its server and keeps whatever comes, this project's peers do
 * neither. Pure: decides on parsed messages.
 */

import * as v from 'valibot'
import { isPeerId, type PeerId } from '../../shared/index.ts'

/** An SDP of one data channel is about 1 KB. */
const SDP_CHARACTERS_MAX = 20_000
const text = (charactersMax: number) => v.pipe(v.string(), v.maxLength(charactersMax))
const peerId = v.custom<PeerId>((value) => typeof value === 'string' && isPeerId(value), 'not a peer id')
const connectionId = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,64}$/))
const sdp = (type: 'offer' | 'answer') => v.object({ type: v.literal(type), sdp: text(SDP_CHARACTERS_MAX) })

const schema = v.variant('type', [
  v.object({ type: v.literal('OPEN') }),
  v.object({ type: v.literal('ID-TAKEN') }),
  v.object({ type: v.literal('INVALID-KEY') }),
  v.object({ type: v.literal('ERROR'), payload: v.object({ msg: text(1_000) }) }),
  v.object({ type: v.literal('EXPIRE'), src: peerId }),
  v.object({
    type: v.literal('OFFER'),
    src: peerId,
    payload: v.object({
      type: v.literal('data'),
      serialization: v.literal('raw'),
      reliable: v.literal(true),
      label: text(64),
      connectionId,
      sdp: sdp('offer'),
    }),
  }),
  v.object({ type: v.literal('ANSWER'), src: peerId, payload: v.object({ type: v.literal('data'), connectionId, sdp: sdp('answer') }) }),
  v.object({
    type: v.literal('CANDIDATE'),
    src: peerId,
    payload: v.object({
      type: v.literal('data'),
      connectionId,
      candidate: v.object({
        candidate: text(1_000),
        sdpMid: v.nullish(text(64)),
        sdpMLineIndex: v.nullish(v.number()),
        usernameFragment: v.nullish(text(256)),
      }),
    }),
  }),
])

export type SignalMessage = v.InferOutput<typeof schema>

/** The message, cut to the fields known here; null for what is dropped. LEAVE is: only the connection itself says that it ended. */
export function parseSignal(message: unknown): SignalMessage | null {
  const parsed = v.safeParse(schema, message)
  return parsed.success ? parsed.output : null
}

/** Mutual authentication of a channel, rules H1 … H11 of SPEC.md: a Link comes out, or nothing anybody could use. */

import { type Link, PROTOCOL_VERSION } from '../protocol/index.ts'
import {
  type Clock,
  concatBytes,
  equalBytes,
  type PeerId,
  type Sha256,
  type Signer,
  TabswarmError,
  utf8Encode,
  type VerifySignature,
} from '../shared/index.ts'
import type { BoundChannel, ByteChannel } from './channel.ts'
import { ChannelLink } from './channelLink.ts'
import { encodeHello, encodeProof, encodeRefusal, type Hello, NONCE_BYTES, parseHello, parseProof } from './handshakeMessages.ts'
import { peerIdOf } from './identity.ts'
import { MessageQueue } from './messageQueue.ts'

/** A few round trips on a bad connection; longer and somebody is playing dead. */
export const HANDSHAKE_DEADLINE_MS = 10_000

const LINK_CONTEXT = 'tabswarm link 1\n'
const ROLE_BYTES = { dialer: 0x64, listener: 0x6c } as const

export type Role = keyof typeof ROLE_BYTES

export interface HandshakeOptions {
  readonly role: Role
  /** The id that was dialed, or that the signalling server announced. */
  readonly expectedPeerId: PeerId
  readonly signer: Signer
  readonly verify: VerifySignature
  readonly sha256: Sha256
  readonly randomBytes: (count: number) => Uint8Array
  readonly clock: Clock
  /** Called when the link that comes out ends. */
  readonly onEnd?: (link: Link) => void
}

/** A link over the channel. Rejects as `prove` does. */
export function authenticate(channel: BoundChannel, options: HandshakeOptions): Promise<ChannelLink> {
  return prove(channel, options, (backlog) => {
    const { expectedPeerId, onEnd } = options
    return new ChannelLink(channel, expectedPeerId, { backlog, ...(onEnd === undefined ? {} : { onEnd }) })
  })
}

/**
 * `use` gets the messages that came behind the handshake, and must listen to the channel before it returns. Rejects with TabswarmError
 * `handshake-failed`, the channel closed and the other side told why; within the deadline.
 */
export async function prove<Value>(
  channel: BoundChannel,
  options: HandshakeOptions,
  use: (backlog: readonly Uint8Array[]) => Value,
): Promise<Value> {
  const queue = new MessageQueue(channel)
  const cancelDeadline = options.clock.after(HANDSHAKE_DEADLINE_MS, () =>
    queue.fail(`[H8] no answer within ${HANDSHAKE_DEADLINE_MS / 1000} s`),
  )
  try {
    await exchange(channel, queue, options)
    return use(queue.takeAll())
  } catch (error) {
    const detail = error instanceof TabswarmError ? error.message : String(error)
    refuse(channel, detail)
    throw new TabswarmError('handshake-failed', `peer ${options.expectedPeerId} could not be authenticated: ${detail}`, { cause: error })
  } finally {
    cancelDeadline()
  }
}

async function exchange(channel: BoundChannel, queue: MessageQueue, options: HandshakeOptions): Promise<void> {
  const { role, signer } = options
  const mine: Hello = { version: PROTOCOL_VERSION, nonce: options.randomBytes(NONCE_BYTES), publicKey: signer.publicKey }
  // The dialer speaks first: a hello that the listener sends at once may reach the dialer before its channel is open, and
  // Chromium 147 loses it. To be deleted when no such version is about.
  if (role === 'dialer') channel.send(encodeHello(mine))
  const theirs = parseHello(await queue.next())
  if (role === 'listener') channel.send(encodeHello(mine))
  if (theirs.version !== PROTOCOL_VERSION)
    throw failure(`[H6] it speaks protocol ${theirs.version}, this peer speaks ${PROTOCOL_VERSION}; reload the older tab`)
  const theirId = await peerIdOf(theirs.publicKey, options.sha256)
  if (equalBytes(theirs.publicKey, signer.publicKey)) throw failure('[H11] it has this peer’s own key')
  if (theirId !== options.expectedPeerId) throw failure(`${role === 'dialer' ? '[H3]' : '[H9]'} its key belongs to peer ${theirId}`)
  const statement = (signerRole: Role) => signedBytes(signerRole, role, mine, theirs, channel)
  channel.send(encodeProof(await signer.sign(statement(role))))
  const proof = parseProof(await queue.next())
  const otherRole = role === 'dialer' ? 'listener' : 'dialer'
  if (!(await options.verify(theirs.publicKey, statement(otherRole), proof)))
    throw failure('[H4] its proof does not fit this connection; somebody may sit in the middle')
  queue.check()
}

/** What `signerRole` signs, as the side with `role` saw it (rule H4). */
function signedBytes(signerRole: Role, role: Role, mine: Hello, theirs: Hello, { binding }: BoundChannel): Uint8Array {
  const order = <Value>(own: Value, other: Value) => (role === 'dialer' ? [own, other] : [other, own])
  return concatBytes([
    utf8Encode(LINK_CONTEXT),
    Uint8Array.of(ROLE_BYTES[signerRole]),
    ...order(mine.nonce, theirs.nonce),
    ...order(mine.publicKey, theirs.publicKey),
    ...order(binding.localFingerprint, binding.remoteFingerprint),
  ])
}

function refuse(channel: ByteChannel, detail: string): void {
  try {
    channel.send(encodeRefusal(detail))
  } catch {
    // The transport has gone already; there is nobody to tell.
  }
  channel.close()
}

function failure(message: string): TabswarmError {
  return new TabswarmError('handshake-failed', message)
}

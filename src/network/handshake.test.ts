import { beforeAll, describe, expect, it } from 'vitest'
import { type Link, PROTOCOL_VERSION } from '../protocol/index.ts'
import { ManualClock, type PeerId, type Signer } from '../shared/index.ts'
import { authenticate, HANDSHAKE_DEADLINE_MS, type HandshakeOptions, type Role } from './handshake.ts'
import { encodeHello, encodeProof } from './handshakeMessages.ts'
import { createIdentity, peerIdOf, sha256Of, signatureVerifier } from './identity.ts'
import { type MemoryChannel, memoryChannelPair } from './memoryChannel.ts'

const { subtle } = globalThis.crypto
const sha256 = sha256Of(subtle)
const randomBytes = (count: number) => globalThis.crypto.getRandomValues(new Uint8Array(count))

interface Person {
  readonly signer: Signer
  readonly peerId: PeerId
}
let alice: Person
let bob: Person
let mallory: Person

async function person(): Promise<Person> {
  const signer = await createIdentity(subtle)
  return { signer, peerId: await peerIdOf(signer.publicKey, sha256) }
}

beforeAll(async () => {
  ;[alice, bob, mallory] = await Promise.all([person(), person(), person()])
})

function options(role: Role, self: Person, expected: Person, clock = new ManualClock()): HandshakeOptions {
  return { role, expectedPeerId: expected.peerId, signer: self.signer, verify: signatureVerifier(subtle), sha256, randomBytes, clock }
}

const refused = (message: RegExp) => ({
  status: 'rejected',
  reason: { reason: 'handshake-failed', message: expect.stringMatching(message) },
})

/** A channel's other end by hand: what it hears, and what it says. */
function byHand(channel: MemoryChannel) {
  const heard: Uint8Array[] = []
  let closed = false
  channel.listen({
    onMessage: (bytes) => heard.push(bytes),
    onLow: () => undefined,
    onClose: () => {
      closed = true
    },
  })
  return {
    heard,
    isClosed: () => closed,
    say: (bytes: Uint8Array) => channel.send(bytes),
    async hears(count: number) {
      for (let turn = 0; heard.length < count && !closed; turn++) {
        if (turn > 1_000) throw new Error(`heard only ${heard.length} messages`)
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
      return heard[count - 1] ?? new Uint8Array()
    },
  }
}

const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes)

describe('the handshake', () => {
  it('[H1] makes a link on both sides that knows the other, and carries frames sent at once', async () => {
    const [a, b] = memoryChannelPair()
    const heard: number[] = []
    const atAlice = authenticate(a, options('dialer', alice, bob)).then((link) => {
      for (const byte of [1, 2, 3]) link.send(Uint8Array.of(byte))
      return link
    })
    const [toBob, toAlice] = await Promise.all([atAlice, authenticate(b, options('listener', bob, alice))])
    expect([toBob.peerId, toAlice.peerId]).toEqual([bob.peerId, alice.peerId])
    toAlice.listen({ onFrame: (frame) => heard.push(...frame), onClose: () => undefined })
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(heard).toEqual([1, 2, 3])
  })

  it('[H10] keeps frames that come right behind the proof, while it is still being verified', async () => {
    const [a, b] = memoryChannelPair()
    let proceed: () => void = () => undefined
    const gate = new Promise<void>((resolve) => {
      proceed = resolve
    })
    const verify = signatureVerifier(subtle)
    const slow = {
      ...options('listener', bob, alice),
      verify: (...parts: Parameters<typeof verify>) => gate.then(() => verify(...parts)),
    }
    const listener = authenticate(b, slow)
    const link = await authenticate(a, options('dialer', alice, bob))
    for (const byte of [7, 8]) link.send(Uint8Array.of(byte))
    await new Promise((resolve) => setTimeout(resolve, 5))
    proceed()
    const heard: number[] = []
    ;(await listener).listen({ onFrame: (frame) => heard.push(...frame), onClose: () => undefined })
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(heard).toEqual([7, 8])
  })

  it('[H3] is refused by the dialer when the key is not the one of the id dialed', async () => {
    const [a, b] = memoryChannelPair()
    const results = await Promise.allSettled([
      authenticate(a, options('dialer', alice, bob)),
      authenticate(b, options('listener', mallory, alice)),
    ])
    expect(results[0]).toMatchObject(refused(/\[H3\] its key belongs to peer/))
    expect(results[1]).toMatchObject(refused(/refused: \[H3\]/))
  })

  it('[H9] is refused by the listener when the key is not the one of the id announced', async () => {
    const [a, b] = memoryChannelPair()
    const results = await Promise.allSettled([
      authenticate(a, options('dialer', mallory, bob)),
      authenticate(b, options('listener', bob, alice)),
    ])
    expect(results[1]).toMatchObject(refused(/\[H9\]/))
  })

  it('[H4] is refused when the two sides see other DTLS certificates: a man in the middle who relays every message', async () => {
    const certificate = (byte: number) => new Uint8Array(32).fill(byte)
    const [a, middleA] = memoryChannelPair({ fingerprints: [certificate(1), certificate(66)] })
    const [middleB, b] = memoryChannelPair({ fingerprints: [certificate(66), certificate(2)] })
    const relay = (from: MemoryChannel, to: MemoryChannel) =>
      from.listen({ onMessage: (bytes) => to.send(bytes), onLow: () => undefined, onClose: () => to.close() })
    relay(middleA, middleB)
    relay(middleB, middleA)
    const results = await Promise.allSettled([
      authenticate(a, options('dialer', alice, bob)),
      authenticate(b, options('listener', bob, alice)),
    ])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(results.some((result) => result.status === 'rejected' && /\[H4\]/.test(String(result.reason)))).toBe(true)
  })

  it('[H4] is made when the same man relays over one certificate pair: the control case', async () => {
    const [a, middleA] = memoryChannelPair()
    const [middleB, b] = memoryChannelPair()
    middleA.listen({ onMessage: (bytes) => middleB.send(bytes), onLow: () => undefined, onClose: () => undefined })
    middleB.listen({ onMessage: (bytes) => middleA.send(bytes), onLow: () => undefined, onClose: () => undefined })
    const links: Link[] = await Promise.all([
      authenticate(a, options('dialer', alice, bob)),
      authenticate(b, options('listener', bob, alice)),
    ])
    expect(links).toHaveLength(2)
  })

  it('[H1] lets the dialer speak first: nothing reaches it before its channel is open', async () => {
    const [a, b] = memoryChannelPair()
    const outcome = authenticate(a, options('listener', alice, bob))
    const other = byHand(b)
    await Promise.resolve()
    const mine = encodeHello({ version: PROTOCOL_VERSION, nonce: randomBytes(32), publicKey: bob.signer.publicKey })
    let heard = false
    const first = other.hears(1).then((message) => {
      heard = true
      return message
    })
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(heard).toBe(false)
    other.say(mine)
    expect((await first)[0]).toBe(0x48)
    other.say(encodeProof(new Uint8Array(64)))
    await expect(outcome).rejects.toThrow(/\[H4\]/)
  })

  it('[H5] refuses a proof of an earlier handshake', async () => {
    const [a, b] = memoryChannelPair()
    const [recorded, honest] = memoryChannelPair()
    // Bob proves himself to Mallory once; she keeps his words and plays them to Alice.
    const first = authenticate(honest, options('listener', bob, mallory))
    const tape = byHand(recorded)
    tape.say(encodeHello({ version: PROTOCOL_VERSION, nonce: randomBytes(32), publicKey: mallory.signer.publicKey }))
    const [hello, proof] = [await tape.hears(1), await tape.hears(2)]
    tape.say(Uint8Array.of(0x50))
    await expect(first).rejects.toThrow(/\[H7\]/)
    const outcome = authenticate(a, options('dialer', alice, bob))
    const impostor = byHand(b)
    impostor.say(hello)
    impostor.say(proof)
    await expect(outcome).rejects.toThrow(/\[H4\]/)
  })

  it('[H5] refuses its own proof reflected, and its own key', async () => {
    const [a, b] = memoryChannelPair()
    const outcome = authenticate(a, options('dialer', alice, alice))
    const mirror = byHand(b)
    mirror.say(await mirror.hears(1))
    await expect(outcome).rejects.toThrow(/\[H11\]/)

    const [c, d] = memoryChannelPair()
    const reflected = authenticate(c, options('dialer', alice, bob))
    const other = byHand(d)
    other.say(encodeHello({ version: PROTOCOL_VERSION, nonce: randomBytes(32), publicKey: bob.signer.publicKey }))
    other.say(await other.hears(2))
    await expect(reflected).rejects.toThrow(/\[H4\]/)
  })

  it('[H6] refuses another version by name, and tells the other side', async () => {
    const [a, b] = memoryChannelPair()
    const outcome = authenticate(a, options('dialer', alice, bob))
    const other = byHand(b)
    other.say(Uint8Array.of(0x48, 4, 0, 99))
    await expect(outcome).rejects.toMatchObject({
      reason: 'handshake-failed',
      message: expect.stringMatching(/\[H6\] it speaks protocol 4, this peer speaks 3/),
    })
    expect(text(await other.hears(2))).toMatch(/^R\[H6\].*4.*3/)
  })

  it.each([
    ['an empty message', Uint8Array.of()],
    ['one byte', Uint8Array.of(0x48)],
    ['a short hello', Uint8Array.of(0x48, 1, 0, 5)],
    ['a long hello', new Uint8Array(101).fill(1).map((_, index) => [0x48, 1, 0][index] ?? 1)],
    ['a proof first', encodeProof(new Uint8Array(64))],
    ['a frame', new Uint8Array(1_000).fill(0x54)],
    [
      'a key that is no point of the curve',
      encodeHello({ version: PROTOCOL_VERSION, nonce: new Uint8Array(32), publicKey: new Uint8Array(65).fill(4) }),
    ],
  ])('[H7] refuses %s, and closes', async (_, bytes) => {
    const [a, b] = memoryChannelPair()
    const outcome = authenticate(a, options('dialer', alice, bob))
    const other = byHand(b)
    other.say(bytes)
    await expect(outcome).rejects.toMatchObject({ reason: 'handshake-failed' })
    await other.hears(9)
    expect(other.isClosed()).toBe(true)
  })

  it('[H7] refuses a forged signature and a proof of wrong length', async () => {
    for (const [proof, message] of [
      [new Uint8Array(64).fill(3), /\[H4\]/],
      [new Uint8Array(63), /\[H7\] a proof of 64 bytes/],
    ] as const) {
      const [a, b] = memoryChannelPair()
      const outcome = authenticate(a, options('dialer', alice, bob))
      const other = byHand(b)
      other.say(encodeHello({ version: PROTOCOL_VERSION, nonce: randomBytes(32), publicKey: bob.signer.publicKey }))
      other.say(encodeProof(proof))
      await expect(outcome).rejects.toThrow(message)
    }
  })

  it('[H8] gives up on silence after 10 s, not before', async () => {
    const clock = new ManualClock()
    const [a, b] = memoryChannelPair()
    let settled = false
    const outcome = authenticate(a, options('dialer', alice, bob, clock)).finally(() => {
      settled = true
    })
    const other = byHand(b)
    clock.advance(HANDSHAKE_DEADLINE_MS - 1)
    await new Promise((resolve) => setTimeout(resolve, 2))
    expect(settled).toBe(false)
    clock.advance(1)
    await expect(outcome).rejects.toThrow(/\[H8\]/)
    await other.hears(9)
    expect(other.isClosed()).toBe(true)
  })

  it('[H10] refuses more than 1 MiB before it is done', async () => {
    const [a, b] = memoryChannelPair()
    const outcome = authenticate(a, options('dialer', alice, bob))
    const other = byHand(b)
    other.say(encodeHello({ version: PROTOCOL_VERSION, nonce: randomBytes(32), publicKey: bob.signer.publicKey }))
    for (let message = 0; message < 9; message++) other.say(new Uint8Array(200_000).fill(0x50))
    await expect(outcome).rejects.toMatchObject({ reason: 'handshake-failed' })
  })

  it('ends when the channel does, in the middle', async () => {
    const [a, b] = memoryChannelPair()
    const outcome = authenticate(a, options('dialer', alice, bob))
    byHand(b)
    b.lose()
    await expect(outcome).rejects.toThrow(/connection was lost/)
  })
})

describe('an identity', () => {
  it('[H2] has the first 16 bytes of the hash of its key as its id', async () => {
    const digest = new Uint8Array(await subtle.digest('SHA-256', new Uint8Array(alice.signer.publicKey)))
    expect(alice.peerId).toBe(Buffer.from(digest.subarray(0, 16)).toString('hex'))
    expect(alice.signer.publicKey).toHaveLength(65)
  })

  it('signs what it alone can sign; malformed keys and signatures are just wrong', async () => {
    const verify = signatureVerifier(subtle)
    const message = Uint8Array.of(1, 2, 3)
    const signature = await alice.signer.sign(message)
    expect(signature).toHaveLength(64)
    expect(await verify(alice.signer.publicKey, message, signature)).toBe(true)
    expect(await verify(bob.signer.publicKey, message, signature)).toBe(false)
    expect(await verify(alice.signer.publicKey, Uint8Array.of(1, 2, 4), signature)).toBe(false)
    expect(await verify(alice.signer.publicKey, message, signature.subarray(1))).toBe(false)
    expect(await verify(new Uint8Array(65), message, signature)).toBe(false)
    expect(await verify(new Uint8Array(3), message, signature)).toBe(false)
  })
})

import { beforeAll, describe, expect, it } from 'vitest'
import type { LinkClosed } from '../../protocol/index.ts'
import { ManualClock, type PeerId, type Signer } from '../../shared/index.ts'
import { authenticate } from '../handshake.ts'
import { createIdentity, peerIdOf, sha256Of, signatureVerifier } from '../identity.ts'
import type { RelaySocket } from './relaySocket.ts'
import { type SealedChannel, sealChannel } from './sealedChannel.ts'
import { deriveSeals } from './sealing.ts'

const { subtle } = globalThis.crypto
const sha256 = sha256Of(subtle)
const randomBytes = (count: number) => globalThis.crypto.getRandomValues(new Uint8Array(count))

/** What a relay in the middle does with the records of one direction; `number` counts from 0, the key first. */
type Passing = (record: Uint8Array<ArrayBuffer>, number: number) => readonly (Uint8Array<ArrayBuffer> | string)[]

/** One end of a relay that lives in this process. */
class RelayEnd implements RelaySocket {
  binaryType = 'blob'
  onopen: ((event: never) => void) | null = null
  onmessage: ((event: never) => void) | null = null
  onclose: ((event: never) => void) | null = null
  onerror: ((event: never) => void) | null = null
  readonly sent: Uint8Array<ArrayBuffer>[] = []
  other: RelayEnd | null = null
  pass: Passing = (record) => [record]
  #ended = false

  send(bytes: Uint8Array<ArrayBuffer>): void {
    const number = this.sent.push(bytes.slice()) - 1
    for (const passed of this.pass(bytes, number)) queueMicrotask(() => this.other?.hear(passed))
  }

  close(): void {
    this.end(1000, '')
    queueMicrotask(() => this.other?.end(1001, 'the connection of the other peer to the relay ended'))
  }

  hear(message: Uint8Array<ArrayBuffer> | string): void {
    if (!this.#ended) this.onmessage?.({ data: typeof message === 'string' ? message : message.slice().buffer } as never)
  }

  end(code: number, reason: string): void {
    if (this.#ended) return
    this.#ended = true
    queueMicrotask(() => this.onclose?.({ code, reason } as never))
  }
}

function relay(passing: { readonly near?: Passing; readonly far?: Passing } = {}): readonly [RelayEnd, RelayEnd] {
  const [near, far] = [new RelayEnd(), new RelayEnd()]
  Object.assign(near, { other: far, pass: passing.near ?? near.pass })
  Object.assign(far, { other: near, pass: passing.far ?? far.pass })
  setTimeout(() => {
    for (const end of [near, far]) end.onopen?.({} as never)
  }, 0)
  return [near, far]
}

const clock = new ManualClock()
const never = () => new AbortController().signal
const seal = (socket: RelaySocket, role: 'dialer' | 'listener', signal = never()) =>
  sealChannel(socket, { role, subtle, sha256, clock, signal })

interface Heard {
  readonly messages: string[]
  readonly ends: LinkClosed[]
}

function hear(channel: SealedChannel): Heard {
  const heard: Heard = { messages: [], ends: [] }
  channel.listen({
    onMessage: (bytes) => heard.messages.push(new TextDecoder().decode(bytes)),
    onLow: () => undefined,
    onClose: (closed) => heard.ends.push(closed),
  })
  return heard
}

const say = (channel: SealedChannel, ...texts: readonly string[]) => {
  for (const text of texts) channel.send(new TextEncoder().encode(text))
}

/** Two ends whose dialer's records go through `near`; says three words and hears what came. */
async function through(near: Passing): Promise<Heard> {
  const [a, b] = relay({ near })
  const [dialer, listener] = await Promise.all([seal(a, 'dialer'), seal(b, 'listener')])
  const heard = hear(listener)
  hear(dialer)
  say(dialer, 'one', 'two', 'three')
  await expect.poll(() => heard.messages.length === 3 || heard.ends.length > 0).toBe(true)
  await new Promise((resolve) => setTimeout(resolve, 20))
  return heard
}

describe('a sealed channel', () => {
  it('[L7] carries messages whole and in order, and the relay reads none of them', async () => {
    const [a, b] = relay()
    const [dialer, listener] = await Promise.all([seal(a, 'dialer'), seal(b, 'listener')])
    const heard = hear(listener)
    say(dialer, 'a secret prompt', 'and more')
    await expect.poll(() => heard.messages).toEqual(['a secret prompt', 'and more'])
    const carried = Buffer.concat([...a.sent, ...b.sent]).toString('latin1')
    expect(carried).not.toMatch(/secret|prompt|more/)
    expect(await dialer.stats()).toMatchObject({ kind: 'relay' })
  })

  it.each<[string, Passing, readonly string[]]>([
    ['passes on all: the control case', (record) => [record], ['one', 'two', 'three']],
    ['changes a byte', (record, number) => [number === 2 ? record.map((byte, at) => (at === 1 ? byte ^ 1 : byte)) : record], ['one']],
    ['repeats a record', (record, number) => (number === 2 ? [record, record] : [record]), ['one', 'two']],
    ['leaves one out', (record, number) => (number === 2 ? [] : [record]), ['one']],
    ['cuts one short', (record, number) => [number === 2 ? record.slice(0, -1) : record], ['one']],
    ['sends an empty one', (record, number) => (number === 2 ? [new Uint8Array(0)] : [record]), ['one']],
    ['sends a text', (record, number) => (number === 2 ? ['hello'] : [record]), ['one']],
    ['sends one that is too long', (record, number) => (number === 2 ? [new Uint8Array(300_000)] : [record]), ['one']],
  ])('[L7] where the relay %s', async (_, near, messages) => {
    const heard = await through(near)
    expect(heard.messages).toEqual(messages)
    expect(heard.ends.map(({ reason }) => reason)).toEqual(messages.length === 3 ? [] : ['garbage'])
  })

  it('[L7] where the relay exchanges two records', async () => {
    let held: Uint8Array<ArrayBuffer> | null = null
    const heard = await through((record, number) => {
      if (number === 2) held = record
      return number === 2 ? [] : number === 3 && held !== null ? [record, held] : [record]
    })
    expect(heard).toMatchObject({ messages: ['one'], ends: [{ reason: 'garbage' }] })
  })

  it('[L7] where the relay sends back what an end said', async () => {
    const [a, b] = relay()
    const [dialer] = await Promise.all([seal(a, 'dialer'), seal(b, 'listener')])
    const heard = hear(dialer)
    say(dialer, 'one')
    await expect.poll(() => a.sent.length).toBe(2)
    a.hear(a.sent[1] ?? '')
    await expect.poll(() => heard.ends).toMatchObject([{ reason: 'garbage' }])
  })

  it('[L8] tells a close of the other side from a relay that went away, and says why that did', async () => {
    const [a, b] = relay()
    const [dialer, listener] = await Promise.all([seal(a, 'dialer'), seal(b, 'listener')])
    const heard = hear(listener)
    say(dialer, 'last')
    dialer.close()
    await expect.poll(() => heard.ends).toMatchObject([{ reason: 'remote' }])
    expect(heard.messages).toEqual(['last'])

    const [c, d] = relay()
    const [, cut] = await Promise.all([seal(c, 'dialer'), seal(d, 'listener')])
    const ended = hear(cut)
    d.end(1001, 'the coordinator is shutting down')
    await expect
      .poll(() => ended.ends)
      .toEqual([{ reason: 'lost', detail: expect.stringMatching(/relay ended: the coordinator is shutting down/) }])
  })

  it('[L8] counts as buffered what the other end has not taken, and measures its round trip', async () => {
    let isHeld = true
    const held: Uint8Array<ArrayBuffer>[] = []
    const [a, b] = relay({
      far: (record, number) => {
        if (number === 0 || !isHeld) return [record]
        held.push(record)
        return []
      },
    })
    const [dialer, listener] = await Promise.all([seal(a, 'dialer'), seal(b, 'listener')])
    const heard = hear(listener)
    let lows = 0
    dialer.listen({ onMessage: () => undefined, onLow: () => lows++, onClose: () => undefined })
    for (let message = 0; message < 10; message++) dialer.send(new Uint8Array(20_000))
    expect(dialer.bufferedBytes()).toBe(200_000)
    await expect.poll(() => heard.messages.length).toBe(10)
    await expect.poll(() => held.length).toBeGreaterThan(2)
    expect([dialer.bufferedBytes(), lows]).toEqual([200_000, 0])
    clock.advance(80)
    isHeld = false
    for (const record of held) a.hear(record)
    await expect.poll(() => lows).toBe(1)
    expect(dialer.bufferedBytes()).toBeLessThanOrEqual(64 * 1024)
    expect((await dialer.stats()).roundTripMs).toBe(80)
  })

  it.each<[string, Uint8Array<ArrayBuffer>]>([
    ['no key', new Uint8Array(0)],
    ['a short key', Uint8Array.of(0x4b, 4, 1)],
    ['a key that is no point of the curve', new Uint8Array(66).fill(4).map((byte, at) => (at === 0 ? 0x4b : byte))],
    ['another message', new Uint8Array(66).fill(0x48)],
  ])('[L6] is not made where the other end sends %s', async (_, key) => {
    const [a, b] = relay({ far: (record, number) => [number === 0 ? key : record] })
    const far = seal(b, 'listener').catch(() => null)
    await expect(seal(a, 'dialer')).rejects.toMatchObject({ reason: 'unreachable', message: expect.stringMatching(/\[L6\]/) })
    await far
  })

  it('[L6] is given up by its signal, and by the end of its socket', async () => {
    const abort = new AbortController()
    const waiting = seal(new RelayEnd(), 'dialer', abort.signal)
    abort.abort(new Error('given up here'))
    await expect(waiting).rejects.toThrow('given up here')
    const socket = new RelayEnd()
    const cut = seal(socket, 'dialer')
    socket.end(1006, '')
    await expect(cut).rejects.toThrow(/closed with code 1006/)
  })

  it('[L8] closes on a record of unknown kind and on acknowledgements of what was never sent', async () => {
    for (const plain of [Uint8Array.of(1, 2, 0x99), Uint8Array.of(9, 0, 0, 0, 0x41), Uint8Array.of(0x41)]) {
      const [a, b] = relay()
      let secret: Uint8Array = new Uint8Array()
      const spying = new Proxy(subtle, {
        get: (target, name) => {
          if (name !== 'deriveBits') return Reflect.get(target, name).bind(target)
          return async (...args: Parameters<SubtleCrypto['deriveBits']>) => {
            const bits = await target.deriveBits(...args)
            if (secret.byteLength === 0) secret = new Uint8Array(bits)
            return bits
          }
        },
      })
      const [, listener] = await Promise.all([
        sealChannel(a, { role: 'dialer', subtle: spying, sha256, clock, signal: never() }),
        seal(b, 'listener'),
      ])
      const heard = hear(listener)
      const [dialerKey, listenerKey] = [a, b].map((end) => (end.sent[0] ?? new Uint8Array()).slice(1))
      const agreement = { secret, dialerKey: dialerKey ?? secret, listenerKey: listenerKey ?? secret }
      b.hear(await (await deriveSeals(subtle, 'dialer', agreement)).seal(plain))
      await expect.poll(() => heard.ends).toMatchObject([{ reason: 'garbage', detail: expect.stringMatching(/\[L8\]/) }])
    }
  })
})

describe('the handshake over a sealed channel', () => {
  let alice: { signer: Signer; peerId: PeerId }
  let bob: { signer: Signer; peerId: PeerId }
  beforeAll(async () => {
    const person = async () => {
      const signer = await createIdentity(subtle)
      return { signer, peerId: await peerIdOf(signer.publicKey, sha256) }
    }
    ;[alice, bob] = [await person(), await person()]
  })
  const prove = (channel: SealedChannel, role: 'dialer' | 'listener', self: Signer, expectedPeerId: PeerId) =>
    authenticate(channel, { role, expectedPeerId, signer: self, verify: signatureVerifier(subtle), sha256, randomBytes, clock })

  it('[H4] [L6] makes a link where both ends share their keys: the control case', async () => {
    const [a, b] = relay()
    const [near, far] = await Promise.all([seal(a, 'dialer'), seal(b, 'listener')])
    const links = await Promise.all([prove(near, 'dialer', alice.signer, bob.peerId), prove(far, 'listener', bob.signer, alice.peerId)])
    expect(links.map(({ peerId }) => peerId)).toEqual([bob.peerId, alice.peerId])
  })

  it('[H4] [L6] is refused where a relay agrees on keys with each end, and passes on what they say', async () => {
    const [a, toAlice] = relay()
    const [toBob, b] = relay()
    const [near, middleA, middleB, far] = await Promise.all([
      seal(a, 'dialer'),
      seal(toAlice, 'listener'),
      seal(toBob, 'dialer'),
      seal(b, 'listener'),
    ])
    const pass = (from: SealedChannel, to: SealedChannel) =>
      from.listen({ onMessage: (bytes) => to.send(bytes), onLow: () => undefined, onClose: () => to.close() })
    pass(middleA, middleB)
    pass(middleB, middleA)
    const outcomes = await Promise.allSettled([
      prove(near, 'dialer', alice.signer, bob.peerId),
      prove(far, 'listener', bob.signer, alice.peerId),
    ])
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(outcomes.some((outcome) => outcome.status === 'rejected' && /\[H4\]/.test(String(outcome.reason)))).toBe(true)
  })
})

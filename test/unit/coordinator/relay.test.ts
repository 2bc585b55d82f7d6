/** Relays over real sockets of a real server: the suite that every link passes, who may have one, and how they end. */

import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { RELAYS_MAX, RELAYS_PER_PEER_MAX } from '../../../src/coordinator/server/limits.ts'
import { RelayServer } from '../../../src/coordinator/server/relayServer.ts'
import { createIdentity, peerIdOf } from '../../../src/network/index.ts'
import { linkSuite } from '../../../src/network/link.suite.ts'
import { RelayNetwork } from '../../../src/network/relay/relayNetwork.ts'
import type { RelaySocket } from '../../../src/network/relay/relaySocket.ts'
import type { Link, LinkClosed, ServerMessage } from '../../../src/protocol/index.ts'
import { ManualClock, type ModelId, type PeerId } from '../../../src/shared/index.ts'
import { clock, type Identified, identified, pledge, serveNext, sha256, startTestServer, type TestServer, verify } from './serverWorld.ts'

const { subtle } = crypto
const randomBytes = (count: number) => crypto.getRandomValues(new Uint8Array(count))

interface RelayPeer {
  readonly peerId: PeerId
  readonly network: RelayNetwork
  readonly incoming: Link[]
}

/** A relay server alone, that takes everybody for identified and joined. */
class RelayWorld {
  readonly relays = new RelayServer({ clock, randomBytes, enabled: true })
  /** How many have come. */
  requests = 0
  readonly #http: Server
  readonly #peers = new Map<PeerId, RelayNetwork>()

  private constructor(http: Server) {
    this.#http = http
    http.on('upgrade', (request, socket, head) => {
      if (this.relays.upgrade(request, socket, head) !== null) socket.destroy()
    })
  }

  static async open(): Promise<RelayWorld> {
    const http = createServer()
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
    return new RelayWorld(http)
  }

  /** `askAfterMs`: how long a peer's request is on its way. */
  async join(askAfterMs = 5): Promise<RelayPeer> {
    const signer = await createIdentity(subtle)
    const peerId = await peerIdOf(signer.publicKey, sha256)
    const incoming: Link[] = []
    const { port } = this.#http.address() as AddressInfo
    const network = new RelayNetwork({
      signer,
      verify,
      sha256,
      subtle,
      clock,
      randomBytes,
      openSocket: (path) => new WebSocket(`ws://127.0.0.1:${port}${path}`) as unknown as RelaySocket,
      request: (to, heardOf) => {
        setTimeout(() => this.#request(peerId, to, heardOf), askAfterMs)
        return true
      },
      onIncoming: (link) => incoming.push(link),
    })
    this.#peers.set(peerId, network)
    return { peerId, network, incoming }
  }

  close(): void {
    this.relays.close()
    this.#http.close()
    this.#http.closeAllConnections()
  }

  #request(from: PeerId, to: PeerId, heardOf: number): void {
    this.requests++
    this.relays.request(from, to, heardOf, {
      isIdentified: (peerId) => this.#peers.has(peerId),
      areJoined: () => true,
      tell: (peerId, message) => this.#tell(peerId, message),
    })
  }

  #tell(peerId: PeerId, message: ServerMessage): void {
    if (message.type === 'relay') this.#peers.get(peerId)?.handleRelay(message)
    else if (message.type === 'relay-refused') this.#peers.get(peerId)?.handleRefused(message.peerId, message.message)
  }
}

async function until(done: () => boolean): Promise<void> {
  for (let turn = 0; !done(); turn++) {
    if (turn > 20_000) throw new Error('never came')
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

const never = () => new AbortController().signal
const endOf = (link: Link) => new Promise<LinkClosed>((resolve) => link.listen({ onFrame: () => undefined, onClose: resolve }))

async function linked(world: RelayWorld): Promise<readonly [Link, Link, RelayPeer, RelayPeer]> {
  const [near, far] = [await world.join(), await world.join()]
  const link = await near.network.dial(far.peerId, never())
  await until(() => far.incoming.length === 1)
  const [other] = far.incoming
  if (other === undefined) throw new Error('nobody came')
  return [link, other, near, far]
}

describe('a link over the relay', () => {
  let world: RelayWorld
  beforeAll(async () => {
    world = await RelayWorld.open()
  })
  afterAll(() => world.close())

  for (const { name, run } of linkSuite) {
    it(name, async () => {
      const [near, far] = await linked(world)
      await run({ near, far, until })
      near.close()
      far.close()
    })
  }

  it('says what it is, and how long a round trip takes', async () => {
    const [near, far] = await linked(world)
    const heard: Uint8Array[] = []
    far.listen({ onFrame: (frame) => heard.push(frame), onClose: () => undefined })
    near.send(new Uint8Array(100))
    await until(() => heard.length === 1)
    await expect.poll(async () => (await near.stats()).roundTripMs).toEqual(expect.any(Number))
    expect(await near.stats()).toMatchObject({ kind: 'relay' })
    near.close()
  })

  for (const askAfterMs of [0, 5, 200])
    it(`[L2] is one for both when both dial at once, and a word takes ${askAfterMs} ms`, async () => {
      const [a, b] = [await world.join(), await world.join(askAfterMs)]
      const before = world.requests
      const [fromA, fromB] = await Promise.all([a.network.dial(b.peerId, never()), b.network.dial(a.peerId, never())])
      expect([fromA.peerId, fromB.peerId]).toEqual([b.peerId, a.peerId])
      await until(() => world.requests === before + 2)
      await until(() => a.incoming.length + b.incoming.length === 1)
      const heard: number[] = []
      fromB.listen({ onFrame: (frame) => heard.push(...frame), onClose: () => undefined })
      fromA.send(Uint8Array.of(7))
      await until(() => heard.length === 1)
      expect(a.network.linkTo(b.peerId)).toBe(fromA)
      expect(b.network.linkTo(a.peerId)).toBe(fromB)
      fromA.close()
    })

  it('[L2] takes the place of an older one, whose ends are told', async () => {
    const [near, far, a, b] = await linked(world)
    const ends = [endOf(near), endOf(far)]
    await a.network.dial(b.peerId, never())
    await until(() => b.incoming.length === 2)
    expect((await Promise.all(ends)).map(({ reason }) => reason)).toEqual(['lost', 'lost'])
    expect(b.network.linkTo(a.peerId)).toBe(b.incoming[1])
  })

  it('[L5] is told that the other side has left the coordinator', async () => {
    const [near, far, a] = await linked(world)
    const ends = [endOf(near), endOf(far)]
    world.relays.forbid(a.peerId)
    expect(await Promise.all(ends)).toEqual([
      { reason: 'lost', detail: expect.stringMatching(/has left the coordinator/) },
      { reason: 'lost', detail: expect.stringMatching(/has left the coordinator/) },
    ])
  })

  it('[L5] is told that the coordinator shuts down, and is made anew when it is back', async () => {
    const old = await RelayWorld.open()
    const [near] = await linked(old)
    const end = endOf(near)
    old.close()
    expect(await end).toEqual({ reason: 'lost', detail: expect.stringMatching(/relay ended: the coordinator is shutting down/) })
    const [again] = await linked(world)
    again.close()
  })

  it('[H3] is refused where somebody else comes to the relay', async () => {
    const [a, b, impostor] = [await world.join(), await world.join(), await world.join()]
    const dialing = a.network.dial(b.peerId, never())
    // Takes b's place before b comes.
    b.network.handleRelay = (message) => impostor.network.handleRelay(message)
    await expect(dialing).rejects.toMatchObject({ reason: 'handshake-failed', message: expect.stringMatching(/\[H3\]/) })
    expect(impostor.incoming).toEqual([])
  })

  it('[L2] is given up when nobody waits, asked for anew when somebody does again, and refused to who is closing', async () => {
    const [a, b] = [await world.join(), await world.join()]
    const abort = new AbortController()
    const dialing = a.network.dial(b.peerId, abort.signal)
    abort.abort()
    // In the same turn, so that the coordinator's word on the first may come to the second.
    const again = a.network.dial(b.peerId, never())
    await expect(dialing).rejects.toMatchObject({ reason: 'cancelled' })
    expect((await again).peerId).toBe(b.peerId)
    a.network.destroy()
    await expect(a.network.dial(b.peerId, never())).rejects.toMatchObject({ reason: 'cancelled' })
  })
})

describe('bounds of relays', () => {
  const id = (number: number) => number.toString(16).padStart(32, '0') as PeerId

  function setUp() {
    const told: [PeerId, ServerMessage][] = []
    const relays = new RelayServer({ clock: new ManualClock(), randomBytes, enabled: true })
    const ports = {
      isIdentified: () => true,
      areJoined: () => true,
      tell: (to: PeerId, message: ServerMessage) => told.push([to, message]),
    }
    return { ask: (from: number, to: number, heardOf = 0) => relays.request(id(from), id(to), heardOf, ports), told }
  }

  it('[L4] gives a peer so many relays and no more, whoever asks', () => {
    const { ask, told } = setUp()
    for (let other = 1; other <= RELAYS_PER_PEER_MAX; other++) ask(other % 2 === 0 ? 0 : other, other % 2 === 0 ? other : 0)
    expect(told.map(([, { type }]) => type)).toEqual(Array.from({ length: 2 * RELAYS_PER_PEER_MAX }, () => 'relay'))
    ask(0, 99)
    ask(99, 0)
    expect(told.slice(-2)).toMatchObject([
      [id(0), { type: 'relay-refused', reason: 'too-many-relays' }],
      [id(99), { type: 'relay-refused', reason: 'too-many-relays' }],
    ])
    ask(98, 99)
    expect(told.at(-1)?.[1].type).toBe('relay')
  })

  it('[L2] gives who asks again a new one, and who is asked meanwhile the one that it was told of', () => {
    const { ask, told } = setUp()
    const tokens = () => told.map(([, message]) => (message.type === 'relay' ? message.token : message.type))
    ask(0, 1)
    ask(1, 0)
    expect(told).toHaveLength(2)
    ask(0, 1)
    expect(new Set(tokens()).size).toBe(4)
    expect(told.at(-1)).toMatchObject([id(0), { type: 'relay', role: 'dialer' }])
  })

  it('[L4] gives so many in all', () => {
    const { ask, told } = setUp()
    for (let pair = 0; pair < RELAYS_MAX; pair++) ask(2 * pair, 2 * pair + 1)
    expect(told.some(([, { type }]) => type === 'relay-refused')).toBe(false)
    ask(5_000, 5_001)
    expect(told.at(-1)).toMatchObject([id(5_000), { type: 'relay-refused', reason: 'relay-full' }])
  })
})

describe('who may relay', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer()
  })
  afterAll(() => server.close())

  const tryToken = (token: string, options: { readonly origin?: string } = {}) => {
    const socket = new WebSocket(`${server.url.replace(/^http/, 'ws')}relay?token=${token}`, options)
    socket.on('error', () => undefined)
    return new Promise<number | WebSocket>((resolve) => {
      socket.on('open', () => resolve(socket))
      socket.on('unexpected-response', (_, { statusCode }) => resolve(statusCode ?? 0))
    })
  }

  /** Two volunteers and a requester with an open session over both. */
  async function session(): Promise<readonly [Identified, Identified, Identified]> {
    const [first, second, driver] = [await identified(server.control), await identified(server.control), await identified(server.control)]
    first.client.send(pledge())
    await serveNext(first.client)
    second.client.send(pledge())
    await serveNext(second.client)
    await serveNext(first.client)
    driver.client.send({ type: 'admit', requestId: 'r', modelId: server.modelId as ModelId, promptTokens: 5, maxTokens: 5 })
    await driver.client.next('admitted')
    return [first, second, driver]
  }

  it('[L1] is two peers of one open session, and nobody else', async () => {
    const [first, second, driver] = await session()
    const [stranger, other] = [await identified(server.control), await identified(server.control)]
    for (const [from, to, reason] of [
      [stranger, other, 'no-session'],
      [stranger, first, 'no-session'],
      [first, stranger, 'no-session'],
      [driver, driver, 'unknown-peer'],
    ] as const) {
      from.client.send({ type: 'relay', peerId: to.peerId, heardOf: 0 })
      expect(await from.client.next('relay-refused')).toMatchObject({ peerId: to.peerId, reason })
    }
    stranger.client.send({ type: 'relay', peerId: 'f'.repeat(32) as PeerId, heardOf: 0 })
    expect(await stranger.client.next('relay-refused')).toMatchObject({ reason: 'unknown-peer' })
    for (const [from, to] of [
      [driver, first],
      [second, first],
    ] as const) {
      from.client.send({ type: 'relay', peerId: to.peerId, heardOf: 0 })
      expect(await from.client.next('relay')).toMatchObject({ peerId: to.peerId, role: 'dialer' })
      expect(await to.client.next('relay')).toMatchObject({ peerId: from.peerId, role: 'listener' })
    }
    for (const { client } of [first, second, driver, stranger, other]) client.socket.close()
  })

  it('[L2] is who has the token, once, from a page of the coordinator; both sockets end with the control socket', async () => {
    const [first, second, driver] = await session()
    driver.client.send({ type: 'relay', peerId: first.peerId, heardOf: 0 })
    const [mine, theirs] = [await driver.client.next('relay'), await first.client.next('relay')]
    expect(mine.token).not.toBe(theirs.token)
    for (const token of ['', 'guess', mine.token.slice(1)]) expect(await tryToken(token)).toBe(401)
    expect(await tryToken(mine.token, { origin: 'https://evil.example' })).toBe(403)
    const [near, far] = [await tryToken(mine.token), await tryToken(theirs.token)]
    if (typeof near === 'number' || typeof far === 'number') throw new Error('the relay did not open')
    expect(await tryToken(mine.token)).toBe(401)
    const heard = new Promise((resolve) => far.on('message', (data) => resolve(data)))
    near.send(Uint8Array.of(1, 2, 3))
    expect(await heard).toEqual(Buffer.of(1, 2, 3))
    const ends = [near, far].map((socket) => new Promise((resolve) => socket.on('close', resolve)))
    driver.client.socket.close()
    expect(await Promise.all(ends)).toEqual([1008, 1008])
    for (const { client } of [first, second]) client.socket.close()
  })

  it('[L2] is cut off for a message longer than a sealed frame, and for a text', async () => {
    const [first, second, driver] = await session()
    for (const [message, code] of [
      [new Uint8Array(300_000), 1009],
      ['text', 1003],
    ] as const) {
      driver.client.send({ type: 'relay', peerId: first.peerId, heardOf: 0 })
      const near = await tryToken((await driver.client.next('relay')).token)
      const far = await tryToken((await first.client.next('relay')).token)
      if (typeof near === 'number' || typeof far === 'number') throw new Error('the relay did not open')
      const end = new Promise((resolve) => near.on('close', resolve))
      near.send(message)
      expect(await end).toBe(code)
    }
    for (const { client } of [first, second, driver]) client.socket.close()
  })

  it('[L1] is nobody where the operator has switched relays off', async () => {
    const closed = await startTestServer({ paths: { stunUrls: [], turn: null, iceTransportPolicy: 'all', relay: false } })
    const [a, b] = [await identified(closed.control), await identified(closed.control)]
    expect(a.welcome.paths.relay).toBe(false)
    a.client.send({ type: 'relay', peerId: b.peerId, heardOf: 0 })
    expect(await a.client.next('relay-refused')).toMatchObject({ reason: 'relay-off' })
    for (const { client } of [a, b]) client.socket.close()
    await closed.close()
  })
})

/** Signalling: only peers with a control socket, each under its own id, and nothing but what PeerJS needs. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { type Identified, identified, startTestServer, type TestServer } from './serverWorld.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

interface Envelope {
  readonly type: string
  readonly src?: string
  readonly dst?: string
  readonly payload?: unknown
}

class SignalClient {
  readonly socket: WebSocket
  readonly opened: Promise<boolean>
  readonly closed: Promise<number>
  readonly #inbox: Envelope[] = []
  #wake: () => void = () => undefined

  constructor(id: string, token: string, options: { readonly origin?: string } = {}) {
    const url = `${server.url.replace(/^http/, 'ws')}signal/peerjs?key=peerjs&id=${id}&token=${token}&version=1.5.5`
    this.socket = new WebSocket(url, options)
    this.opened = new Promise((resolve) => {
      this.socket.on('open', () => resolve(true))
      this.socket.on('error', () => resolve(false))
    })
    this.closed = new Promise((resolve) => this.socket.on('close', resolve))
    this.socket.on('message', (data) => {
      this.#inbox.push(JSON.parse(data.toString()))
      this.#wake()
    })
  }

  async next(): Promise<Envelope> {
    for (;;) {
      const message = this.#inbox.shift()
      if (message !== undefined) return message
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  send(message: unknown): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message))
  }
}

async function connect({ peerId, welcome }: Identified): Promise<SignalClient> {
  const client = new SignalClient(peerId, welcome.signalToken)
  expect(await client.next()).toEqual({ type: 'OPEN' })
  return client
}

describe('[C6] signalling', () => {
  it('opens for the id and token of a control socket, and for nothing else', async () => {
    const [mine, other] = [await identified(server.control), await identified(server.control)]
    expect(await new SignalClient(mine.peerId, mine.welcome.signalToken).opened).toBe(true)
    for (const [id, token] of [
      [mine.peerId, other.welcome.signalToken],
      [mine.peerId, ''],
      [mine.peerId, 'guess'],
      ['f'.repeat(32), mine.welcome.signalToken],
      ['', ''],
      ['__proto__', 'x'],
    ] as const)
      expect(await new SignalClient(id, token).opened).toBe(false)
    expect(await new SignalClient(mine.peerId, mine.welcome.signalToken, { origin: 'https://evil.example' }).opened).toBe(false)
    for (const { client } of [mine, other]) client.socket.close()
  })

  it('closes with the control socket, and its token is void from then on', async () => {
    const mine = await identified(server.control)
    const signal = await connect(mine)
    mine.client.socket.close()
    expect(await signal.closed).toBe(1008)
    expect(await new SignalClient(mine.peerId, mine.welcome.signalToken).opened).toBe(false)
  })

  it('carries offers, answers and candidates under the true id of the sender', async () => {
    const [a, b] = [await identified(server.control), await identified(server.control)]
    const [signalA, signalB] = [await connect(a), await connect(b)]
    signalA.send({ type: 'HEARTBEAT' })
    signalA.send({ type: 'OFFER', src: b.peerId, dst: b.peerId, payload: { sdp: 'x' } })
    expect(await signalB.next()).toEqual({ type: 'OFFER', src: a.peerId, dst: b.peerId, payload: { sdp: 'x' } })
    signalB.send({ type: 'ANSWER', dst: a.peerId, payload: { sdp: 'y' } })
    signalB.send({ type: 'CANDIDATE', dst: a.peerId, payload: { candidate: 'z' } })
    expect(await signalA.next()).toEqual({ type: 'ANSWER', src: b.peerId, dst: a.peerId, payload: { sdp: 'y' } })
    expect(await signalA.next()).toEqual({ type: 'CANDIDATE', src: b.peerId, dst: a.peerId, payload: { candidate: 'z' } })
    for (const { client } of [a, b]) client.socket.close()
  })

  it('says at once that a stranger is not there, and waits for a peer that is about to come', async () => {
    const [a, b] = [await identified(server.control), await identified(server.control)]
    const signalA = await connect(a)
    const nobody = 'f'.repeat(32)
    signalA.send({ type: 'OFFER', dst: nobody, payload: {} })
    expect(await signalA.next()).toEqual({ type: 'EXPIRE', src: nobody, dst: a.peerId })
    signalA.send({ type: 'OFFER', dst: b.peerId, payload: { sdp: 'early' } })
    signalA.send({ type: 'OFFER', dst: nobody, payload: {} })
    await signalA.next() // By now the early offer has come.
    const signalB = await connect(b)
    expect(await signalB.next()).toMatchObject({ type: 'OFFER', src: a.peerId, payload: { sdp: 'early' } })
    signalA.send({ type: 'CANDIDATE', dst: b.peerId, payload: {} })
    expect(await signalB.next()).toMatchObject({ type: 'CANDIDATE' })
    b.client.socket.close()
    a.client.socket.close()
  })

  it('tells the waiting that a peer has gone', async () => {
    const [a, b] = [await identified(server.control), await identified(server.control)]
    const signalA = await connect(a)
    signalA.send({ type: 'OFFER', dst: b.peerId, payload: {} })
    signalA.send({ type: 'OFFER', dst: 'f'.repeat(32), payload: {} })
    await signalA.next()
    b.client.socket.close()
    expect(await signalA.next()).toEqual({ type: 'EXPIRE', src: b.peerId, dst: a.peerId })
    a.client.socket.close()
  })

  it.each([
    ['no JSON', 'hello'],
    ['null', 'null'],
    ['an unknown type', { type: 'EXPIRE', dst: '0'.repeat(32) }],
    ['an offer to nobody', { type: 'OFFER', payload: {} }],
    ['an offer to a wrong id', { type: 'OFFER', dst: '../x', payload: {} }],
  ])('closes on %s', async (_, message) => {
    const mine = await identified(server.control)
    const signal = await connect(mine)
    signal.send(message)
    expect(await signal.closed).toBe(1008)
    mine.client.socket.close()
  })

  it('closes on oversized and binary messages', async () => {
    const mine = await identified(server.control)
    const first = await connect(mine)
    first.send('x'.repeat(100_000))
    expect(await first.closed).toBe(1009)
    const second = await connect(mine)
    second.socket.send(new Uint8Array(8))
    expect(await second.closed).toBe(1008)
    mine.client.socket.close()
  })

  it('closes on a flood', async () => {
    const mine = await identified(server.control)
    const signal = await connect(mine)
    for (let message = 0; message < 5_000; message++) signal.send({ type: 'HEARTBEAT' })
    expect(await signal.closed).toBe(1008)
    mine.client.socket.close()
  })

  it('answers 404 everywhere else', async () => {
    const sockets = ['signal', 'signal/', 'signal/other', 'nowhere', 'control/x'].map(
      (path) => new WebSocket(server.url.replace(/^http/, 'ws') + path),
    )
    const errors = await Promise.all(sockets.map((socket) => new Promise<Error>((resolve) => socket.on('error', resolve))))
    expect(errors.map((error) => error.message)).toEqual(sockets.map(() => 'Unexpected server response: 404'))
  })
})

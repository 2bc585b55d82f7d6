/** The control socket with real sockets: who gets in, who is thrown out and told why, and the way from pledge to grant. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { UNIDENTIFIED_PER_ADDRESS_MAX } from '../../../src/coordinator/server/limits.ts'
import { TURN_RENEW_MS } from '../../../src/coordinator/server/paths.ts'
import { createIdentity, peerIdOf } from '../../../src/network/index.ts'
import { CONTROL_MESSAGE_BYTES_MAX, certifyPeer, openGrant, PROTOCOL_VERSION } from '../../../src/protocol/index.ts'
import { type ModelId, toBase64Url } from '../../../src/shared/index.ts'
import { Client, identified, identifyMessage, pledge, serveNext, sha256, startTestServer, type TestServer, verify } from './serverWorld.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

const newKey = () => createIdentity(crypto.subtle)

/** Reads the last words of the server. */
async function refusal(client: Client) {
  const error = await client.next('error')
  expect(await client.closed).toBe(1008)
  return error
}

describe('identification', () => {
  it('[C1] [H2] challenges first, and welcomes a proven key under its id', async () => {
    const { client, peerId, welcome } = await identified(server.control)
    expect(welcome).toMatchObject({
      peerId,
      signalPath: '/signal',
      paths: { iceServers: [], relay: true, expiresAtMs: null },
      defaultModelId: server.modelId,
    })
    client.socket.close()
  })

  it('[C2] refuses a signature of another key, of another challenge, and garbage', async () => {
    const [signer, other] = [await newKey(), await newKey()]
    const first = new Client(server.control)
    const challenge = await first.next('challenge')
    first.send({ ...(await identifyMessage(challenge, signer)), publicKey: toBase64Url(other.publicKey) })
    expect(await refusal(first)).toMatchObject({ reason: 'bad-signature' })

    const second = new Client(server.control)
    await second.next('challenge')
    second.send(await identifyMessage(challenge, signer))
    expect(await refusal(second)).toMatchObject({ reason: 'bad-signature' })

    const third = new Client(server.control)
    const fine = await identifyMessage(await third.next('challenge'), signer)
    third.send({ ...fine, publicKey: 'AAAA' })
    expect(await refusal(third)).toMatchObject({ reason: 'bad-signature' })
  })

  it('[I4] takes a certificate of an account for its own peer, and refuses any other by name', async () => {
    const [signer, account] = [await newKey(), await newKey()]
    const identify = async (certificate: Awaited<ReturnType<typeof certifyPeer>>) => {
      const client = new Client(server.control)
      client.send({ ...(await identifyMessage(await client.next('challenge'), signer)), certificate })
      return client
    }
    const peerId = await peerIdOf(signer.publicKey, sha256)
    const client = await identify(await certifyPeer(peerId, account, Date.now()))
    expect(await client.next('welcome')).toMatchObject({ peerId })
    const others = await peerIdOf(account.publicKey, sha256)
    for (const certificate of [
      await certifyPeer(others, account, Date.now()),
      await certifyPeer(peerId, account, Date.now() - 24 * 3_600_000),
    ])
      expect(await refusal(await identify(certificate))).toMatchObject({ reason: 'bad-certificate' })
    client.socket.close()
  })

  it('[C4] refuses another protocol version by name', async () => {
    const client = new Client(server.control)
    const message = await identifyMessage(await client.next('challenge'), await newKey())
    client.send({ ...message, protocol: 99 })
    expect(await refusal(client)).toMatchObject({
      reason: 'protocol-version',
      message: expect.stringMatching(new RegExp(`protocol ${PROTOCOL_VERSION}, .*99`)),
    })
  })

  it.each([
    ['a message before identify', () => JSON.stringify({ type: 'leave' }), /leave before identify/],
    ['text that is no JSON', () => 'hello', /not JSON/],
    ['an unknown message', () => '{"type":"shutdown"}', /type/],
    ['a field too many', () => '{"type":"leave","force":true}', /force/],
    ['an empty message', () => '', /not JSON/],
  ])('[C3] refuses %s', async (_, text, message) => {
    const client = new Client(server.control)
    await client.next('challenge')
    client.socket.send(text())
    expect(await refusal(client)).toMatchObject({ reason: 'protocol', message: expect.stringMatching(message) })
  })

  it('[C3] refuses a second identify, also while the first is being checked', async () => {
    const client = new Client(server.control)
    const message = await identifyMessage(await client.next('challenge'), await newKey())
    client.send(message)
    client.send(message)
    expect(await refusal(client)).toMatchObject({ reason: 'protocol', message: expect.stringMatching(/second identify/) })
  })

  it('[C3] refuses binary messages', async () => {
    const client = new Client(server.control)
    await client.next('challenge')
    client.socket.send(new Uint8Array([1, 2, 3]))
    expect(await refusal(client)).toMatchObject({ message: expect.stringMatching(/JSON text/) })
  })

  it('[C5] replaces an older socket of the same key, and only that', async () => {
    const older = await identified(server.control)
    const stranger = await identified(server.control)
    const newer = await identified(server.control, older.signer)
    expect(await older.client.next('error')).toMatchObject({ reason: 'replaced' })
    await older.client.closed
    newer.client.send({ type: 'watch' })
    stranger.client.send({ type: 'watch' })
    await newer.client.next('network')
    await stranger.client.next('network')
    newer.client.socket.close()
    stranger.client.socket.close()
  })

  it('gives pages of other sites nothing', async () => {
    for (const origin of ['https://evil.example', 'null']) {
      const client = new Client(server.control, { origin })
      expect(await client.closed).toBe(1006)
    }
    const same = new Client(server.control, { origin: new URL(server.url).origin })
    await same.next('challenge')
    same.socket.close()
  })

  it('[C1] gives up on a client that does not identify itself', async () => {
    const timers: (() => void)[] = []
    const impatient = await startTestServer({
      clock: {
        nowMs: () => 0,
        after(delayMs, callback) {
          if (delayMs === 10_000) timers.push(callback)
          return () => undefined
        },
      },
    })
    const client = new Client(impatient.control)
    await client.next('challenge')
    for (const late of timers) late()
    expect(await client.next('error')).toMatchObject({ reason: 'identify-timeout' })
    await client.closed
    await impatient.close()
  })
})

describe('bounds', () => {
  it('[C9] refuses a message beyond 256 KiB', async () => {
    const { client } = await identified(server.control)
    client.socket.send(JSON.stringify({ type: 'away', reason: 'x'.repeat(CONTROL_MESSAGE_BYTES_MAX) }))
    expect(await refusal(client)).toMatchObject({ reason: 'protocol', message: expect.stringMatching(/the limit is 262144/) })
  })

  it('[C9] cuts off a message of many megabytes', async () => {
    const { client } = await identified(server.control)
    client.socket.send('x'.repeat(2 * 1024 * 1024))
    expect(await client.closed).toBe(1009)
  })

  it('[C9] refuses a flood', async () => {
    const { client } = await identified(server.control)
    for (let message = 0; message < 1_000; message++) client.send({ type: 'leave' })
    expect(await refusal(client)).toMatchObject({ reason: 'too-many-messages' })
  })

  it('survives any garbage', async () => {
    for (const text of ['null', '[]', '"x"', '{"type":{}}', '{"__proto__":{"type":"leave"}}', `[${'['.repeat(50_000)}`]) {
      const { client } = await identified(server.control)
      client.socket.send(text)
      expect(await refusal(client)).toMatchObject({ reason: 'protocol' })
    }
    expect((await fetch(new URL('/healthz', server.url))).status).toBe(200)
  })
})

describe('from pledge to grant', () => {
  it('[C8] places volunteers, grants a session over them that verifies, and takes it back', async () => {
    const [first, second, requester] = [
      await identified(server.control),
      await identified(server.control),
      await identified(server.control),
    ]
    requester.client.send({ type: 'admit', requestId: 'early', modelId: server.modelId as ModelId, promptTokens: 5, maxTokens: 5 })
    expect(await requester.client.next('refused')).toMatchObject({ requestId: 'early', reason: 'no-volunteers' })

    first.client.send(pledge())
    expect((await serveNext(first.client)).span).toEqual({ firstLayer: 0, endLayer: 2 })
    second.client.send(pledge())
    expect((await serveNext(second.client)).span).toEqual({ firstLayer: 1, endLayer: 2 })
    expect((await serveNext(first.client)).span).toEqual({ firstLayer: 0, endLayer: 1 })

    requester.client.send({ type: 'admit', requestId: 'r', modelId: server.modelId as ModelId, promptTokens: 5, maxTokens: 5 })
    const admitted = await requester.client.next('admitted')
    expect(admitted).toMatchObject({
      requestId: 'r',
      chain: [
        { peerId: first.peerId, firstLayer: 0, endLayer: 1, engine: 'webgpu', adapter: 'Test GPU' },
        { peerId: second.peerId, firstLayer: 1, endLayer: 2, engine: 'webgpu', adapter: 'Test GPU' },
      ],
    })
    const nowMs = requester.welcome.timeMs
    const opened = await openGrant(admitted.grant, requester.coordinatorKey, verify, nowMs)
    expect(opened).toMatchObject({ ok: true, value: { driver: requester.peerId, maxPositions: 10, rowEncoding: 'f16e' } })
    const forged = await openGrant(admitted.grant, requester.signer.publicKey, verify, nowMs)
    expect(forged.ok).toBe(false)

    requester.client.send({ type: 'watch' })
    const { summary } = await requester.client.next('network')
    expect(summary).toMatchObject({ tabs: 2, swarms: [{ state: 'ready', sessions: 1, missingBytes: 0 }] })
    if (!opened.ok) throw new Error(opened.error)
    requester.client.send({ type: 'ended', sessionId: opened.value.sessionId, outcome: 'finished', failedPeerId: null, laps: null })
    // One that was on its way may come first.
    await expect.poll(async () => (await requester.client.next('network')).summary.swarms[0]?.sessions, { timeout: 5_000 }).toBe(0)

    second.client.socket.close()
    expect((await first.client.next('assign')).span).toEqual({ firstLayer: 0, endLayer: 2 })
    for (const { client } of [first, requester]) client.socket.close()
  })
})

describe('paths', () => {
  it('[L10] come with credentials of the peer itself, and are renewed for all who are there', async () => {
    const renewals: (() => void)[] = []
    let nowMs = 1_700_000_000_000
    const serving = await startTestServer({
      paths: {
        stunUrls: ['stun:stun.example'],
        turn: { urls: ['turn:turn.example'], secret: 's' },
        iceTransportPolicy: 'all',
        relay: true,
      },
      clock: {
        nowMs: () => nowMs,
        after(delayMs, callback) {
          if (delayMs === TURN_RENEW_MS) renewals.push(callback)
          return () => undefined
        },
      },
    })
    const { client, peerId, welcome } = await identified(serving.control)
    expect(welcome.paths).toMatchObject({
      iceServers: [{ urls: ['stun:stun.example'] }, { urls: ['turn:turn.example'], username: `1700003600:${peerId}` }],
      expiresAtMs: 1_700_003_600_000,
    })
    nowMs += TURN_RENEW_MS
    renewals.shift()?.()
    const { paths } = await client.next('paths')
    expect(paths).toMatchObject({ iceServers: [{}, { username: `1700005400:${peerId}` }], expiresAtMs: 1_700_005_400_000 })
    expect(renewals).toHaveLength(1)
    client.socket.close()
    await client.closed
    await serving.close()
  })
})

describe('strangers', () => {
  it('of one address cannot stand in the whole door, and make room when they leave', async () => {
    const crowd = Array.from({ length: UNIDENTIFIED_PER_ADDRESS_MAX }, () => new Client(server.control))
    await Promise.all(crowd.map((client) => client.next('challenge')))
    const refusal = new WebSocket(server.control)
    expect(await new Promise((resolve) => refusal.on('unexpected-response', (_, { statusCode }) => resolve(statusCode)))).toBe(429)
    for (const client of crowd) client.socket.close()
    await Promise.all(crowd.map((client) => client.closed))
    await expect
      .poll(() =>
        identified(server.control).then(
          ({ client }) => client.socket.close(),
          () => 'refused',
        ),
      )
      .toBe(undefined)
  })
})

describe('shutdown', () => {
  it('[C12] tells every client and leaves no socket', async () => {
    const leaving = await startTestServer()
    const { client } = await identified(leaving.control)
    const unidentified = new Client(leaving.control)
    await unidentified.next('challenge')
    const closed = leaving.close()
    expect(await client.next('error')).toMatchObject({ reason: 'shutting-down' })
    expect(await unidentified.next('error')).toMatchObject({ reason: 'shutting-down' })
    await closed
    expect(await client.closed).toBe(1001)
    await expect(fetch(leaving.url)).rejects.toThrow()
  })
})

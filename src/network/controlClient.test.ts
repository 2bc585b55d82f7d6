/** The connection to the coordinator: how it comes about, what it hands on, and how it comes back. What is asked over it: questions.test.ts. */

import { describe, expect, it } from 'vitest'
import { IDENTIFY_CONTEXT, PROTOCOL_VERSION, type ServerMessage } from '../protocol/index.ts'
import { concatBytes, fromBase64Url, type PeerId, type SessionId, toBase64Url, utf8Encode } from '../shared/index.ts'
import { CHALLENGE, controlWorld, MODEL_ID, welcome } from './controlClient.fixture.ts'
import { SILENCE_MS_MAX, WELCOME_DEADLINE_MS } from './controlClient.ts'
import { signatureVerifier } from './identity.ts'

const { subtle } = globalThis.crypto

describe('the control client', () => {
  it('[C1] [C2] answers the challenge with its key and a signature over nonce and coordinator key', async () => {
    const { states, goOnline, signer } = await controlWorld()
    const socket = await goOnline()
    const [identify] = socket.heard()
    expect(identify).toMatchObject({ type: 'identify', protocol: PROTOCOL_VERSION, publicKey: toBase64Url(signer.publicKey) })
    const signature = fromBase64Url((identify as { signature: string }).signature) ?? new Uint8Array()
    const statement = concatBytes([utf8Encode(IDENTIFY_CONTEXT), new Uint8Array(32).fill(7), new Uint8Array(65).fill(4)])
    expect(await signatureVerifier(subtle)(signer.publicKey, statement, signature)).toBe(true)
    expect(states.at(-1)).toMatchObject({ kind: 'online', welcome: { signalToken: 'token' }, coordinatorKey: new Uint8Array(65).fill(4) })
  })

  it('[I3] [I4] shows a certificate that was made for this connection, in the coordinator’s time', async () => {
    const { goOnline } = await controlWorld()
    const [identify] = (await goOnline()).heard()
    expect(identify).toMatchObject({ certificate: { body: `at-${CHALLENGE.timeMs}`, signature: 'certified' } })
  })

  it('[C4] refuses a coordinator of another version by name, and does not try again', async () => {
    const { client, clock, sockets, latest } = await controlWorld()
    latest().say({ ...CHALLENGE, protocol: 99 })
    expect(client.state).toMatchObject({
      kind: 'closed',
      error: { reason: 'protocol-version', message: expect.stringMatching(/protocol 99.*reload/) },
    })
    clock.advance(600_000)
    expect(sockets).toHaveLength(1)
  })

  it('[C7] answers each ping with its sequence and load', async () => {
    const { goOnline } = await controlWorld()
    const socket = await goOnline()
    socket.say({ type: 'ping', sequence: 41, timeMs: 5_000_100 })
    await Promise.resolve()
    expect(socket.heard().at(-1)).toEqual({ type: 'pong', sequence: 41, sessions: 2, kvPositionsFree: 300 })
  })

  it('[C27] says nothing for a peer that serves no more', async () => {
    const { busy, goOnline } = await controlWorld()
    const socket = await goOnline()
    const before = socket.heard().length
    busy.load = null
    socket.say({ type: 'ping', sequence: 42, timeMs: 5_000_100 })
    await Promise.resolve()
    expect(socket.heard()).toHaveLength(before)
  })

  it('hands assignments, releases and summaries to its owner', async () => {
    const { client, goOnline } = await controlWorld()
    const heard: unknown[] = []
    client.on('assign', (message) => heard.push(message.assignmentId))
    client.on('release', () => heard.push('release'))
    client.on('network', (message) => heard.push(message.summary.tabs))
    const socket = await goOnline()
    const span = { firstLayer: 0, endLayer: 3 }
    const manifestHash = 'a'.repeat(64)
    socket.say(
      JSON.stringify({ type: 'assign', assignmentId: 9, modelId: MODEL_ID, manifestHash, span, kvPositions: 10, memoryBytesMax: 20 }),
    )
    socket.say({ type: 'release' })
    socket.say({ type: 'network', summary: { tabs: 4, swarms: [] } })
    expect(heard).toEqual([9, 'release', 4])
  })

  it('[E7] hands on what its account has', async () => {
    const { client, goOnline } = await controlWorld()
    const socket = await goOnline()
    const heard: unknown[] = []
    client.on('account', (message) => heard.push(message))
    const message = {
      type: 'account',
      accountId: 'a1',
      spendable: '12',
      granted: '2',
      held: '0',
      escrow: '1000000000000000000',
      earned: '7',
      standing: { validInARow: 3, trustedFrom: 10, failures: 0 },
    } as const
    socket.say(message)
    expect(heard).toEqual([message])
    expect(client.state.kind).toBe('online')
    // No amount is negative, or too long to be one.
    socket.say({ ...message, spendable: '-1' })
    expect(client.state.kind).toBe('offline')
  })

  it('[V24] hands on what was found of its work', async () => {
    const { client, goOnline } = await controlWorld()
    const socket = await goOnline()
    const heard: unknown[] = []
    client.on('verdict', (message) => heard.push(message))
    const sessionId = 'a'.repeat(32) as SessionId
    const standing = { validInARow: 0, trustedFrom: 10, failures: 1 }
    const said = { type: 'verdict', sessionId, verdict: 'failed', reason: 'two agree', standing } as const
    const messages = [
      { ...said, role: 'stage', span: { firstLayer: 0, endLayer: 15 } } as const,
      { ...said, role: 'driver', span: null } as const,
    ]
    for (const message of messages) socket.say(message)
    expect(heard).toEqual(messages)
  })

  it('[C10] comes back with doubling waits of 30 s at most, and starts over once it was online', async () => {
    const { client, clock, latest, goOnline } = await controlWorld()
    const waits: number[] = []
    for (let failure = 0; failure < 9; failure++) {
      latest().break()
      const { state } = client
      if (state.kind !== 'offline') return expect.fail(state.kind)
      waits.push(state.retryInMs)
      clock.advance(state.retryInMs)
    }
    expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000])
    const socket = await goOnline()
    socket.break()
    expect(client.state).toMatchObject({ kind: 'offline', retryInMs: 500 })
  })

  it('[C11] knows coordinator time by the message that travelled fastest, whatever its own clock says', async () => {
    const { client, clock, goOnline } = await controlWorld()
    const socket = await goOnline()
    expect(client.coordinatorNowMs()).toBe(5_000_000)
    clock.advance(10_000)
    socket.say({ type: 'ping', sequence: 1, timeMs: 5_009_950 }) // 50 ms under way
    expect(client.coordinatorNowMs()).toBe(5_010_000)
    socket.say({ type: 'ping', sequence: 2, timeMs: 5_010_020 })
    expect(client.coordinatorNowMs()).toBe(5_010_020)
  })

  it('[C12] shows the error that the server sent before closing; some are final', async () => {
    const { client, clock, goOnline } = await controlWorld()
    const socket = await goOnline()
    socket.say({ type: 'error', reason: 'shutting-down', message: 'back soon' })
    socket.break()
    expect(client.state).toMatchObject({ kind: 'offline', error: { reason: 'shutting-down', message: 'back soon' } })
    clock.advance(500)
    const next = await goOnline()
    next.say({ type: 'error', reason: 'replaced', message: 'another tab has this key' })
    expect(client.state).toMatchObject({ kind: 'closed', error: { reason: 'replaced' } })
    expect(next.closed).toBe(true)
  })

  it.each(['banned', 'no-volunteer'])('[E9] [E12] does not come back once it is told %s', async (reason) => {
    const { client, clock, sockets, goOnline } = await controlWorld()
    const socket = await goOnline()
    socket.say({ type: 'error', reason, message: 'and why' })
    expect(client.state).toMatchObject({ kind: 'closed', error: { reason } })
    clock.advance(600_000)
    expect(sockets).toHaveLength(1)
  })

  it.each([
    ['text that is no JSON', '{'],
    ['an unknown message', '{"type":"hello"}'],
    ['a message before its welcome', JSON.stringify({ type: 'release' })],
    ['binary', undefined],
  ])('drops the socket on %s, and tries again', async (_, data) => {
    const { client, clock, sockets, latest } = await controlWorld()
    const socket = latest()
    if (data === undefined) socket.onmessage?.({ data: new ArrayBuffer(4) } as never)
    else socket.say(data)
    expect(client.state).toMatchObject({ kind: 'offline', error: { reason: 'protocol' } })
    expect(socket.closed).toBe(true)
    clock.advance(500)
    expect(sockets).toHaveLength(2)
  })

  it('drops a socket that never welcomes, and one that falls silent', async () => {
    const { client, clock, goOnline } = await controlWorld()
    clock.advance(WELCOME_DEADLINE_MS)
    expect(client.state.kind).toBe('offline')
    clock.advance(500)
    const socket = await goOnline()
    clock.advance(SILENCE_MS_MAX - 1)
    socket.say({ type: 'ping', sequence: 1, timeMs: 1 })
    clock.advance(SILENCE_MS_MAX - 1)
    expect(client.state.kind).toBe('online')
    clock.advance(1)
    expect(client.state).toMatchObject({ kind: 'offline', error: { message: expect.stringContaining('silent') } })
  })

  it('refuses a welcome for another peer', async () => {
    const { client, challenge } = await controlWorld()
    const socket = await challenge()
    socket.say(welcome('0'.repeat(32) as PeerId))
    expect(client.state).toMatchObject({ kind: 'offline', error: { reason: 'protocol' } })
  })

  it('sends only while it is online, and nothing after it was closed', async () => {
    const { client, clock, sockets, goOnline } = await controlWorld()
    expect(client.send({ type: 'watch' })).toBe(false)
    const socket = await goOnline()
    expect(client.send({ type: 'watch' })).toBe(true)
    expect(socket.heard().at(-1)).toEqual({ type: 'watch' })
    client.close()
    expect(client.send({ type: 'leave' })).toBe(false)
    expect([client.state.kind, socket.closed]).toEqual(['closed', true])
    clock.advance(600_000)
    expect(sockets).toHaveLength(1)
  })

  it('[L10] hands on renewed paths, and what is said of relays', async () => {
    const { client, goOnline, peerId } = await controlWorld()
    const socket = await goOnline()
    const heard: unknown[] = []
    client.on('paths', ({ paths }) => heard.push(paths))
    client.on('relay', ({ type }) => heard.push(type))
    const iceServers = [{ urls: ['turn:turn.example'], username: 'u', credential: 'c' }]
    const paths = { iceServers, iceTransportPolicy: 'all' as const, relay: true, expiresAtMs: 9_000_000 }
    socket.say({ type: 'paths', paths })
    socket.say({ type: 'relay', peerId, role: 'dialer', path: '/relay', token: 'token', number: 1 })
    socket.say({ type: 'relay-refused', peerId, reason: 'no-session', message: 'a relay is for two peers of one open session' })
    expect(heard).toEqual([paths, 'relay', 'relay-refused'])
    expect(client.send({ type: 'relay', peerId, heardOf: 1 })).toBe(true)
    expect(socket.heard().at(-1)).toEqual({ type: 'relay', peerId, heardOf: 1 })
  })

  it('[C21] repeats after a reconnection what has ended, also while it was away', async () => {
    const { client, clock, goOnline } = await controlWorld()
    const ended = (digit: string) =>
      ({ type: 'ended', sessionId: digit.repeat(32) as SessionId, outcome: 'finished', failedPeerId: null, laps: null }) as const
    const socket = await goOnline()
    client.send(ended('a'))
    socket.break()
    expect(client.send(ended('b'))).toBe(false)
    clock.advance(60_000)
    const next = await goOnline()
    expect(next.heard().slice(1)).toEqual([ended('a'), ended('b')])
  })

  it('[C25] tells its last 64 receipts again after a reconnection, also those said while it was away', async () => {
    const { client, clock, goOnline } = await controlWorld()
    const receipt = (number: number) => ({ type: 'receipt', receipt: { body: `body${number}`, signature: 'signed' } }) as const
    const socket = await goOnline()
    for (let number = 0; number < 60; number++) expect(client.send(receipt(number))).toBe(true)
    expect(socket.heard().slice(1)).toEqual(Array.from({ length: 60 }, (_, number) => receipt(number)))
    socket.break()
    for (let number = 60; number < 70; number++) expect(client.send(receipt(number))).toBe(false)
    clock.advance(60_000)
    const next = await goOnline()
    expect(next.heard().slice(1)).toEqual(Array.from({ length: 64 }, (_, number) => receipt(6 + number)))
  })

  it('[C26] passes on which receipts the coordinator wants, and which sessions nobody asks for any more', async () => {
    const { client, goOnline } = await controlWorld()
    const socket = await goOnline()
    const heard: unknown[] = []
    client.on('ask-receipt', (message) => heard.push(message))
    client.on('release-log', (message) => heard.push(message))
    const sessionId = 'a'.repeat(32) as SessionId
    const said: ServerMessage[] = [
      { type: 'ask-receipt', sessionId, revision: 2, endPosition: 300 },
      { type: 'release-log', sessionId },
    ]
    for (const message of said) socket.say(message)
    expect(heard).toEqual(said)
  })
})

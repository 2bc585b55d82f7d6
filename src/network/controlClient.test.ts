import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { IDENTIFY_CONTEXT, PROTOCOL_VERSION, parseClientMessage, type ServerMessage } from '../protocol/index.ts'
import {
  concatBytes,
  fromBase64Url,
  ManualClock,
  type ModelId,
  type PeerId,
  type SessionId,
  type Signer,
  toBase64Url,
  utf8Encode,
} from '../shared/index.ts'
import {
  ADMIT_DEADLINE_MS,
  ControlClient,
  type ControlSocket,
  type ControlState,
  type Load,
  SILENCE_MS_MAX,
  WELCOME_DEADLINE_MS,
} from './controlClient.ts'
import { createIdentity, peerIdOf, sha256Of, signatureVerifier } from './identity.ts'

const { subtle } = globalThis.crypto
const modelId = 'm' as ModelId
const request = { modelId, promptTokens: 10, maxTokens: 5 }
let signer: Signer
let peerId: PeerId

beforeAll(async () => {
  signer = await createIdentity(subtle)
  peerId = await peerIdOf(signer.publicKey, sha256Of(subtle))
})

/** The server's end of one socket, by hand. */
class ScriptedSocket implements ControlSocket {
  onopen = null
  onmessage: ((event: never) => void) | null = null
  onclose: ((event: never) => void) | null = null
  onerror = null
  readonly sent: string[] = []
  closed = false

  send(text: string): void {
    this.sent.push(text)
  }
  close(): void {
    this.closed = true
  }
  say(message: ServerMessage | string): void {
    const data = typeof message === 'string' ? message : JSON.stringify(message)
    this.onmessage?.({ data } as never)
  }
  break(): void {
    this.onclose?.({} as never)
  }
  heard(): unknown[] {
    return this.sent.map((text) => {
      const parsed = parseClientMessage(text)
      if (!parsed.ok) throw new Error(parsed.error)
      return parsed.value
    })
  }
}

const nonce = toBase64Url(new Uint8Array(32).fill(7))
const coordinatorKey = toBase64Url(new Uint8Array(65).fill(4))
const challenge: ServerMessage = { type: 'challenge', protocol: PROTOCOL_VERSION, nonce, coordinatorKey, timeMs: 5_000_000 }
const welcome = (id: PeerId): ServerMessage => ({
  type: 'welcome',
  peerId: id,
  timeMs: 5_000_000,
  signalPath: '/signal',
  signalToken: 'token',
  paths: { iceServers: [], iceTransportPolicy: 'all', relay: true, expiresAtMs: null },
  defaultModelId: modelId,
})

let clock: ManualClock
let sockets: ScriptedSocket[]
let client: ControlClient
let states: ControlState[]
let load: Load | null

beforeEach(() => {
  clock = new ManualClock()
  clock.advance(1_000)
  sockets = []
  load = { sessions: 2, kvPositionsFree: 300 }
  client = new ControlClient({
    url: 'ws://coordinator/control',
    openSocket: () => {
      const socket = new ScriptedSocket()
      sockets.push(socket)
      return socket
    },
    peerId,
    signer,
    certify: async (nowMs) => ({ body: `at-${nowMs}`, signature: 'certified' }),
    clock,
    random: () => 1,
    load: async () => load,
  })
  states = []
  client.on('state', (state) => states.push(state))
})

const latest = () => sockets.at(-1) ?? new ScriptedSocket()
const turn = () => new Promise((resolve) => setTimeout(resolve, 10))

async function goOnline(): Promise<ScriptedSocket> {
  const socket = latest()
  socket.say(challenge)
  for (let waited = 0; socket.sent.length === 0 && waited < 100; waited++) await turn()
  socket.say(welcome(peerId))
  expect(client.state.kind).toBe('online')
  return socket
}

describe('the control client', () => {
  it('[C1] [C2] answers the challenge with its key and a signature over nonce and coordinator key', async () => {
    const socket = await goOnline()
    const [identify] = socket.heard()
    expect(identify).toMatchObject({ type: 'identify', protocol: PROTOCOL_VERSION, publicKey: toBase64Url(signer.publicKey) })
    const signature = fromBase64Url((identify as { signature: string }).signature) ?? new Uint8Array()
    const statement = concatBytes([utf8Encode(IDENTIFY_CONTEXT), new Uint8Array(32).fill(7), new Uint8Array(65).fill(4)])
    expect(await signatureVerifier(subtle)(signer.publicKey, statement, signature)).toBe(true)
    expect(states.at(-1)).toMatchObject({ kind: 'online', welcome: { signalToken: 'token' }, coordinatorKey: new Uint8Array(65).fill(4) })
  })

  it('[I3] [I4] shows a certificate that was made for this connection, in the coordinator’s time', async () => {
    const [identify] = (await goOnline()).heard()
    expect(identify).toMatchObject({ certificate: { body: `at-${challenge.timeMs}`, signature: 'certified' } })
  })

  it('[C4] refuses a coordinator of another version by name, and does not try again', () => {
    latest().say({ ...challenge, protocol: 99 })
    expect(client.state).toMatchObject({
      kind: 'closed',
      error: { reason: 'protocol-version', message: expect.stringMatching(/protocol 99.*reload/) },
    })
    clock.advance(600_000)
    expect(sockets).toHaveLength(1)
  })

  it('[C7] answers each ping with its sequence and load', async () => {
    const socket = await goOnline()
    socket.say({ type: 'ping', sequence: 41, timeMs: 5_000_100 })
    await Promise.resolve()
    expect(socket.heard().at(-1)).toEqual({ type: 'pong', sequence: 41, sessions: 2, kvPositionsFree: 300 })
  })

  it('[C27] says nothing for a peer that serves no more', async () => {
    const socket = await goOnline()
    const before = socket.heard().length
    load = null
    socket.say({ type: 'ping', sequence: 42, timeMs: 5_000_100 })
    await Promise.resolve()
    expect(socket.heard()).toHaveLength(before)
  })

  it('hands assignments, releases and summaries to its owner', async () => {
    const heard: unknown[] = []
    client.on('assign', (message) => heard.push(message.assignmentId))
    client.on('release', () => heard.push('release'))
    client.on('network', (message) => heard.push(message.summary.tabs))
    const socket = await goOnline()
    const span = { firstLayer: 0, endLayer: 3 }
    const manifestHash = 'a'.repeat(64)
    socket.say(JSON.stringify({ type: 'assign', assignmentId: 9, modelId, manifestHash, span, kvPositions: 10, memoryBytesMax: 20 }))
    socket.say({ type: 'release' })
    socket.say({ type: 'network', summary: { tabs: 4, swarms: [] } })
    expect(heard).toEqual([9, 'release', 4])
  })

  it('[E7] hands on what its account has', async () => {
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

  it('[C8] resolves an admission with its own answer, and rejects with the coordinator’s reason', async () => {
    const socket = await goOnline()
    const [first, second] = [client.admit(request), client.admit(request)]
    const ids = socket
      .heard()
      .slice(1)
      .map((message) => (message as { requestId: string }).requestId)
    expect(new Set(ids).size).toBe(2)
    socket.say({ type: 'refused', requestId: ids[0] ?? '', reason: 'busy', message: 'come back later', retryAfterMs: 5 })
    const grant = { body: 'body', signature: 'signature' }
    const chain = [{ peerId, firstLayer: 0, endLayer: 30, engine: 'cpu' as const, adapter: 'x' }]
    socket.say({ type: 'admitted', requestId: ids[1] ?? '', grant, chain, held: '7' })
    socket.say({ type: 'refused', requestId: 'unknown', reason: 'busy', message: '', retryAfterMs: null })
    await expect(first).rejects.toMatchObject({ reason: 'busy', message: 'come back later' })
    await expect(second).resolves.toMatchObject({ grant, chain, held: '7' })
  })

  it('[E11] asks for a part of a statement, which nothing but a statement answers', async () => {
    const socket = await goOnline()
    const asked = client.statement('2027-01', 17)
    const [, message] = socket.heard() as { requestId: string }[]
    expect(message).toEqual({ type: 'statement', requestId: expect.any(String), month: '2027-01', cursor: 17 })
    const { requestId } = message ?? { requestId: '' }
    socket.say({
      type: 'admitted',
      requestId,
      grant: { body: 'body', signature: 'signature' },
      chain: [{ peerId, firstLayer: 0, endLayer: 30, engine: 'cpu', adapter: 'x' }],
      held: null,
    })
    const amounts = { available: '5', held: '0', escrow: '0', granted: '-2' }
    socket.say({ type: 'statement', requestId, month: '2027-01', opening: amounts, closing: amounts, lines: [], cursor: null })
    await expect(asked).resolves.toMatchObject({ type: 'statement', cursor: null, opening: amounts })
    const refused = client.statement('2027-01', null)
    const { requestId: other } = socket.heard().at(-1) as { requestId: string }
    socket.say({ type: 'refused', requestId: other, reason: 'too-many-statements', message: 'wait', retryAfterMs: 500 })
    await expect(refused).rejects.toMatchObject({ reason: 'too-many-statements', retryAfterMs: 500 })
  })

  it('[C8] gives an admission up at its deadline, when cancelled, when offline, and when the socket breaks', async () => {
    await expect(client.admit(request)).rejects.toMatchObject({ reason: 'offline' })
    const socket = await goOnline()
    const late = client.admit(request)
    const cancel = new AbortController()
    const cancelled = client.admit(request, cancel.signal)
    cancel.abort()
    await expect(cancelled).rejects.toMatchObject({ reason: 'cancelled' })
    clock.advance(ADMIT_DEADLINE_MS)
    await expect(late).rejects.toMatchObject({ reason: 'timeout' })
    const broken = client.admit(request)
    socket.break()
    await expect(broken).rejects.toMatchObject({ reason: 'offline' })
  })

  it('[C13] asks for a repair once over each socket until it is answered, and gives up when it is closed', async () => {
    const repair = { sessionId: 'a'.repeat(32) as SessionId, revision: 3, lostPeerIds: [peerId] }
    const repairsIn = (socket: { heard(): unknown[] }) =>
      socket.heard().filter((message) => (message as { type: string }).type === 'repair')
    const away = client.repair(repair)
    const first = await goOnline()
    expect(repairsIn(first)).toEqual([{ type: 'repair', requestId: expect.any(String), ...repair }])
    first.break()
    clock.advance(500)
    const second = await goOnline()
    expect(repairsIn(second)).toEqual(repairsIn(first))
    const { requestId } = repairsIn(second)[0] as { requestId: string }
    second.say({
      type: 'admitted',
      requestId,
      grant: { body: 'body', signature: 'signature' },
      chain: [{ peerId, firstLayer: 0, endLayer: 30, engine: 'wasm', adapter: 'x' }],
      held: null,
    })
    await expect(away).resolves.toMatchObject({ grant: { body: 'body' } })
    const unanswered = client.repair(repair)
    second.break()
    clock.advance(500)
    client.close()
    await expect(unanswered).rejects.toMatchObject({ reason: 'closed' })
    await expect(client.repair(repair)).rejects.toMatchObject({ reason: 'offline' })
  })

  it('[C10] comes back with doubling waits of 30 s at most, and starts over once it was online', async () => {
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
    const socket = await goOnline()
    expect(client.coordinatorNowMs()).toBe(5_000_000)
    clock.advance(10_000)
    socket.say({ type: 'ping', sequence: 1, timeMs: 5_009_950 }) // 50 ms under way
    expect(client.coordinatorNowMs()).toBe(5_010_000)
    socket.say({ type: 'ping', sequence: 2, timeMs: 5_010_020 })
    expect(client.coordinatorNowMs()).toBe(5_010_020)
  })

  it('[C12] shows the error that the server sent before closing; some are final', async () => {
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

  it('[E9] does not come back once its account is banned', async () => {
    const socket = await goOnline()
    socket.say({ type: 'error', reason: 'banned', message: 'audits have found it' })
    expect(client.state).toMatchObject({ kind: 'closed', error: { reason: 'banned' } })
    clock.advance(600_000)
    expect(sockets).toHaveLength(1)
  })

  it.each([
    ['text that is no JSON', '{'],
    ['an unknown message', '{"type":"hello"}'],
    ['a message before its welcome', JSON.stringify({ type: 'release' })],
    ['binary', undefined],
  ])('drops the socket on %s, and tries again', (_, data) => {
    const socket = latest()
    if (data === undefined) socket.onmessage?.({ data: new ArrayBuffer(4) } as never)
    else socket.say(data)
    expect(client.state).toMatchObject({ kind: 'offline', error: { reason: 'protocol' } })
    expect(socket.closed).toBe(true)
    clock.advance(500)
    expect(sockets).toHaveLength(2)
  })

  it('drops a socket that never welcomes, and one that falls silent', async () => {
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
    const socket = latest()
    socket.say(challenge)
    for (let waited = 0; socket.sent.length === 0 && waited < 100; waited++) await turn()
    socket.say(welcome('0'.repeat(32) as PeerId))
    expect(client.state).toMatchObject({ kind: 'offline', error: { reason: 'protocol' } })
  })

  it('sends only while it is online, and nothing after it was closed', async () => {
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
    const socket = await goOnline()
    const heard: unknown[] = []
    client.on('paths', ({ paths }) => heard.push(paths))
    client.on('relay', ({ type }) => heard.push(type))
    const iceServers = [{ urls: ['turn:turn.example'], username: 'u', credential: 'c' }]
    const paths = { iceServers, iceTransportPolicy: 'all' as const, relay: true, expiresAtMs: 9_000_000 }
    socket.say({ type: 'paths', paths })
    socket.say({ type: 'relay', peerId, role: 'dialer', path: '/relay', token: 'token' })
    socket.say({ type: 'relay-refused', peerId, reason: 'no-session', message: 'a relay is for two peers of one open session' })
    expect(heard).toEqual([paths, 'relay', 'relay-refused'])
    expect(client.send({ type: 'relay', peerId })).toBe(true)
    expect(socket.heard().at(-1)).toEqual({ type: 'relay', peerId })
  })

  it('[C21] repeats after a reconnection what has ended, also while it was away', async () => {
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

/** A real coordinator on a free port, with real sockets as clients, for a tiny model. Tests play the clients' side by hand. */

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { WebSocket } from 'ws'
import { type Coordinator, type CoordinatorOptions, startCoordinator } from '../../../src/coordinator/server/index.ts'
import { hashManifest } from '../../../src/model/index.ts'
import { createIdentity, peerIdOf, sha256Of, signatureVerifier } from '../../../src/network/index.ts'
import { type ClientMessage, IDENTIFY_CONTEXT, parseServerMessage, type ServerMessage } from '../../../src/protocol/index.ts'
import { type Clock, concatBytes, fromBase64Url, type PeerId, type Signer, toBase64Url, utf8Encode } from '../../../src/shared/index.ts'
import { testData } from '../../support/gguf.ts'
import { openTinyModel } from '../../support/tinyModels.ts'

const { subtle } = crypto
export const sha256 = sha256Of(subtle)
export const verify = signatureVerifier(subtle)

export const clock: Clock = {
  nowMs: () => performance.timeOrigin + performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
}

export interface TestServer extends Coordinator {
  readonly modelBytes: Uint8Array
  readonly modelId: string
  readonly log: string[]
  readonly control: string
}

/** A server with a web app of two files; everything is removed by `close`. */
export async function startTestServer(options: Partial<CoordinatorOptions> = {}): Promise<TestServer> {
  const folder = await mkdtemp(path.join(tmpdir(), 'tabswarm-test-'))
  const webRoot = path.join(folder, 'web')
  await mkdir(path.join(webRoot, 'assets'), { recursive: true })
  await writeFile(path.join(folder, 'secret.txt'), 'secret')
  await writeFile(path.join(webRoot, 'index.html'), '<title>Tabswarm</title>')
  await writeFile(path.join(webRoot, '.env'), 'secret')
  await writeFile(path.join(webRoot, 'assets', 'main-0123.js'), 'export {}')
  const modelBytes = testData('tiny/llama.gguf')
  const { manifest } = await openTinyModel('llama')
  const log: string[] = []
  const coordinator = await startCoordinator({
    host: '127.0.0.1',
    port: 0,
    models: [
      {
        hashedManifest: { manifest, hash: await hashManifest(manifest, sha256) },
        source: { read: async ({ byteOffset, byteLength }) => modelBytes.subarray(byteOffset, byteOffset + byteLength) },
      },
    ],
    draftModels: [],
    minStages: 2,
    rowEncoding: 'f16e',
    kernelVersion: null,
    paths: { stunUrls: [], turn: null, iceTransportPolicy: 'all', relay: true },
    webRoot,
    signer: await createIdentity(subtle),
    clock,
    randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
    sha256,
    verify,
    log: (line) => log.push(line),
    metricsToken: null,
    economy: null,
    ...options,
  })
  return {
    ...coordinator,
    modelBytes,
    modelId: manifest.id,
    log,
    control: new URL('/control', coordinator.url.replace(/^http/, 'ws')).href,
    async close() {
      await coordinator.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

type Message<Type extends ServerMessage['type']> = Extract<ServerMessage, { type: Type }>

const WAIT_MS = 30_000

/** A client that answers pings and otherwise does only what the test says. */
export class Client {
  readonly socket: WebSocket
  readonly closed: Promise<number>
  readonly #inbox: ServerMessage[] = []
  #wake: () => void = () => undefined

  constructor(url: string, options: { readonly origin?: string } = {}) {
    this.socket = new WebSocket(url, options)
    this.socket.on('error', () => undefined)
    this.closed = new Promise((resolve) => this.socket.on('close', (code) => resolve(code)))
    this.socket.on('message', (data) => {
      const parsed = parseServerMessage(data.toString())
      if (!parsed.ok) throw new Error(`the server sent what its clients refuse: ${parsed.error}`)
      if (parsed.value.type === 'ping') this.send({ type: 'pong', sequence: parsed.value.sequence, sessions: 0, kvPositionsFree: 100_000 })
      else this.#inbox.push(parsed.value)
      this.#wake()
    })
  }

  /** The next message of this type; others before it are dropped. */
  async next<Type extends ServerMessage['type']>(type: Type): Promise<Message<Type>> {
    const endMs = Date.now() + WAIT_MS
    for (;;) {
      const message = this.#inbox.shift()
      if (message?.type === type) return message as Message<Type>
      if (message !== undefined) continue
      if (Date.now() > endMs) throw new Error(`no ${type} came within ${WAIT_MS} ms`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
        setTimeout(resolve, 100)
      })
    }
  }

  send(message: ClientMessage): void {
    this.socket.send(JSON.stringify(message))
  }
}

export interface Identified {
  readonly client: Client
  readonly peerId: PeerId
  readonly welcome: Message<'welcome'>
  readonly coordinatorKey: Uint8Array
  readonly signer: Signer
}

/** `identify` as a client should send it, for a challenge. */
export async function identifyMessage(
  challenge: Message<'challenge'>,
  signer: Signer,
): Promise<Extract<ClientMessage, { type: 'identify' }>> {
  const [nonce, key] = [fromBase64Url(challenge.nonce), fromBase64Url(challenge.coordinatorKey)]
  if (nonce === null || key === null) throw new Error('a malformed challenge')
  const signature = await signer.sign(concatBytes([utf8Encode(IDENTIFY_CONTEXT), nonce, key]))
  return {
    type: 'identify',
    protocol: challenge.protocol,
    publicKey: toBase64Url(signer.publicKey),
    signature: toBase64Url(signature),
    certificate: null,
  }
}

export async function identified(url: string, key?: Signer): Promise<Identified> {
  const signer = key ?? (await createIdentity(subtle))
  const client = new Client(url)
  const challenge = await client.next('challenge')
  client.send(await identifyMessage(challenge, signer))
  const welcome = await client.next('welcome')
  const coordinatorKey = fromBase64Url(challenge.coordinatorKey) ?? new Uint8Array()
  return { client, peerId: await peerIdOf(signer.publicKey, sha256), welcome, coordinatorKey, signer }
}

export function pledge(memoryBytes = 1e9, macsPerSecond = 1e9): Extract<ClientMessage, { type: 'pledge' }> {
  return {
    type: 'pledge',
    memoryBytes,
    engine: 'webgpu',
    adapter: 'Test GPU',
    numericClass: 'test',
    kernelVersion: 'test-1',
    macsPerSecond,
  }
}

/** Takes the next order and says that it is served. */
export async function serveNext(client: Client): Promise<Message<'assign'>> {
  const order = await client.next('assign')
  client.send({ type: 'serving', assignmentId: order.assignmentId, span: order.span, kvPositions: order.kvPositions })
  return order
}

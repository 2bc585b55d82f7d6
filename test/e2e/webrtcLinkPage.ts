/** Runs in the pages of webrtcLink.test.ts: peers over real WebRTC, and the acceptance suite between two of them, here or in a worker. */

import { transfer, wrap } from 'comlink'
import { createIdentity, type HandedLink, handOver, peerIdOf, sha256Of, signatureVerifier } from '../../src/network/index.ts'
import { linkSuite } from '../../src/network/link.suite.ts'
import { createPeerJsNetwork } from '../../src/network/peerJs.ts'
import { LANES_MAX } from '../../src/network/stripedChannel.ts'
import type { PeerNetwork } from '../../src/network/webrtc/peerJsNetwork.ts'
import type { SignallingServer } from '../../src/network/webrtc/signaller.ts'
import type { Link } from '../../src/protocol/index.ts'
import type { PeerId, Signer } from '../../src/shared/index.ts'
import type { LinkWorker } from './webrtcLink.worker.ts'
import { pageClock, until } from './webrtcLinkTime.ts'

const { subtle } = crypto
const sha256 = sha256Of(subtle)

interface TestPeer {
  readonly peerId: PeerId
  readonly network: PeerNetwork
  readonly incoming: Link[]
}

type Place = 'page' | 'worker'

interface PeerOptions {
  readonly claimedId?: PeerId
  readonly signer?: Signer
  readonly framePlace?: Place
}

async function createPeer(signalling: SignallingServer, options?: PeerOptions): Promise<TestPeer> {
  const signer = options?.signer ?? (await createIdentity(subtle))
  const peerId = options?.claimedId ?? (await peerIdOf(signer.publicKey, sha256))
  const incoming: Link[] = []
  await globalThis.allowPeer?.(peerId)
  const network = await createPeerJsNetwork({
    peerId,
    signalling,
    ice: { iceServers: [], iceTransportPolicy: 'all' },
    signer,
    verify: signatureVerifier(subtle),
    sha256,
    clock: pageClock,
    random: Math.random,
    randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
    framePlace: options?.framePlace ?? 'page',
    onIncoming: (link) => incoming.push(link),
  })
  return { peerId, network, incoming }
}

const outcomeOf = (promise: Promise<Link>) =>
  promise.then(
    (link) => `link to ${link.peerId}`,
    (error: { reason?: string; message: string }) => `${error.reason}: ${error.message}`,
  )

const connections: RTCPeerConnection[] = []
globalThis.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(configuration?: RTCConfiguration) {
    super(configuration)
    connections.push(this)
  }
}

/** Whose data channels a browser that cannot give them away would keep: by turns the dialer's and the listener's are made. */
let refusing: 'nobody' | 'dialer' | 'listener' = 'nobody'
let transfers = 0
const { postMessage } = MessagePort.prototype
MessagePort.prototype.postMessage = function (message: unknown, transferred?: Transferable[] | StructuredSerializeOptions) {
  if (Array.isArray(transferred) && transferred.some((value: unknown) => value instanceof RTCDataChannel)) {
    const isDialers = transfers++ % 2 === 0
    if (refusing === (isDialers ? 'dialer' : 'listener')) throw new DOMException('it could not be cloned', 'DataCloneError')
  }
  return Reflect.apply(postMessage, this, [message, transferred])
}

const worker = wrap<LinkWorker>(new Worker(new URL('./webrtcLink.worker.ts', import.meta.url), { type: 'module' }))
const sent = (handed: HandedLink) => transfer(handed, [handed.port])
const handed = new WeakSet<Link>()

async function handToWorker(link: Link): Promise<void> {
  if (handed.has(link)) return
  handed.add(link)
  await worker.take(sent(handOver(link)))
}

let own: TestPeer | null = null
const sizes: number[] = []
const ends: string[] = []
const heard: number[] = []

function listenTo(link: Link): void {
  link.listen({ onFrame: (frame) => heard.push(...frame), onClose: ({ reason }) => ends.push(reason) })
}

export type FrameForm = 'message' | 'slices' | 'lanes'

/** One way to send frames to a far end that answers each with its size. */
interface MeasuredWay {
  readonly send: (frame: Uint8Array<ArrayBuffer>) => void
  /** Resolves with the size in the next answer. */
  readonly whenAnswered: () => Promise<number>
  readonly close: () => void
}

const answerTo = (frame: { readonly byteLength: number }) => new Uint8Array(Uint32Array.of(frame.byteLength).buffer)
const sizeIn = (answer: Uint8Array) => new DataView(answer.buffer, answer.byteOffset).getUint32(0, true)

/** Each takes a tenth of a second; a lane comes within a few. */
const FRAMES_TO_LANES_MAX = 500

async function openMeasuredLink(form: Exclude<FrameForm, 'message'>, signalling: SignallingServer): Promise<MeasuredWay> {
  const [dialer, listener] = [await createPeer(signalling), await createPeer(signalling)]
  const dialed = await dialer.network.dial(listener.peerId)
  await until(() => listener.incoming.length === 1)
  const [accepted] = listener.incoming
  if (accepted === undefined) throw new Error('nobody dialed')
  let resolveAnswer: (bytes: number) => void = () => undefined
  const hear = (link: Link, onFrame: (frame: Uint8Array) => void) => link.listen({ onFrame, onClose: () => undefined })
  // The listener adds no lanes.
  const [near, far] = form === 'lanes' ? [dialed, accepted] : [accepted, dialed]
  hear(near, (answer) => resolveAnswer(sizeIn(answer)))
  hear(far, (frame) => far.send(answerTo(frame)))
  const whenAnswered = () =>
    new Promise<number>((resolve) => {
      resolveAnswer = resolve
    })
  for (let frame = 0; form === 'lanes' && linkPage.connections() < 2 * LANES_MAX; frame++) {
    if (frame > FRAMES_TO_LANES_MAX) throw new Error(`${linkPage.connections()} connections after ${frame} large frames`)
    const answered = whenAnswered()
    near.send(new Uint8Array(100_000))
    await answered
  }
  const close = () => {
    dialer.network.destroy()
    listener.network.destroy()
  }
  return { send: (frame) => near.send(frame), whenAnswered, close }
}

async function openBareChannel(): Promise<MeasuredWay> {
  const [near, far] = [new RTCPeerConnection(), new RTCPeerConnection()]
  near.addEventListener('icecandidate', ({ candidate }) => void far.addIceCandidate(candidate ?? undefined))
  far.addEventListener('icecandidate', ({ candidate }) => void near.addIceCandidate(candidate ?? undefined))
  const channel = near.createDataChannel('frames')
  channel.binaryType = 'arraybuffer'
  far.addEventListener('datachannel', ({ channel: other }) => {
    other.binaryType = 'arraybuffer'
    other.addEventListener('message', ({ data }: MessageEvent<ArrayBuffer>) => other.send(answerTo(data)))
  })
  const opened = new Promise<unknown>((resolve) => channel.addEventListener('open', resolve))
  await near.setLocalDescription()
  if (near.localDescription !== null) await far.setRemoteDescription(near.localDescription)
  await far.setLocalDescription()
  if (far.localDescription !== null) await near.setRemoteDescription(far.localDescription)
  await opened
  const whenAnswered = () =>
    new Promise<number>((resolve) => {
      channel.addEventListener('message', ({ data }: MessageEvent<ArrayBuffer>) => resolve(sizeIn(new Uint8Array(data))), { once: true })
    })
  const close = () => {
    near.close()
    far.close()
  }
  return { send: (frame) => channel.send(frame), whenAnswered, close }
}

export const linkPage = {
  suiteNames: () => linkSuite.map(({ name }) => name),

  /** One case of the suite between two peers of this page; resolves with 'passed' or what went wrong. */
  async runCase(name: string, signalling: SignallingServer): Promise<string> {
    const [near, far] = [await createPeer(signalling), await createPeer(signalling)]
    try {
      const link = await near.network.dial(far.peerId)
      await until(() => far.incoming.length === 1)
      const [other] = far.incoming
      const found = linkSuite.find((candidate) => candidate.name === name)
      if (found === undefined || other === undefined) return 'no such case'
      await found.run({ near: link, far: other, until })
      return 'passed'
    } catch (error) {
      return String(error)
    } finally {
      near.network.destroy()
      far.network.destroy()
    }
  },

  /** The same between two links that were handed to a worker; tells in which form each was. */
  async runCaseInWorker(name: string, signalling: SignallingServer, refused: typeof refusing): Promise<string> {
    refusing = refused
    transfers = 0
    const framePlace = 'worker'
    const [near, far] = [await createPeer(signalling, { framePlace }), await createPeer(signalling, { framePlace })]
    try {
      const link = await near.network.dial(far.peerId)
      await until(() => far.incoming.length === 1)
      const [other] = far.incoming
      if (other === undefined) return 'nobody dialed'
      const [atNear, atFar] = [handOver(link), handOver(other)]
      const forms = [atNear.carries, atFar.carries]
      return `${await worker.runCase(name, sent(atNear), sent(atFar))} ${forms.join(' ')}`
    } finally {
      near.network.destroy()
      far.network.destroy()
    }
  },

  async start(signalling: SignallingServer, framePlace: Place = 'page'): Promise<PeerId> {
    own = await createPeer(signalling, { framePlace })
    return own.peerId
  },

  /** Joins under an id whose key this page does not have. */
  async startAs(claimedId: PeerId, signalling: SignallingServer): Promise<void> {
    own = await createPeer(signalling, { claimedId })
  },

  dial: (peerId: PeerId): Promise<string> => (own === null ? Promise.resolve('not started') : outcomeOf(own.network.dial(peerId))),

  /** Dials (or reuses), listens, and sends one byte. */
  async say(peerId: PeerId, byte: number): Promise<string> {
    const link = await own?.network.dial(peerId)
    if (link === undefined) return 'not started'
    listenTo(link)
    link.send(Uint8Array.of(byte))
    const { kind, bytesSent, roundTripMs } = await link.stats()
    return `${kind} ${bytesSent > 0} ${roundTripMs === null || roundTripMs >= 0}`
  },

  /** Listens to the links that others dialed. */
  hearIncoming(): void {
    for (const link of own?.incoming ?? []) listenTo(link)
  },

  /** Dials (or reuses) and sends frames of zeros; `connections` then says how many carry the link. */
  async sendFrames(peerId: PeerId, frameSizes: readonly number[]): Promise<void> {
    const link = await own?.network.dial(peerId)
    for (const bytes of frameSizes) link?.send(new Uint8Array(bytes))
  },

  /** The same, and what was heard, in the worker. */
  async sendFramesInWorker(peerId: PeerId, frameSizes: readonly number[]): Promise<void> {
    const link = await own?.network.dial(peerId)
    if (link === undefined) return
    await handToWorker(link)
    await worker.send(peerId, [...frameSizes])
  },

  async heardInWorker() {
    for (const link of own?.incoming ?? []) await handToWorker(link)
    return worker.heard()
  },

  connections: () => connections.filter(({ connectionState }) => connectionState === 'connected').length,

  /** Keeps the sizes of what comes over links that others dialed. */
  hearSizes(): void {
    for (const link of own?.incoming ?? [])
      link.listen({ onFrame: (frame) => sizes.push(frame.byteLength), onClose: ({ reason }) => ends.push(reason) })
  },

  sizes: () => sizes,

  /**
   * Milliseconds from sending a frame until its far end's answer of four bytes is back, for each of `rounds` frames with `gapMs` between
   * them, both ends in this page. `message`: as one message of a bare data channel; `slices`: over a link of one lane; `lanes`: over all
   * that its dialer adds. Rejects when an answer says another size.
   */
  async measure(form: FrameForm, signalling: SignallingServer, frameSizes: readonly number[], rounds: number, gapMs: number) {
    const { send, whenAnswered, close } = form === 'message' ? await openBareChannel() : await openMeasuredLink(form, signalling)
    const measured: number[][] = []
    for (const bytes of frameSizes) {
      const times: number[] = []
      for (let round = 0; round < rounds; round++) {
        const startedMs = performance.now()
        const answered = whenAnswered()
        send(new Uint8Array(bytes))
        const size = await answered
        times.push(performance.now() - startedMs)
        if (size !== bytes) throw new Error(`${bytes} bytes arrived as ${size}`)
        await new Promise((resolve) => setTimeout(resolve, gapMs))
      }
      measured.push(times)
    }
    close()
    return measured
  },

  /** Two dials at once by each side give one link, the same for all. */
  async dialTwice(peerId: PeerId): Promise<boolean> {
    if (own === null) return false
    const [first, second] = await Promise.all([own.network.dial(peerId), own.network.dial(peerId)])
    return first === second && (await own.network.dial(peerId)) === first
  },

  async cancelDial(peerId: PeerId): Promise<string> {
    const cancel = new AbortController()
    const outcome = own === null ? Promise.resolve('not started') : outcomeOf(own.network.dial(peerId, cancel.signal))
    cancel.abort()
    return outcome
  },

  state: () => ({ heard, ends, incoming: own?.incoming.length ?? 0 }),
}

declare global {
  var linkTest: typeof linkPage | undefined
  /** Lets a peer into the test's signalling server. */
  var allowPeer: ((peerId: PeerId) => Promise<void>) | undefined
}
globalThis.linkTest = linkPage

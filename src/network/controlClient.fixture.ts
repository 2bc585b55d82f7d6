/** For tests: a ControlClient, and the coordinator's end of its sockets, played by hand. */

import { PROTOCOL_VERSION, parseClientMessage, type ServerMessage } from '../protocol/index.ts'
import { assert, ManualClock, type ModelId, type PeerId, required, toBase64Url } from '../shared/index.ts'
import { ControlClient } from './controlClient.ts'
import type { ControlSocket, ControlState, Load } from './controlTypes.ts'
import { createIdentity, peerIdOf, sha256Of } from './identity.ts'

const { subtle } = globalThis.crypto
export const MODEL_ID = 'm' as ModelId
export const CHALLENGE: Extract<ServerMessage, { type: 'challenge' }> = {
  type: 'challenge',
  protocol: PROTOCOL_VERSION,
  nonce: toBase64Url(new Uint8Array(32).fill(7)),
  coordinatorKey: toBase64Url(new Uint8Array(65).fill(4)),
  timeMs: 5_000_000,
}

export const welcome = (peerId: PeerId): ServerMessage => ({
  type: 'welcome',
  peerId,
  timeMs: CHALLENGE.timeMs,
  signalPath: '/signal',
  signalToken: 'token',
  paths: { iceServers: [], iceTransportPolicy: 'all', relay: true, expiresAtMs: null },
  defaultModelId: MODEL_ID,
})

/** The server's end of one socket. */
class ScriptedSocket implements ControlSocket {
  onopen = null
  onmessage: ((event: never) => void) | null = null
  onclose: ((event: never) => void) | null = null
  onerror = null
  readonly sent: string[] = []
  closed = false
  #onFirst: () => void = () => undefined
  /** Until the client has sent something. */
  readonly first = new Promise<void>((resolve) => {
    this.#onFirst = resolve
  })

  send(text: string): void {
    this.sent.push(text)
    this.#onFirst()
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

/** A client with a key of its own, which has opened its first socket. */
export async function controlWorld() {
  const signer = await createIdentity(subtle)
  const peerId = await peerIdOf(signer.publicKey, sha256Of(subtle))
  const clock = new ManualClock()
  clock.advance(1_000)
  const sockets: ScriptedSocket[] = []
  /** What the peer says when it is pinged. */
  const busy: { load: Load | null } = { load: { sessions: 2, kvPositionsFree: 300 } }
  const client = new ControlClient({
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
    load: async () => busy.load,
  })
  const states: ControlState[] = []
  client.on('state', (state) => states.push(state))
  const latest = () => required(sockets.at(-1), 'a socket')

  /** Resolves to the latest socket, once the client has answered over it. */
  async function challenge(): Promise<ScriptedSocket> {
    const socket = latest()
    socket.say(CHALLENGE)
    await socket.first
    return socket
  }

  async function goOnline(): Promise<ScriptedSocket> {
    const socket = await challenge()
    socket.say(welcome(peerId))
    assert(client.state.kind === 'online', client.state.kind)
    return socket
  }

  return { client, clock, sockets, states, busy, latest, challenge, goOnline, signer, peerId }
}

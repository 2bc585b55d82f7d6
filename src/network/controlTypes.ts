/** What a control client is given, tells, and is told. */

import type { ClientMessage, ServerMessage, SignedDocument } from '../protocol/index.ts'
import type { Clock, ErrorBody, PeerId, Signer } from '../shared/index.ts'

export type Message<Type extends ServerMessage['type']> = Extract<ServerMessage, { type: Type }>

export type ControlState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'online'; readonly welcome: Message<'welcome'>; readonly coordinatorKey: Uint8Array }
  | { readonly kind: 'offline'; readonly error: ErrorBody; readonly retryInMs: number }
  /** For good: closed here, or refused in a way that no retry mends. */
  | { readonly kind: 'closed'; readonly error: ErrorBody }

export interface ControlEvents {
  state: (state: ControlState) => void
  assign: (message: Message<'assign'>) => void
  release: () => void
  gone: (message: Message<'gone'>) => void
  draining: (message: Message<'draining'>) => void
  'ask-receipt': (message: Message<'ask-receipt'>) => void
  'release-log': (message: Message<'release-log'>) => void
  audit: (message: Message<'send-log'> | Message<'audit'>) => void
  account: (message: Message<'account'>) => void
  settled: (message: Message<'settled'>) => void
  queued: (message: Message<'queued'>) => void
  verdict: (message: Message<'verdict'>) => void
  head: (message: Message<'head'>) => void
  audited: (message: Message<'audited'>) => void
  network: (message: Message<'network'>) => void
  paths: (message: Message<'paths'>) => void
  relay: (message: Message<'relay'> | Message<'relay-refused'>) => void
}

/** The part of a browser's or Node's WebSocket that is used. */
export interface ControlSocket {
  onopen: ((event: never) => void) | null
  onmessage: ((event: never) => void) | null
  onclose: ((event: never) => void) | null
  onerror: ((event: never) => void) | null
  send(text: string): void
  close(): void
}

export interface Load {
  readonly sessions: number
  readonly kvPositionsFree: number
}

export interface ControlClientOptions {
  /** ws: or wss: URL of the control socket. */
  readonly url: string
  readonly openSocket: (url: string) => ControlSocket
  readonly peerId: PeerId
  readonly signer: Signer
  readonly clock: Clock
  /** This peer's certificate; `nowMs` is coordinator time. Resolves to null where it belongs to no account. */
  readonly certify: (nowMs: number) => Promise<SignedDocument | null>
  /** [0, 1), for jitter. */
  readonly random: () => number
  /** Answers pings: how busy this peer is now; null where it serves no more. Never rejects. */
  readonly load: () => Promise<Load | null>
}

/** What is said of one's own accord, and answered by nothing. */
export type Saying = Exclude<ClientMessage, { type: 'identify' | 'pong' | 'admit' | 'repair' | 'statement' | 'account-request' }>

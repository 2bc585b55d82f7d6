/** What goes into the coordinator's core and what comes out of it, as types. Who feeds it carries the effects out, in order. */

import type { ClientMessage, Grant, ServerMessage } from '../../protocol/index.ts'
import type { ErrorBody, PeerId } from '../../shared/index.ts'

/** A client's message as far as it concerns the core; `identify` and `relay` are the server's matter. */
export type PeerMessage = Exclude<ClientMessage, { type: 'identify' | 'relay' }>

export type CoreEvent =
  /** A socket proved its key; if the peer was connected before, the older socket is gone. `origin`: whose tabs count as one requester; by default each is its own. */
  | { readonly kind: 'connected'; readonly peerId: PeerId; readonly origin?: string }
  | { readonly kind: 'disconnected'; readonly peerId: PeerId }
  | { readonly kind: 'message'; readonly peerId: PeerId; readonly message: PeerMessage }
  /** Time has passed; a few times a second. */
  | { readonly kind: 'tick' }

export type CoreEffect =
  | { readonly kind: 'send'; readonly peerId: PeerId; readonly message: ServerMessage }
  /** Sign the grant and send it as the answer to `requestId`. */
  | {
      readonly kind: 'admit'
      readonly peerId: PeerId
      readonly requestId: string
      readonly grant: Grant
      readonly chain: Extract<ServerMessage, { type: 'admitted' }>['chain']
    }
  /** Tell the error, then close the socket; `disconnected` need not follow. */
  | { readonly kind: 'close'; readonly peerId: PeerId; readonly error: ErrorBody }

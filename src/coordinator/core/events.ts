/** What goes into the coordinator's core and what comes out of it, as types. Who feeds it carries the effects out, in order. */

import type { ClientMessage, Grant, ServerMessage } from '../../protocol/index.ts'
import type { ErrorBody, PeerId, SessionId } from '../../shared/index.ts'

/** A client's message as far as it concerns the core; `identify`, `relay`, `receipt`, `statement` and `account-request` are the server's matter. */
export type PeerMessage = Exclude<ClientMessage, { type: 'identify' | 'relay' | 'receipt' | 'statement' | 'account-request' }>

/** Whether a peer may compute for a session, at this moment. */
export type MayServe = (peerId: PeerId) => boolean

export type CoreEvent =
  /**
   * A socket proved its key; if the peer was connected before, the older socket is gone. `origin`: whose tabs count as one requester; by default each
   * is its own. `share`: how many requesters it stands for, as a gateway does; one where it is left out.
   */
  | { readonly kind: 'connected'; readonly peerId: PeerId; readonly origin?: string; readonly share?: number }
  | { readonly kind: 'disconnected'; readonly peerId: PeerId }
  /**
   * `sessionId`: what an `admit` is to be called, whose caller knows it beforehand; else the core chooses. `mayServe`: whom its session may have as
   * stages, from here to its end; everybody where it is left out.
   */
  | {
      readonly kind: 'message'
      readonly peerId: PeerId
      readonly message: PeerMessage
      readonly sessionId?: SessionId
      readonly mayServe?: MayServe
    }
  /** Time has passed; a few times a second. */
  | { readonly kind: 'tick' }

/** A stage of the chain before that is not in the new one, as the coordinator itself saw it leave. */
export interface SeenLeave {
  readonly peerId: PeerId
  /** It drained, or said that it leaves. */
  readonly announced: boolean
}

/** `finished`, `cancelled`, `failed`: in the driver's word. `vanished`: it did not come back, time was up, or no stage held it any more. */
export type SessionOutcome = 'finished' | 'cancelled' | 'failed' | 'vanished'

/** What happens to sessions, for whoever accounts for them. In order: one `opened`, any number of `repaired`, one `closed`; or `refused` alone. */
export type SessionEvent =
  /** Its id was given with the request, and it will not be. */
  | { readonly kind: 'refused'; readonly sessionId: SessionId }
  | { readonly kind: 'opened'; readonly grant: Grant }
  | { readonly kind: 'repaired'; readonly grant: Grant; readonly left: readonly SeenLeave[] }
  | {
      readonly kind: 'closed'
      readonly sessionId: SessionId
      readonly outcome: SessionOutcome
      /** The network failed the answer, and the coordinator saw it: it had nobody to go on with. Never by the driver's word. */
      readonly sawFailure: boolean
    }

export type CoreEffect =
  | { readonly kind: 'session'; readonly event: SessionEvent }
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

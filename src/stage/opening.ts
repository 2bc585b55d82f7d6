/** Whether a verified grant is one for this session at this peer, and whoever sent it may use it. */

import type { Grant, OpenFrame, SignedGrant } from '../protocol/index.ts'
import { err, ok, type PeerId, type Result } from '../shared/index.ts'
import { findPlace, type Place, type Refusal, type ServedSpan } from './place.ts'

/** What an `open` says of a session, once its grant is verified. */
export interface Opening {
  readonly grant: Grant
  readonly signedGrant: SignedGrant
  readonly place: Place
  /** Of the `open`. */
  readonly epoch: number
  readonly length: number
}

/** The session of the same id that is open, as far as another grant for it must agree. */
interface OpenSession {
  readonly grant: Grant
  readonly served: ServedSpan
}

export interface OpeningContext {
  readonly own: PeerId
  /** Who sent the `open`. */
  readonly sender: PeerId
  readonly served: ServedSpan | null
  readonly open: OpenSession | null
  /** Why the grant may not begin a session here (any more), null: it may. */
  readonly usedFault: string | null
}

export function checkOpening(frame: OpenFrame, grant: Grant, context: OpeningContext): Result<Opening, Refusal> {
  const { own, sender, served, open, usedFault } = context
  const bad = (message: string) => err({ reason: 'bad-grant' as const, message })
  if (grant.sessionId !== frame.sessionId) return bad('the grant is for another session')
  if (open === null && usedFault !== null) return bad(usedFault)
  if (open !== null && open.grant.revision === grant.revision)
    return err({ reason: 'protocol', message: 'driver and upstream sent different grants' })
  if (open !== null && !isSameSession(open.grant, grant)) return bad('the grant is for a session of the same id that is another one')
  // What it gave up since it still serves to whom it has open.
  const span = served ?? open?.served
  if (span === undefined) return err({ reason: 'not-serving', message: 'this peer serves no model now' })
  const place = findPlace(grant, span, own)
  if (!place.ok) return place
  if (!takesPart(sender, place.value)) return bad('the grant names another driver and upstream')
  return ok({ grant, signedGrant: frame.grant, place: place.value, epoch: frame.epoch, length: frame.length })
}

/** Whether the peer may open the session here. */
export function takesPart(peerId: PeerId, { driver, upstream }: Place): boolean {
  return peerId === driver || peerId === upstream
}

/** Whether two grants may be of one session, whatever chains they name. */
function isSameSession(a: Grant, b: Grant): boolean {
  const fixed = ({ driver, manifestHash, maxPositions, topK, rowEncoding }: Grant) =>
    [driver, manifestHash, maxPositions, topK, rowEncoding].join()
  return fixed(a) === fixed(b)
}

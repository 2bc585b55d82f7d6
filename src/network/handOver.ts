/**
 * How a page hands a link to its worker. Where the browser could give the link's data channels away, a frame goes from there straight to the
 * worker and back; else, and over relays, the page passes every frame on over a MessagePort. The worker sees the same Link either way.
 */

import type { Link } from '../protocol/index.ts'
import type { Clock, PeerId } from '../shared/index.ts'
import { linkFromPort, serveLink } from './portLink.ts'
import { takeCarried } from './webrtc/carriedEnd.ts'
import { CarriedLink } from './webrtc/carriedLink.ts'

/** To be posted to the worker, its port transferred. */
export interface HandedLink {
  readonly peerId: PeerId
  readonly port: MessagePort
  /** What travels through the port. */
  readonly carries: 'channels' | 'frames'
}

/** The page's side, once a link; a close on either side ends the other. */
export function handOver(link: Link): HandedLink {
  const { peerId } = link
  if (link instanceof CarriedLink) return { peerId, port: link.takePort(), carries: 'channels' }
  const { port1, port2 } = new MessageChannel()
  serveLink(link, port1)
  return { peerId, port: port2, carries: 'frames' }
}

/** The worker's side. Rejects with TabswarmError `unreachable` when the link has ended meanwhile; `onEnd` is called once when it ends later. */
export async function takeOver({ peerId, port, carries }: HandedLink, clock: Clock, onEnd: () => void = () => undefined): Promise<Link> {
  return carries === 'channels' ? takeCarried(port, peerId, clock, onEnd) : linkFromPort(port, peerId, onEnd)
}

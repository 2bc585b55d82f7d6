/** OpenLink: a link and its lanes over authenticated connections, wherever its frames are handled: on this page or in its worker. */

import type { Link } from '../../protocol/index.ts'
import { assert, type PeerId } from '../../shared/index.ts'
import { ChannelLink } from '../channelLink.ts'
import { StripedChannel } from '../stripedChannel.ts'
import { CarriedChannel } from './carriedChannel.ts'
import { CarriedLink, type CarriedLinkOptions } from './carriedLink.ts'
import { RtcChannel } from './rtcChannel.ts'
import type { FramedConnection, FramePlace } from './rtcConnection.ts'

export interface OpenLink {
  readonly link: Link & { readonly closed: boolean }
  /** All its lanes' frames are handled in one place. */
  readonly place: FramePlace
  readonly laneCount: number
  /** One whose frames are handled in the same place. */
  addLane(rtc: FramedConnection): void
}

/** A link of one lane. */
export function linkOver(rtc: FramedConnection, peerId: PeerId, options: CarriedLinkOptions): OpenLink {
  return rtc.frames instanceof CarriedChannel
    ? new WorkerLink(new CarriedLink(peerId, rtc, rtc.frames, options))
    : new PageLink(rtc.frames, peerId, options)
}

class PageLink implements OpenLink {
  readonly link: ChannelLink
  readonly place = 'page'
  readonly #channel: StripedChannel

  constructor(first: RtcChannel, peerId: PeerId, { onLarge, onEnd }: CarriedLinkOptions) {
    this.#channel = new StripedChannel(first, { onLarge })
    this.link = new ChannelLink(this.#channel, peerId, { onEnd })
  }

  get laneCount(): number {
    return this.#channel.laneCount
  }

  addLane({ frames }: FramedConnection): void {
    assert(frames instanceof RtcChannel, 'a lane of a link on this page is handled in a worker')
    this.#channel.addLane(frames)
  }
}

class WorkerLink implements OpenLink {
  readonly link: CarriedLink
  readonly place = 'worker'

  constructor(link: CarriedLink) {
    this.link = link
  }

  get laneCount(): number {
    return this.link.laneCount
  }

  addLane(rtc: FramedConnection): void {
    const { frames } = rtc
    assert(frames instanceof CarriedChannel, 'a lane of a link in the worker is handled on this page')
    this.link.addLane(rtc, frames)
  }
}

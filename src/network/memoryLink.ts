/** Two connected links in one process, for tests and simulations, and for a peer's link to itself. */

import type { Link } from '../protocol/index.ts'
import type { PeerId } from '../shared/index.ts'
import { ChannelLink } from './channelLink.ts'
import { type MemoryOptions, memoryChannelPair } from './memoryChannel.ts'

/** The first link is held by `firstPeerId` and leads to the second peer, and vice versa. */
export function memoryLinkPair(firstPeerId: PeerId, secondPeerId: PeerId, options?: MemoryOptions): readonly [Link, Link] {
  const [first, second] = memoryChannelPair(options)
  return [new ChannelLink(first, secondPeerId), new ChannelLink(second, firstPeerId)]
}

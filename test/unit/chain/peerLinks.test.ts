/** The links of a stage: those that others opened and no session uses are bounded, and nobody who computes with it loses one. */

import { beforeEach, describe, expect, it } from 'vitest'
import { memoryLinkPair } from '../../../src/network/index.ts'
import type { Link, LinkClosed } from '../../../src/protocol/index.ts'
import { ManualClock, type PeerId } from '../../../src/shared/index.ts'
import { type PeerLink, PeerLinks, UNUSED_LINKS_MAX } from '../../../src/stage/peerLinks.ts'
import { peerId } from './world.ts'

const OWN = peerId(1)
const strangers = (count: number) => Array.from({ length: count }, (_, index) => peerId(0x100 + index))

describe('links of a stage', () => {
  let links: PeerLinks
  let ended: PeerId[]
  let heard: Map<PeerId, PeerLink>
  beforeEach(() => {
    ended = []
    heard = new Map()
    links = new PeerLinks({
      clock: new ManualClock(),
      dial: async (to) => opened(to),
      events: { onFrame: (link) => heard.set(link.peerId, link), onClose: (link) => ended.push(link.peerId) },
    })
  })

  /** This side's end; the other says something, so that the stage knows its link. */
  function opened(other: PeerId): Link {
    const [mine, theirs] = memoryLinkPair(OWN, other)
    theirs.listen({ onFrame: () => undefined, onClose: (_: LinkClosed) => undefined })
    queueMicrotask(() => theirs.send(new Uint8Array(1)))
    return mine
  }

  const settled = () => new Promise((resolve) => setTimeout(resolve, 0))

  it('[L11] of strangers who open nothing the oldest go, when there are too many; who is used stays, and so does what was dialed here', async () => {
    const [driver, downstream] = [peerId(2), peerId(3)]
    links.add(opened(driver))
    await links.connect(downstream)
    await settled()
    const session = {}
    heard.get(driver)?.use(session)
    for (const stranger of strangers(UNUSED_LINKS_MAX + 5)) links.add(opened(stranger))
    await settled()
    expect(ended).toEqual(strangers(5))
    expect([heard.get(driver)?.isOpen, heard.get(downstream)?.isOpen]).toEqual([true, true])
  })

  it('[L11] a link whose session has ended is the last to go', async () => {
    const driver = peerId(2)
    links.add(opened(driver))
    await settled()
    const session = {}
    heard.get(driver)?.use(session)
    for (const stranger of strangers(UNUSED_LINKS_MAX)) links.add(opened(stranger))
    expect(ended).toEqual([])
    heard.get(driver)?.release(session)
    await settled()
    expect(ended).toEqual(strangers(1))
    for (const stranger of [0x900, 0x901].map(peerId)) links.add(opened(stranger))
    await settled()
    expect(ended).toEqual(strangers(3))
    expect(heard.get(driver)?.isOpen).toBe(true)
  })
})

import { describe, expect, it } from 'vitest'
import type { ClientMessage, Link } from '../protocol/index.ts'
import { ManualClock, type PeerId } from '../shared/index.ts'
import { LatestLinks, MEASURED_INTERVAL_MS, RequesterReport } from './roundTrips.ts'

const peerId = (digit: string) => digit.repeat(32) as PeerId

function link(digit: string, roundTripMs: number | null): Link {
  const stats = async () => ({ kind: 'webrtc', bytesSent: 0, bytesReceived: 0, roundTripMs }) as const
  return { peerId: peerId(digit), listen: () => undefined, send: () => undefined, stats, close: () => undefined }
}

describe('LatestLinks', () => {
  it('knows the newest link to each peer, and says nothing of those that have measured nothing', async () => {
    const links = new LatestLinks()
    links.add(link('a', 80))
    links.add(link('b', null))
    links.add(link('a', 20))
    // The coordinator takes none that is longer.
    links.add(link('c', 60_001))
    expect(await links.roundTrips()).toEqual([{ peerId: peerId('a'), rttMs: 20 }])
  })

  it('forgets the oldest of many', async () => {
    const links = new LatestLinks()
    for (const digit of '0123456789abcdef') links.add(link(digit, 10))
    links.add(link('0', 30))
    links.add(link('g', 10))
    const known = (await links.roundTrips()).map((known) => known.peerId[0])
    expect(known.sort().join('')).toBe('023456789abcdefg')
  })
})

describe('RequesterReport', () => {
  function setUp() {
    const links = new LatestLinks()
    const clock = new ManualClock()
    const sent: ClientMessage[] = []
    const report = new RequesterReport({ links, clock, send: (message) => sent.push(message) })
    return { links, clock, sent, report }
  }

  it('[C16][C17] tells the round trips to the peers of its chain, under no order and without passes, at most every 2 s', async () => {
    const { links, clock, sent, report } = setUp()
    links.add(link('a', 12))
    links.add(link('b', 34))
    links.add(link('c', 56))
    const chain = [peerId('a'), peerId('b')]
    await report.handleLap(chain)
    clock.advance(MEASURED_INTERVAL_MS - 1)
    await report.handleLap(chain)
    expect(sent).toEqual([
      {
        type: 'measured',
        assignmentId: null,
        passes: { count: 0, layers: 0, heads: 0, ms: 0 },
        links: [
          { peerId: peerId('a'), rttMs: 12 },
          { peerId: peerId('b'), rttMs: 34 },
        ],
      },
    ])
    clock.advance(1)
    await report.handleLap(chain)
    expect(sent).toHaveLength(2)
  })

  it('tells nothing where nothing was measured', async () => {
    const { links, sent, report } = setUp()
    links.add(link('a', null))
    await report.handleLap([peerId('a')])
    expect(sent).toEqual([])
  })
})

import { describe, expect, it } from 'vitest'
import type { Link } from '../protocol/index.ts'
import { ManualClock, type PeerId, TabswarmError } from '../shared/index.ts'
import { LinkNetwork, type Path, RELAY_AFTER_MS, RELAY_MEMORY_MS } from './linkNetwork.ts'
import { memoryLinkPair } from './memoryLink.ts'

const self = 'a'.repeat(32) as PeerId
const peer = 'b'.repeat(32) as PeerId

/** A path whose dials the test settles. */
class ScriptedPath implements Path {
  readonly dials: {
    readonly resolve: (link: Link) => void
    readonly reject: (error: TabswarmError) => void
    readonly signal: AbortSignal
  }[] = []
  open: Link | null = null

  linkTo(): Link | null {
    return this.open
  }

  dial(_peerId: PeerId, signal: AbortSignal): Promise<Link> {
    return new Promise((resolve, reject) => {
      this.dials.push({ resolve, reject, signal })
      signal.addEventListener('abort', () => reject(new TabswarmError('cancelled', 'stopped')), { once: true })
    })
  }
}

const newLink = () => memoryLinkPair(self, peer)[0]
const settled = () => new Promise((resolve) => setTimeout(resolve, 0))
const unreachable = (text: string) => new TabswarmError('unreachable', text)

function setUp(options: { readonly hasDirect?: boolean } = {}) {
  const clock = new ManualClock()
  const [direct, relay] = [new ScriptedPath(), new ScriptedPath()]
  const incoming = new Set<Link>()
  const network = new LinkNetwork({
    direct: options.hasDirect === false ? null : direct,
    relay,
    clock,
    isIncoming: (link) => incoming.has(link),
  })
  return { clock, direct, relay, incoming, network }
}

function isClosed(link: Link): Promise<boolean> {
  return new Promise((resolve) => {
    link.listen({ onFrame: () => undefined, onClose: () => resolve(true) })
    setTimeout(() => resolve(false), 5)
  })
}

describe('a dial', () => {
  it('[L9] never asks for the relay where a direct connection comes in time', async () => {
    const { clock, direct, relay, network } = setUp()
    const dialing = network.dial(peer)
    clock.advance(RELAY_AFTER_MS - 1)
    const link = newLink()
    direct.dials[0]?.resolve(link)
    expect(await dialing).toBe(link)
    clock.advance(60_000)
    expect(relay.dials).toHaveLength(0)
  })

  it('[L9] asks for the relay at once where the direct one fails, and takes its link', async () => {
    const { direct, relay, network } = setUp()
    const dialing = network.dial(peer)
    direct.dials[0]?.reject(unreachable('no candidates'))
    await settled()
    const link = newLink()
    relay.dials[0]?.resolve(link)
    expect(await dialing).toBe(link)
  })

  it('[L9] asks for the relay beside a direct one that takes too long; the first link counts, the other try ends', async () => {
    for (const first of ['direct', 'relay'] as const) {
      const { clock, direct, relay, network } = setUp()
      const dialing = network.dial(peer)
      clock.advance(RELAY_AFTER_MS)
      expect([direct.dials.length, relay.dials.length]).toEqual([1, 1])
      const link = newLink()
      const [winner, loser] = first === 'direct' ? [direct, relay] : [relay, direct]
      winner.dials[0]?.resolve(link)
      expect(await dialing).toBe(link)
      expect(loser.dials[0]?.signal.aborted).toBe(true)
    }
  })

  it('[L9] closes a link that comes too late, unless the other side has made it', async () => {
    for (const isTheirs of [false, true]) {
      const { clock, direct, relay, incoming, network } = setUp()
      const dialing = network.dial(peer)
      clock.advance(RELAY_AFTER_MS)
      const [link, late] = [newLink(), newLink()]
      if (isTheirs) incoming.add(late)
      relay.dials[0]?.resolve(link)
      direct.dials[0]?.resolve(late)
      expect(await dialing).toBe(link)
      expect(await isClosed(late)).toBe(!isTheirs)
      expect(await isClosed(link)).toBe(false)
    }
  })

  it('[L9] asks for the relay at once where it was the only way lately, and forgets that', async () => {
    const { clock, direct, relay, network } = setUp()
    const first = network.dial(peer)
    direct.dials[0]?.reject(unreachable('no candidates'))
    await settled()
    relay.dials[0]?.resolve(newLink())
    await first
    clock.advance(RELAY_MEMORY_MS - 1)
    const second = network.dial(peer)
    expect([direct.dials.length, relay.dials.length]).toEqual([2, 2])
    direct.dials[1]?.resolve(newLink())
    await second
    void network.dial(peer)
    expect([direct.dials.length, relay.dials.length]).toEqual([3, 2])
  })

  it('asks for nothing but the relay where the browser has no WebRTC', async () => {
    const { direct, relay, network } = setUp({ hasDirect: false })
    const dialing = network.dial(peer)
    relay.dials[0]?.reject(unreachable('the relay is off'))
    await expect(dialing).rejects.toMatchObject({ reason: 'unreachable', message: 'the relay is off' })
    expect(direct.dials).toHaveLength(0)
  })

  it('tells what failed on both ways', async () => {
    const { direct, relay, network } = setUp()
    const dialing = network.dial(peer)
    direct.dials[0]?.reject(unreachable('a firewall'))
    await settled()
    relay.dials[0]?.reject(unreachable('the relay is off'))
    await expect(dialing).rejects.toMatchObject({ reason: 'unreachable', message: 'a firewall; the relay is off' })
  })

  it('burdens no relay with links beyond the bound', async () => {
    const { direct, relay, network } = setUp()
    const dialing = network.dial(peer)
    direct.dials[0]?.reject(new TabswarmError('too-many-links', '64 links are open'))
    await expect(dialing).rejects.toMatchObject({ reason: 'too-many-links' })
    expect(relay.dials).toHaveLength(0)
  })

  it('returns a link that is open, the direct one before the relayed one', async () => {
    const { direct, relay, network } = setUp()
    relay.open = newLink()
    expect(await network.dial(peer)).toBe(relay.open)
    direct.open = newLink()
    expect(await network.dial(peer)).toBe(direct.open)
    expect([direct.dials.length, relay.dials.length]).toEqual([0, 0])
  })

  it('is shared by all who wait, and ends when none does any more', async () => {
    const { clock, direct, relay, network } = setUp()
    const [one, other] = [new AbortController(), new AbortController()]
    const waiting = [network.dial(peer, one.signal), network.dial(peer, other.signal)]
    clock.advance(RELAY_AFTER_MS)
    one.abort()
    await expect(waiting[0]).rejects.toMatchObject({ reason: 'cancelled' })
    expect(direct.dials[0]?.signal.aborted).toBe(false)
    other.abort()
    const again = network.dial(peer)
    await expect(waiting[1]).rejects.toMatchObject({ reason: 'cancelled' })
    expect([direct, relay].map(({ dials }) => dials[0]?.signal.aborted)).toEqual([true, true])
    expect(direct.dials).toHaveLength(2)
    const link = newLink()
    direct.dials[1]?.resolve(link)
    expect(await again).toBe(link)
    await expect(network.dial(peer, AbortSignal.abort())).rejects.toMatchObject({ reason: 'cancelled' })
  })
})

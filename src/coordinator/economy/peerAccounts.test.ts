import { describe, expect, it } from 'vitest'
import { ManualClock, type PeerId, utf8Encode } from '../../shared/index.ts'
import { PEER_KEPT_MS } from './limits.ts'
import { PeerAccounts } from './peerAccounts.ts'

const peerId = 'ab'.repeat(16) as PeerId
const peer = { peerId, publicKey: utf8Encode('key'), accountKey: utf8Encode('account key'), address: '203.0.113.7' }
const turn = async () => {
  for (let turns = 0; turns < 10; turns++) await Promise.resolve()
}

/** The store answers once it is told to. */
function open() {
  const asked: string[] = []
  const blocks = new Map<string, readonly string[]>()
  let answer: () => void = () => undefined
  const clock = new ManualClock()
  const peers = new PeerAccounts({
    accounts: async () => ({
      contact: async ({ subject }) => {
        asked.push(subject)
        await new Promise<void>((resolve) => {
          answer = resolve
        })
        return { id: `of-${subject}`, name: '', roles: [], createdAtMs: 0, erasedAtMs: null }
      },
      ties: async ([account = '']) =>
        new Map([[account, { account, keys: [], teams: [], family: account, blocks: blocks.get(account) ?? [] }]]),
    }),
    clock,
    onFound: () => undefined,
    log: () => undefined,
  })
  return { peers, asked, blocks, clock, answer: () => answer() }
}

describe('PeerAccounts', () => {
  it('[E1] asks the store for the key that certified the peer, else for its own, and says nothing before it knows', async () => {
    const { peers, asked, answer } = open()
    peers.identified(peer)
    await turn()
    expect(peers.knownAccount(peerId)).toBeNull()
    expect(peers.holderOf(peerId)).toBe(peerId)
    answer()
    expect(await peers.accountOf(peerId)).toBe('of-YWNjb3VudCBrZXk')
    expect(peers.networkOf(peerId)).toBe('203.0.113.0/24')
    peers.identified({ ...peer, accountKey: null, address: '192.168.1.4' })
    await turn()
    expect(asked).toEqual(['YWNjb3VudCBrZXk', 'a2V5'])
    expect(peers.networkOf(peerId)).toBeNull()
  })

  it('keeps the account of a peer that comes back with the same key, whose sessions go on, and of no other', async () => {
    const { peers, answer } = open()
    peers.identified(peer)
    await turn()
    answer()
    const account = await peers.accountOf(peerId)
    peers.left(peerId, 0)
    peers.identified(peer)
    expect(peers.knownAccount(peerId)).toBe(account)
    peers.identified({ ...peer, accountKey: utf8Encode('another') })
    expect(peers.knownAccount(peerId)).toBeNull()
  })

  it('remembers who has left for as long as its sessions may be settled', async () => {
    const { peers, answer } = open()
    peers.identified(peer)
    await turn()
    answer()
    const account = await peers.accountOf(peerId)
    expect(peers.peersOf(account)).toEqual([peerId])
    peers.left(peerId, 0)
    expect(peers.peersOf(account)).toEqual([])
    peers.tick(PEER_KEPT_MS - 1)
    expect(peers.knownAccount(peerId)).toBe(account)
    peers.tick(PEER_KEPT_MS + 60_000)
    expect(peers.knownAccount(peerId)).toBeNull()
    await expect(peers.accountOf(peerId)).rejects.toThrow('has left')
  })

  it('links accounts by what they share, as far as it knows them', async () => {
    const { peers, blocks, answer } = open()
    const other = 'cd'.repeat(16) as PeerId
    for (const account of ['of-YWNjb3VudCBrZXk', 'of-b3RoZXI']) blocks.set(account, ['203.0.113.0/24'])
    peers.identified(peer)
    await turn()
    answer()
    const one = await peers.accountOf(peerId)
    expect([peers.linked(one, one), peers.linked(one, 'of-b3RoZXI')]).toEqual([true, false])
    peers.identified({ ...peer, peerId: other, accountKey: utf8Encode('other') })
    await turn()
    answer()
    expect(peers.linked(one, await peers.accountOf(other))).toBe(true)
  })
})

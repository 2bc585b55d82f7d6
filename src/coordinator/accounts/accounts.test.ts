import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sha256Of } from '../../network/index.ts'
import { type Pool, SCOPE_NAMES_MAX, toHex } from '../../shared/index.ts'
import { checkName, keyIdentity, newAccountId } from './account.ts'
import { addressBlock } from './addressBlock.ts'
import { apiKeyId, checkRequest, checkScope, isApiKey, type KeyScope, newApiKey } from './apiKey.ts'
import { RateLimits } from './rateLimits.ts'
import { isSameHash } from './secrets.ts'
import { newCode, parseCode, tryCode } from './shortCode.ts'
import { decideStarterGrant, type StarterPolicy } from './starterGrants.ts'
import { type AccountTies, areLinked } from './ties.ts'

const sha256 = sha256Of(crypto.subtle)
const randomBytes = (count: number) => crypto.getRandomValues(new Uint8Array(count))
const reasonOf = (result: { ok: boolean; error?: { reason: string } }) => (result.ok ? 'ok' : result.error?.reason)

describe('account', () => {
  it('an id is 128 bits of chance, and a key’s identity is its public half', () => {
    expect(newAccountId((count) => new Uint8Array(count).fill(0xab))).toBe('ab'.repeat(16))
    expect(keyIdentity(new Uint8Array(65))).toEqual({ kind: 'key', subject: 'A'.repeat(87) })
  })

  it('names: what people write, and nothing that cannot be seen', () => {
    for (const name of ['Ann', 'Zoë’s laptop 2', '机器', 'x'.repeat(64)]) expect(reasonOf(checkName(name))).toBe('ok')
    for (const name of ['', ' ann', 'ann ', 'x'.repeat(65), 'a\nb', 'a\u202eb', 'a\u200bb', 'a\u2028b'])
      expect(reasonOf(checkName(name))).toBe('bad-value')
  })
})

describe('API key', () => {
  const all: KeyScope = { models: null, pools: null, budget: null, requestsAMinute: null }

  it('is found by its id, right as a whole only, and neither its hash nor its id opens it', async () => {
    const { id, text, hash } = await newApiKey(randomBytes, sha256)
    expect(text).toMatch(/^tabswarm_[0-9a-f]{16}_[A-Za-z0-9_-]{43}$/)
    expect(apiKeyId(text)).toBe(id)
    expect(await isApiKey(text, hash, sha256)).toBe(true)
    const other = await newApiKey(randomBytes, sha256)
    for (const wrong of [other.text, `${text.slice(0, -1)}${text.endsWith('A') ? 'B' : 'A'}`, hash, id])
      expect(await isApiKey(wrong, hash, sha256)).toBe(false)
    expect(await isApiKey(text, null, sha256)).toBe(false)
    for (const wrong of ['', text.slice(1), `${text}A`, text.toUpperCase(), hash]) expect(apiKeyId(wrong)).toBeNull()
  })

  it('hashes are the same when every byte is', () => {
    const hash = fc.uint8Array({ minLength: 2, maxLength: 2 }).map(toHex)
    fc.assert(fc.property(hash, hash, (a, b) => void expect(isSameHash(a, b)).toBe(a === b)))
    fc.assert(fc.property(hash, (a) => void expect(isSameHash(a, a)).toBe(true)))
    expect(isSameHash('ab', 'abab')).toBe(false)
  })

  it('a scope allows what it names, within what its team names; null allows all', () => {
    const ask = { model: 'm', pool: 'public' } as const
    expect(reasonOf(checkRequest(all, null, ask))).toBe('ok')
    expect(reasonOf(checkRequest({ ...all, models: ['m'] }, { models: null, pools: ['public'] }, ask))).toBe('ok')
    expect(reasonOf(checkRequest({ ...all, models: ['n'] }, null, ask))).toBe('not-allowed')
    expect(reasonOf(checkRequest({ ...all, pools: ['trusted'] }, null, ask))).toBe('not-allowed')
    const poolOf = (pools: readonly string[] | null, team: readonly string[] | null, pool: Pool | null) => {
      const checked = checkRequest({ ...all, pools }, { models: null, pools: team }, { model: 'm', pool })
      return checked.ok ? checked.value : checked.error.reason
    }
    expect([poolOf(null, null, null), poolOf(['mine', 'trusted'], null, null), poolOf(null, ['mine'], null)]).toEqual([
      'public',
      'trusted',
      'mine',
    ])
    expect([poolOf(['trusted'], ['mine'], null), poolOf(['lab'], null, null), poolOf(['trusted'], null, 'mine')]).toEqual(
      Array(3).fill('not-allowed'),
    )
    expect(poolOf(['trusted', 'mine'], null, 'mine')).toBe('mine')
    const byTeam = checkRequest({ ...all, models: ['m', 'n'] }, { models: ['n'], pools: null }, ask)
    expect(byTeam.ok ? '' : byTeam.error.message).toBe('its team may not use the model m, only n; ask its owner')
  })

  it('a scope keeps its limits', () => {
    expect(reasonOf(checkScope(all))).toBe('ok')
    expect(reasonOf(checkScope({ models: ['a.b-c_1'], pools: ['public'], budget: 0n, requestsAMinute: 1 }))).toBe('ok')
    const names = Array.from({ length: SCOPE_NAMES_MAX + 1 }, (_, index) => `m${index}`)
    for (const wrong of [
      { models: [] },
      { models: ['a b'] },
      { pools: names },
      { budget: -1n },
      { requestsAMinute: 0 },
      { requestsAMinute: 1.5 },
    ])
      expect(reasonOf(checkScope({ ...all, ...wrong }))).toBe('bad-value')
    expect(reasonOf(checkScope({ ...all, models: names.slice(1) }))).toBe('ok')
  })
})

describe('short codes', () => {
  it('are read as they are typed, and found by their first four characters', async () => {
    const { text, handle, hash } = await newCode(randomBytes, sha256, 0)
    expect(text).toMatch(/^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){2}$/)
    for (const typed of [text, text.toLowerCase().replaceAll('-', ' '), text.replaceAll('0', 'o').replaceAll('1', 'l')])
      expect(parseCode(typed)).toEqual({ handle, code: text.replaceAll('-', '') })
    expect(text.startsWith(handle)).toBe(true)
    expect(hash).not.toContain(text.slice(5, 9))
    for (const typed of ['', text.slice(1), `${text}0`, 'UUUU-UUUU-UUUU']) expect(parseCode(typed)).toBeNull()
  })

  it('work until the millisecond before they end, and after four wrong tries, not after five', async () => {
    const { text, ...kept } = await newCode(randomBytes, sha256, 301_000)
    const code = text.replaceAll('-', '')
    const wrong = `${code.slice(0, -1)}${code.endsWith('0') ? '1' : '0'}`
    expect(await tryCode(kept, code, sha256, 300_999)).toBe('right')
    expect(await tryCode(kept, code, sha256, 301_000)).toBe('ended')
    expect(await tryCode({ ...kept, attempts: 4 }, wrong, sha256, 1_000)).toEqual({ kind: 'wrong', attempts: 5 })
    expect(await tryCode({ ...kept, attempts: 4 }, code, sha256, 1_000)).toBe('right')
    expect(await tryCode({ ...kept, attempts: 5 }, code, sha256, 1_000)).toBe('ended')
  })
})

describe('rate limits', () => {
  it('a minute’s worth at once, then evenly, each for itself, and never more than a minute’s worth saved', () => {
    const limits = new RateLimits()
    const take = (nowMs: number, who = 'a') => reasonOf(limits.take(who, 3, nowMs))
    expect([take(0), take(0), take(0), take(0)]).toEqual(['ok', 'ok', 'ok', 'too-many-requests'])
    expect(take(0, 'b')).toBe('ok')
    const refused = limits.take('a', 3, 5_000)
    expect(refused.ok ? '' : refused.error.message).toContain('ask again in 15 s')
    expect([take(19_999), take(20_000), take(20_000)]).toEqual(['too-many-requests', 'ok', 'too-many-requests'])
    expect([1, 2, 3, 4].map(() => take(10_000_000))).toEqual(['ok', 'ok', 'ok', 'too-many-requests'])
  })

  it('a clock that goes back gives nothing', () => {
    const limits = new RateLimits()
    expect(reasonOf(limits.take('a', 1, 1_000_000))).toBe('ok')
    expect(reasonOf(limits.take('a', 1, 0))).toBe('too-many-requests')
    expect(reasonOf(limits.take('a', 1, 30_000))).toBe('too-many-requests')
  })
})

describe('address blocks', () => {
  it.each([
    ['203.0.113.7', '203.0.113.0/24'],
    ['203.0.113.255', '203.0.113.0/24'],
    ['::ffff:203.0.113.7', '203.0.113.0/24'],
    ['::ffff:cb00:7107', '203.0.113.0/24'],
    ['2001:db8:1:2::5', '2001:db8:1::/48'],
    ['2001:0DB8:0001:ffff:1:2:3:4', '2001:db8:1::/48'],
    ['2001:db8::', '2001:db8:0::/48'],
  ])('%s is of %s, which is public', (address, text) => expect(addressBlock(address)).toEqual({ text, isPublic: true }))

  it.each(['10.1.2.3', '172.31.0.1', '192.168.1.9', '169.254.0.1', 'fe80::1%eth0', 'fd12:3456::1'])('%s is of a private block', (address) =>
    expect(addressBlock(address)?.isPublic).toBe(false),
  )

  it.each(['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1', '', 'localhost', '1.2.3', '256.1.1.1', '1::2::3', '12345::', ':', '1:2:3'])(
    '%s has none',
    (address) => expect(addressBlock(address)).toBeNull(),
  )
})

describe('starter grants', () => {
  const policy: StarterPolicy = { amount: 10n, poolADay: 100n, grantsABlock: 3 }
  const decide = (issuedToday: bigint, inBlock: number | null, change: Partial<StarterPolicy> = {}) =>
    reasonOf(decideStarterGrant({ ...policy, ...change }, { issuedToday, inBlock }))

  it('the pool of a day ends with the last whole grant, and may be empty', () => {
    expect([decide(90n, 0), decide(91n, 0), decide(0n, 0, { poolADay: 0n })]).toEqual(['ok', 'no-grant', 'no-grant'])
  })

  it('a block has its number; loopback and demo have none', () => {
    expect([decide(0n, 2), decide(0n, 3), decide(0n, null), decide(0n, 99, { grantsABlock: null })]).toEqual(['ok', 'no-grant', 'ok', 'ok'])
  })
})

describe('ties', () => {
  const stranger = (account: string): AccountTies => ({ account, keys: [`k-${account}`], teams: [account], family: account, blocks: [] })
  const [ann, bob, cem] = [stranger('ann'), stranger('bob'), stranger('cem')]

  it('strangers are not linked, an account is linked with itself', () => {
    expect(areLinked(ann, bob)).toBe(false)
    expect(areLinked(ann, ann)).toBe(true)
  })

  it.each([
    ['a key', { keys: ['k-ann'] }],
    ['a team', { teams: ['bob', 'ann'] }],
    ['a family of invitations', { family: 'ann' }],
    ['an address block', { blocks: ['203.0.113.0/24'] }],
  ])('%s links, both ways', (_, tie) => {
    const here = { ...ann, blocks: ['198.51.100.0/24', '203.0.113.0/24'] }
    expect(areLinked(here, { ...bob, ...tie })).toBe(true)
    expect(areLinked({ ...bob, ...tie }, here)).toBe(true)
    expect(areLinked({ ...bob, ...tie }, cem)).toBe(false)
  })
})

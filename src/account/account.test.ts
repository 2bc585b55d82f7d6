import { describe, expect, it } from 'vitest'
import { createIdentity, peerIdOf, sha256Of, signatureVerifier } from '../network/index.ts'
import { openCertificate } from '../protocol/index.ts'
import { fromBase64Url, toBase64Url } from '../shared/index.ts'
import { type AccountVault, BrowserAccount, type KeptAccount } from './account.ts'
import { createAccountKey, openCopy } from './accountKey.ts'
import { newRecoveryPhrase, recoveryKeys } from './recoveryPhrase.ts'
import { memoryVault } from './vault.ts'

const { subtle } = globalThis.crypto
const randomBytes = (count: number) => globalThis.crypto.getRandomValues(new Uint8Array(count))
const ports = { subtle, randomBytes }
const verify = signatureVerifier(subtle)
const now = 1_700_000_000_000

function vault(): AccountVault & { kept: KeptAccount | null } {
  const listeners: (() => void)[] = []
  return {
    isKept: true,
    kept: null,
    async read() {
      return this.kept
    },
    async addFirst(account) {
      this.kept ??= account
      return this.kept
    },
    async replace(account) {
      this.kept = account
      for (const listener of listeners) listener()
    },
    onReplaced: (listener) => void listeners.push(listener),
  }
}

async function newPeerId() {
  return peerIdOf((await createIdentity(subtle)).publicKey, sha256Of(subtle))
}

describe('a browser’s account', () => {
  it('is the same in every tab, also when two of them make it at once', async () => {
    const place = vault()
    const [one, other] = await Promise.all([BrowserAccount.open(place, ports), BrowserAccount.open(place, ports)])
    const later = await BrowserAccount.open(place, ports)
    expect(toBase64Url(other.publicKey)).toBe(toBase64Url(one.publicKey))
    expect(toBase64Url(later.publicKey)).toBe(toBase64Url(one.publicKey))
    expect(later.unsavedPhrase).toBe(one.unsavedPhrase)
  })

  it('[I1] certifies several peers as its own', async () => {
    const account = await BrowserAccount.open(vault(), ports)
    for (const peerId of [await newPeerId(), await newPeerId()]) {
      const opened = await openCertificate(await account.certify(peerId, now), peerId, verify, now)
      expect(opened).toEqual({ ok: true, value: account.publicKey })
    }
  })

  it('is this tab’s alone where nothing can be kept, and says so', async () => {
    const [own, other] = [memoryVault(), memoryVault()]
    const account = await BrowserAccount.open(own, ports)
    expect([account.isKept, (await BrowserAccount.open(vault(), ports)).isKept]).toEqual([false, true])
    expect((await BrowserAccount.open(own, ports)).publicKey).toEqual(account.publicKey)
    expect((await BrowserAccount.open(other, ports)).publicKey).not.toEqual(account.publicKey)
    await account.forgetPhrase()
    expect((await BrowserAccount.open(own, ports)).unsavedPhrase).toBeNull()
  })

  it('keeps a private key that signs and cannot be read', async () => {
    const place = vault()
    await BrowserAccount.open(place, ports)
    const { privateKey } = place.kept as KeptAccount
    expect(privateKey.extractable).toBe(false)
    await expect(subtle.exportKey('pkcs8', privateKey)).rejects.toThrow()
  })

  it('[A2] comes back on another device with its phrase, out of the copy under its name, and takes the place of the one there', async () => {
    const first = await BrowserAccount.open(vault(), ports)
    const place = vault()
    const second = await BrowserAccount.open(place, ports)
    const phrase = first.unsavedPhrase ?? ''
    expect(phrase.split(' ')).toHaveLength(12)
    const names: string[] = []
    const found = await second.find(`  ${phrase.toUpperCase().replace(' ', '\n  ')} `, async (lookup) => {
      names.push(lookup)
      return first.copy
    })
    expect([names, found.isSame]).toEqual([[first.copy.lookup], false])
    const peerId = await newPeerId()
    const certified = { ok: true, value: first.publicKey }
    expect(await openCertificate(await found.certify(peerId, now), peerId, verify, now)).toEqual(certified)
    expect(second.publicKey).not.toEqual(first.publicKey)
    await found.take()
    expect(second).toMatchObject({ publicKey: first.publicKey, copy: first.copy, unsavedPhrase: null })
    expect((await BrowserAccount.open(place, ports)).publicKey).toEqual(first.publicKey)
    expect(await openCertificate(await second.certify(peerId, now), peerId, verify, now)).toEqual(certified)
    expect((await second.find(phrase, async () => first.copy)).isSame).toBe(true)
  })

  it('forgets the phrase once it is saved, and the copy still opens with it', async () => {
    const place = vault()
    const account = await BrowserAccount.open(place, ports)
    const phrase = account.unsavedPhrase ?? ''
    await account.forgetPhrase()
    expect(account.unsavedPhrase).toBeNull()
    expect(JSON.stringify(place.kept)).not.toContain(phrase.split(' ')[0] ?? ' ')
    expect((await openCopy(await recoveryKeys(phrase, subtle), account.copy, subtle)).publicKey).toEqual(account.publicKey)
  })

  it('hears that another tab let the phrase go, and takes the account that another tab has brought back', async () => {
    const place = vault()
    const [one, other] = [await BrowserAccount.open(place, ports), await BrowserAccount.open(place, ports)]
    let heard = 0
    other.onChange(() => heard++)
    await one.forgetPhrase()
    await expect.poll(() => heard).toBe(1)
    expect(other.unsavedPhrase).toBeNull()
    const stranger = await BrowserAccount.open(vault(), ports)
    await (await one.find(stranger.unsavedPhrase ?? '', async () => stranger.copy)).take()
    await expect.poll(() => heard).toBe(2)
    expect(other.publicKey).toEqual(stranger.publicKey)
    // What it says later is of that account: the one before does not come back by it.
    await other.forgetPhrase()
    expect(one.publicKey).toEqual(stranger.publicKey)
  })

  it('does not change hands when a copy does not open, or is not there', async () => {
    const account = await BrowserAccount.open(vault(), ports)
    const before = toBase64Url(account.publicKey)
    const other = await createAccountKey(newRecoveryPhrase(randomBytes), ports)
    const phrase = newRecoveryPhrase(randomBytes)
    await expect(account.find(phrase, async () => other.copy)).rejects.toMatchObject({ reason: 'bad-copy' })
    await expect(account.find(phrase, () => Promise.reject(new Error('unknown')))).rejects.toThrow('unknown')
    expect(toBase64Url(account.publicKey)).toBe(before)
  })
})

describe('a wrapped key', () => {
  it('opens with its own phrase only, and not once a byte of it was changed', async () => {
    const phrase = newRecoveryPhrase(randomBytes)
    const { copy } = await createAccountKey(phrase, ports)
    const keys = await recoveryKeys(phrase, subtle)
    for (const part of ['publicKey', 'iv', 'wrapped'] as const) {
      const bytes = fromBase64Url(copy[part]) ?? new Uint8Array()
      const changed = toBase64Url(bytes.map((byte, index) => (index === 3 ? byte ^ 1 : byte)))
      await expect(openCopy(keys, { ...copy, [part]: changed }, subtle)).rejects.toMatchObject({ reason: 'bad-copy' })
    }
    const stranger = await recoveryKeys(newRecoveryPhrase(randomBytes), subtle)
    await expect(openCopy(stranger, copy, subtle)).rejects.toMatchObject({ reason: 'bad-copy' })
  })

  it.each([
    ['too few words', 'abandon abandon about', /3 words, not 12/],
    ['a word that is none', `${'abandon '.repeat(11)}tabswarm`, /“tabswarm” is not/],
    ['a wrong checksum', 'abandon '.repeat(12), /do not fit together/],
  ])('says what is wrong with a phrase: %s', async (_, phrase, message) => {
    await expect(recoveryKeys(phrase, subtle)).rejects.toMatchObject({
      reason: 'bad-phrase',
      message: expect.stringMatching(message),
    })
  })

  it('[A1] is found under a name that the phrase alone gives, as BIP 39, PBKDF2 and HKDF say', async () => {
    const phrase = `${'abandon '.repeat(11)}about`
    const { lookup } = await recoveryKeys(phrase, subtle)
    const { createHmac, pbkdf2Sync } = await import('node:crypto')
    // Eleven times this word and “about” are 16 zero bytes; RFC 5869 by hand.
    const stretched = pbkdf2Sync(new Uint8Array(16), 'tabswarm recovery 1\n', 200_000, 32, 'sha256')
    const extracted = createHmac('sha256', 'tabswarm recovery 1\n').update(stretched).digest()
    const expanded = createHmac('sha256', extracted)
      .update('lookup')
      .update(new Uint8Array([1]))
      .digest()
    expect(lookup).toBe(expanded.subarray(0, 16).toString('hex'))
  })
})

import { createCipheriv, hkdfSync } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concatBytes, fromHex, toHex } from '../../shared/index.ts'
import { createEphemeralKey, deriveSeals, type Seals } from './sealing.ts'

const { subtle } = globalThis.crypto
const bytes = (count: number, first: number) => Uint8Array.from({ length: count }, (_, index) => (first + index) & 255)

/** A fixed agreement: what any implementation makes of it is the same. */
const AGREEMENT = { secret: bytes(32, 1), dialerKey: bytes(65, 40), listenerKey: bytes(65, 120) }

async function pair(): Promise<readonly [Seals, Seals]> {
  return [await deriveSeals(subtle, 'dialer', AGREEMENT), await deriveSeals(subtle, 'listener', AGREEMENT)]
}

/** The same rule by another library. */
function sealedByNode(from: 'dialer' | 'listener', number: number, plain: Uint8Array): Uint8Array {
  const salt = concatBytes([AGREEMENT.dialerKey, AGREEMENT.listenerKey])
  const keys = new Uint8Array(hkdfSync('sha256', AGREEMENT.secret, salt, 'tabswarm relay 1\n', 64))
  const nonce = Buffer.alloc(12)
  nonce.writeUInt32BE(number, 8)
  const cipher = createCipheriv('aes-256-gcm', from === 'dialer' ? keys.subarray(0, 32) : keys.subarray(32), nonce)
  return concatBytes([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

describe('sealing', () => {
  it('[L6] makes the same records as Node’s own HKDF and AES-GCM, in both directions', async () => {
    const [dialer, listener] = await pair()
    for (const number of [0, 1, 2]) {
      const plain = bytes(7 * number, 9)
      expect(toHex(await dialer.seal(plain))).toBe(toHex(sealedByNode('dialer', number, plain)))
      expect(toHex(await listener.seal(plain))).toBe(toHex(sealedByNode('listener', number, plain)))
    }
  })

  it('[L6] gives the bytes written down here', async () => {
    const [dialer, listener] = await pair()
    expect(toHex(await dialer.seal(fromHex('54535f')))).toBe('952ad2b1bdd8d183159c45d65935904d571206')
    expect(toHex(await listener.seal(fromHex('54535f')))).toBe('978204c712260ad9ab1752c188709f5fba61ee')
  })

  it('[L6] agrees on one secret from two keys, and refuses what is no point of the curve', async () => {
    const [a, b] = [await createEphemeralKey(subtle), await createEphemeralKey(subtle)]
    expect(toHex(await a.agree(b.publicKey))).toBe(toHex(await b.agree(a.publicKey)))
    expect(a.publicKey).toHaveLength(65)
    for (const wrong of [new Uint8Array(65), new Uint8Array(65).fill(4), new Uint8Array(0), a.publicKey.subarray(1)])
      await expect(a.agree(wrong)).rejects.toThrow()
  })

  it('[L7] opens what the other end sealed, in order, at any size', async () => {
    const [dialer, listener] = await pair()
    for (const size of [0, 1, 5, 4_600, 262_145]) {
      const plain = bytes(size, size)
      expect(toHex(await listener.open(await dialer.seal(plain)))).toBe(toHex(plain))
    }
  })

  it('[L7] opens nothing that was changed in any place, cut, or made longer', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 200 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (plain, at, flip) => {
          const [dialer] = await pair()
          const record = await dialer.seal(new Uint8Array(plain))
          const changed = record.map((byte, index) => (index === at % record.length ? byte ^ flip : byte))
          for (const wrong of [changed, record.slice(0, at % record.length), concatBytes([record, Uint8Array.of(flip)])]) {
            const [, listener] = await pair()
            await expect(listener.open(wrong)).rejects.toThrow()
          }
          const [, control] = await pair()
          expect(await control.open(record)).toEqual(new Uint8Array(plain))
        },
      ),
      { numRuns: 30 },
    )
  })

  it('[L7] opens no record twice, none out of its place, none behind a missing one, and none of its own', async () => {
    const plain = bytes(30, 3)
    const twice = await pair()
    const record = await twice[0].seal(plain)
    await twice[1].open(record)
    await expect(twice[1].open(record)).rejects.toThrow()

    const swapped = await pair()
    await swapped[0].seal(plain)
    await expect(swapped[1].open(await swapped[0].seal(plain))).rejects.toThrow()

    const reflected = await pair()
    await expect(reflected[0].open(await reflected[0].seal(plain))).rejects.toThrow()
  })
})

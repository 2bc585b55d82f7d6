import { describe, expect, it } from 'vitest'
import { utf8Encode } from '../../../shared/index.ts'
import { SealingKey } from './sealing.ts'

const API_KEY = `tabswarm_${'0'.repeat(16)}_${'a'.repeat(43)}`
const randomBytes = (count: number) => crypto.getRandomValues(new Uint8Array(count))
const object = { id: 'file-1', salt: 'AAAAAAAAAAAAAAAAAAAAAA' }
const key = new SealingKey(API_KEY, 'key')
const seal = key.seal(object, randomBytes)
const plain = utf8Encode('a text')

describe('what is sealed', () => {
  it('opens where it was closed, whenever the same API key comes again', () => {
    expect(seal.openJson('header', seal.closeJson('header', { a: 'ä' }))).toEqual({ a: 'ä' })
    expect(new Uint8Array(new SealingKey(API_KEY, 'key').seal(object, randomBytes).open(3, seal.close(3, plain)))).toEqual(plain)
    expect(new Uint8Array(seal.open(0, seal.close(0, new Uint8Array())))).toEqual(new Uint8Array())
  })

  it('never looks the same twice', () => {
    expect(seal.close(0, plain)).not.toBe(seal.close(0, plain))
  })

  it.each([
    ['another API key', new SealingKey(`${API_KEY.slice(0, -1)}b`, 'key').seal(object, randomBytes), 3],
    ['another key’s id', new SealingKey(API_KEY, 'other').seal(object, randomBytes), 3],
    ['another object', key.seal({ ...object, id: 'file-2' }, randomBytes), 3],
    ['another salt', key.seal({ ...object, salt: 'BAAAAAAAAAAAAAAAAAAAAA' }, randomBytes), 3],
    ['another place', seal, 4],
    ['the header', seal, 'header'],
  ] as const)('does not open for %s', (_what, other, part) => {
    const sealed = seal.close(3, plain)
    expect(() => other.open(part, sealed)).toThrow()
    expect(new Uint8Array(seal.open(3, sealed))).toEqual(plain)
  })

  it('does not open where a bit of it was changed, or its end is missing', () => {
    const bytes = Buffer.from(seal.close(3, plain), 'base64url')
    for (const at of [0, 12, bytes.length - 1]) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ 1
      expect(() => seal.open(3, changed.toString('base64url'))).toThrow()
    }
    expect(() => seal.open(3, bytes.subarray(0, -1).toString('base64url'))).toThrow()
    expect(() => seal.open(3, bytes.subarray(0, 20).toString('base64url'))).toThrow()
  })
})

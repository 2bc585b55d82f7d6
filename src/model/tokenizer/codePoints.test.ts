import { describe, expect, it } from 'vitest'
import { Class, classOf, encodeCodePoints } from './codePoints.ts'

describe('classOf', () => {
  it('is what Unicode 15.1 says, which later versions only add to', () => {
    const counts = new Map<number, number>()
    const wrong: string[] = []
    for (let value = 0; value < 0x110000; value++) {
      const found = classOf(value)
      counts.set(found, (counts.get(found) ?? 0) + 1)
      const text = String.fromCodePoint(value)
      const pattern =
        found === Class.LETTER ? /\p{L}/u : found === Class.NUMBER ? /\p{N}/u : found === Class.SPACE ? /\p{White_Space}/u : null
      if (pattern !== null && !pattern.test(text)) wrong.push(value.toString(16))
    }
    expect(wrong).toEqual([])
    // Of DerivedGeneralCategory and PropList, version 15.1.0.
    expect([counts.get(Class.LETTER), counts.get(Class.NUMBER), counts.get(Class.SPACE)]).toEqual([136_726, 1_831, 25])
  })
})

describe('encodeCodePoints', () => {
  it('writes UTF-8, and a surrogate as the three bytes that it came as', () => {
    const bytes: number[] = []
    encodeCodePoints(Uint32Array.of(0x41, 0xe9, 0x20ac, 0x1f600, 0xd800), 0, 5, (byte) => bytes.push(byte))
    expect(Buffer.from(bytes.slice(0, -3)).toString()).toBe('Aé€😀')
    expect(bytes.slice(-3)).toEqual([0xed, 0xa0, 0x80])
  })
})

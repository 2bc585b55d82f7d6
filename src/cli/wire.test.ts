import { describe, expect, it } from 'vitest'
import { ROW_ENCODINGS } from '../protocol/index.ts'
import { parseWire, rowEncodingOf, WIRE_DEFAULT } from './wire.ts'

describe('--wire', () => {
  it('has a word for every row encoding, f16 where nothing is said', () => {
    expect(['f32', 'f16', 'int8'].map((text) => rowEncodingOf(parseWire(text)))).toEqual([...ROW_ENCODINGS])
    expect(rowEncodingOf(WIRE_DEFAULT)).toBe('f16e')
  })

  it('refuses other words, and says which there are', () => {
    expect(() => parseWire('f16e')).toThrow(/f32, f16 or int8, not "f16e"/)
  })
})

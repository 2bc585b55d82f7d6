/**
 * Text as code points with a class each, for the pre-tokenizers; decoded from bytes the way llama.cpp does it, so that also
 * what is not UTF-8 gives the same ids: a byte that begins no character is U+FFFD, overlong forms and surrogates pass.
 */

/** What the splitting rules ask of a code point. NONE is what lies beyond the end of a segment. */
export const Class = { NONE: 0, OTHER: 1, LETTER: 2, NUMBER: 3, SPACE: 4 } as const

export interface CodePoints {
  readonly values: Uint32Array
  readonly classes: Uint8Array
  readonly length: number
}

const REPLACEMENT = 0xfffd

/** @param binary one character a byte. */
export function decodeCodePoints(binary: string): CodePoints {
  const values = new Uint32Array(binary.length)
  const classes = new Uint8Array(binary.length)
  let length = 0
  let at = 0
  while (at < binary.length) {
    const byte = binary.charCodeAt(at)
    const size = byte < 0x80 ? 1 : byte < 0xc0 ? 0 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : byte < 0xf8 ? 4 : 0
    let value = size === 1 ? byte : byte & (0xff >> (size + 1))
    let valid = size > 0
    for (let k = 1; valid && k < size; k++) {
      // charCodeAt beyond the end is NaN, which is no continuation byte either.
      const next = binary.charCodeAt(at + k)
      valid = (next & 0xc0) === 0x80
      value = (value << 6) | (next & 0x3f)
    }
    if (!valid || value > 0x10ffff) value = REPLACEMENT
    at += valid ? size : 1
    values[length] = value
    classes[length] = classOf(value)
    length++
  }
  return { values: values.subarray(0, length), classes: classes.subarray(0, length), length }
}

/** The UTF-8 bytes of code points [start, end), a surrogate as three bytes, handed to `emit` one by one. */
export function encodeCodePoints(values: Uint32Array, start: number, end: number, emit: (byte: number) => void): void {
  for (let at = start; at < end; at++) {
    const value = values[at] ?? 0
    if (value < 0x80) emit(value)
    else {
      if (value < 0x800) emit(0xc0 | (value >> 6))
      else {
        if (value < 0x10000) emit(0xe0 | (value >> 12))
        else {
          emit(0xf0 | (value >> 18))
          emit(0x80 | ((value >> 12) & 0x3f))
        }
        emit(0x80 | ((value >> 6) & 0x3f))
      }
      emit(0x80 | (value & 0x3f))
    }
  }
}

/** One byte a code point, filled as they are asked for; 0 is "not asked yet". */
const known = new Uint8Array(0x110000)

function classOf(value: number): number {
  let found = known[value] ?? 0
  if (found === 0) {
    const text = String.fromCodePoint(value)
    found = /\p{L}/u.test(text)
      ? Class.LETTER
      : /\p{N}/u.test(text)
        ? Class.NUMBER
        : /\p{White_Space}/u.test(text)
          ? Class.SPACE
          : Class.OTHER
    known[value] = found
  }
  return found
}

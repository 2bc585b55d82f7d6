/**
 * Text as code points with a class each, for the pre-tokenizers; decoded from bytes the way llama.cpp does it, so that also
 * what is not UTF-8 gives the same ids: a byte that begins no character is U+FFFD, overlong forms and surrogates pass.
 */

import { CASELESS_RANGES, UPPER_RANGES } from './unicodeCases.ts'
import { LETTER_RANGES, NUMBER_RANGES } from './unicodeRanges.ts'

/** What the splitting rules ask of a code point. */
export const Class = { OTHER: 1, LETTER: 2, NUMBER: 3, SPACE: 4 } as const

export interface CodePoints {
  readonly values: Uint32Array
  readonly classes: Uint8Array
  readonly length: number
}

const REPLACEMENT = 0xfffd

/** @param binary one character a byte. */
export function decodeCodePoints(binary: string): CodePoints {
  const values = new Uint32Array(binary.length)
  const kinds = new Uint8Array(binary.length)
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
    // llama.cpp cannot write such a number back and fails; here it is one more byte that begins no character.
    if (value > 0x10ffff) valid = false
    if (!valid) value = REPLACEMENT
    at += valid ? size : 1
    values[length] = value
    kinds[length] = classOf(value)
    length++
  }
  return { values: values.subarray(0, length), classes: kinds.subarray(0, length), length }
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

/** Everything \s means to the models' tokenizers: Unicode's White_Space. */
const spaceRanges: readonly (readonly [number, number])[] = [
  [0x09, 0x0d],
  [0x20, 0x20],
  [0x85, 0x85],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
]

/** One byte a code point, 1.1 MB. */
const classes = (() => {
  const table = new Uint8Array(0x110000).fill(Class.OTHER)
  for (const [first, last] of spaceRanges) table.fill(Class.SPACE, first, last + 1)
  fillRanges(table, LETTER_RANGES, Class.LETTER)
  fillRanges(table, NUMBER_RANGES, Class.NUMBER)
  return table
})()

function fillRanges(table: Uint8Array, ranges: string, value: number): void {
  let end = 0
  for (const entry of ranges.split(' ')) {
    const [range = '', times = '1'] = entry.split('*')
    const [gap = '', length = '1'] = range.split('-')
    for (let count = Number.parseInt(times, 36); count > 0; count--) {
      const start = end + Number.parseInt(gap, 36)
      end = start + Number.parseInt(length, 36)
      table.fill(value, start, end)
    }
  }
}

/** How a letter or a mark is written; those without case are as good as both. */
export const Case = { NONE: 0, UPPER: 1, LOWER: 2, BOTH: 3 } as const

let cases: Uint8Array | undefined

/** Of Case; made when it is first asked for. */
export function caseOf(value: number): number {
  cases ??= (() => {
    const table = Uint8Array.from(classes, (kind) => (kind === Class.LETTER ? Case.LOWER : Case.NONE))
    fillRanges(table, UPPER_RANGES, Case.UPPER)
    fillRanges(table, CASELESS_RANGES, Case.BOTH)
    return table
  })()
  return cases[value] ?? Case.NONE
}

export function classOf(value: number): number {
  return classes[value] ?? Class.OTHER
}

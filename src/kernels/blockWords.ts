/**
 * Block words: one GGML block, re-laid for the GPU. Bits are only moved, none is added or lost: a group of 32 columns always
 * has the same form in words, whatever order GGML packs it in, so that a shader unpacks it with the same few instructions.
 * The forms: shaders/chunks_*.wgsl. The sources: dequantize_row_* in ggml-quants.c.
 */

import type { TensorType } from '../model/index.ts'
import { unreachable } from '../shared/index.ts'

/**
 * Writes the words of the block that begins at byte `at`: first its quads (four words each), then one word a tail, however many
 * bytes of it count. See `weightLayout` for how many there are.
 */
export type BlockReader = (bytes: Uint8Array, at: number, words: Uint32Array) => void

const LOW_NIBBLES = 0x0f0f0f0f
const PAIRS = 0x03030303
const BITS = 0x01010101

export function blockReader(type: TensorType): BlockReader {
  switch (type) {
    case 'F32':
    case 'F16':
    case 'BF16':
      return (bytes, at, words) => copyWords(bytes, at, words, 0, 4)
    case 'Q4_0':
    case 'IQ4_NL':
      return (bytes, at, words) => {
        copyWords(bytes, at + 2, words, 0, 4)
        words[4] = u16(bytes, at)
      }
    case 'Q4_1':
      return (bytes, at, words) => {
        copyWords(bytes, at + 4, words, 0, 4)
        words[4] = u32(bytes, at)
      }
    case 'MXFP4':
      return (bytes, at, words) => {
        copyWords(bytes, at + 1, words, 0, 4)
        words[4] = bytes[at] ?? 0
      }
    case 'Q5_0':
      return (bytes, at, words) => {
        copyWords(bytes, at + 6, words, 0, 4)
        words[4] = bitColumns(u32(bytes, at + 2))
        words[5] = u16(bytes, at)
      }
    case 'Q5_1':
      return (bytes, at, words) => {
        copyWords(bytes, at + 8, words, 0, 4)
        words[4] = bitColumns(u32(bytes, at + 4))
        words[5] = u32(bytes, at)
      }
    case 'Q8_0':
      return (bytes, at, words) => {
        copyWords(bytes, at + 2, words, 0, 8)
        words[8] = u16(bytes, at)
      }
    case 'Q2_K':
      return readQ2_K
    case 'Q3_K':
      return readQ3_K
    case 'Q4_K':
      return readQ4_K
    case 'Q5_K':
      return readQ5_K
    case 'Q6_K':
      return readQ6_K
    case 'IQ4_XS':
      return (bytes, at, words) => {
        copyWords(bytes, at + 8, words, 0, 32)
        words[32] = u32(bytes, at)
        words[33] = u32(bytes, at + 4)
      }
    default:
      return unreachable(type)
  }
}

/** File: 16 bytes of scales, 64 of two bits, d, dmin. */
function readQ2_K(bytes: Uint8Array, at: number, words: Uint32Array): void {
  for (let group = 0; group < 8; group++) pairColumns(bytes, at + 16 + 32 * (group >> 2), 2 * (group & 3), words, 2 * group)
  copyWords(bytes, at, words, 16, 4)
  words[20] = u32(bytes, at + 80)
}

/** File: 32 bytes of third bits, 64 of two bits, 12 of scales, d. */
function readQ3_K(bytes: Uint8Array, at: number, words: Uint32Array): void {
  for (let group = 0; group < 8; group++) {
    pairColumns(bytes, at + 32 + 32 * (group >> 2), 2 * (group & 3), words, 2 * group)
    words[16 + group] = bitOfBytes(bytes, at, group)
  }
  copyWords(bytes, at + 96, words, 24, 3)
  words[27] = u16(bytes, at + 108)
}

/** File: d, dmin, 12 bytes of scales, 128 of nibbles: 32 low ones, then the high ones of the same bytes. */
function readQ4_K(bytes: Uint8Array, at: number, words: Uint32Array): void {
  for (let group = 0; group < 8; group++) nibbleColumns(bytes, at + 16 + 32 * (group >> 1), 4 * (group & 1), words, 4 * group)
  sixBitScales(bytes, at, words, 32)
}

/** As Q4_K, with 32 bytes of fifth bits before the nibbles. */
function readQ5_K(bytes: Uint8Array, at: number, words: Uint32Array): void {
  for (let group = 0; group < 8; group++) {
    nibbleColumns(bytes, at + 48 + 32 * (group >> 1), 4 * (group & 1), words, 4 * group)
    words[32 + group] = bitOfBytes(bytes, at + 16, group)
  }
  sixBitScales(bytes, at, words, 40)
}

/** File: 128 bytes of nibbles, 64 of upper two bits, 16 scales, d; a half of 128 columns comes in quarters. */
function readQ6_K(bytes: Uint8Array, at: number, words: Uint32Array): void {
  for (let group = 0; group < 8; group++) {
    const half = group >> 2
    const quarter = group & 3
    nibbleColumns(bytes, at + 64 * half + 32 * (quarter & 1), 4 * (quarter >> 1), words, 4 * group)
    pairColumns(bytes, at + 128 + 32 * half, 2 * quarter, words, 32 + 2 * group)
  }
  copyWords(bytes, at + 192, words, 48, 4)
  words[52] = u16(bytes, at + 208)
}

/** d and dmin; the lower nibbles of eight scales, of eight minima; the upper two bits of both. GGML packs them otherwise. */
function sixBitScales(bytes: Uint8Array, at: number, words: Uint32Array, to: number): void {
  const first = u32(bytes, at + 4)
  const second = u32(bytes, at + 8)
  const third = u32(bytes, at + 12)
  words[to] = u32(bytes, at)
  words[to + 1] = joinNibbles(first & LOW_NIBBLES) | (joinNibbles(third & LOW_NIBBLES) << 16)
  words[to + 2] = joinNibbles(second & LOW_NIBBLES) | (joinNibbles((third >>> 4) & LOW_NIBBLES) << 16)
  const scales = joinPairs((first >>> 4) & PAIRS) | (joinPairs((first >>> 6) & PAIRS) << 8)
  const minima = joinPairs((second >>> 4) & PAIRS) | (joinPairs((second >>> 6) & PAIRS) << 8)
  words[to + 3] = scales | (minima << 16)
}

/** The nibbles of four bytes side by side in 16 bits. */
function joinNibbles(bytes: number): number {
  const pairs = (bytes | (bytes >>> 4)) & 0x00ff00ff
  return (pairs | (pairs >>> 8)) & 0xffff
}

/** The two bits of four bytes side by side in 8 bits. */
function joinPairs(bytes: number): number {
  const pairs = (bytes | (bytes >>> 6)) & 0x000f000f
  return (pairs | (pairs >>> 12)) & 0xff
}

/** 32 nibbles, `shift` bits up in 32 bytes, as chunks_nibble has them. */
function nibbleColumns(bytes: Uint8Array, at: number, shift: number, words: Uint32Array, to: number): void {
  for (let word = 0; word < 4; word++) {
    const low = (u32(bytes, at + 4 * word) >>> shift) & LOW_NIBBLES
    const high = (u32(bytes, at + 16 + 4 * word) >>> shift) & LOW_NIBBLES
    words[to + word] = low | (high << 4)
  }
}

/** 32 pairs of bits, `shift` bits up in 32 bytes, as chunks_two has them. */
function pairColumns(bytes: Uint8Array, at: number, shift: number, words: Uint32Array, to: number): void {
  for (let half = 0; half < 2; half++) {
    let joined = 0
    for (let word = 0; word < 4; word++) joined |= ((u32(bytes, at + 16 * half + 4 * word) >>> shift) & PAIRS) << (2 * word)
    words[to + half] = joined
  }
}

/** Bit `shift` of each of 32 bytes, as chunks_five has them: that of byte 4k+j at bit 8j+k. */
function bitOfBytes(bytes: Uint8Array, at: number, shift: number): number {
  let joined = 0
  for (let word = 0; word < 8; word++) joined |= ((u32(bytes, at + 4 * word) >>> shift) & BITS) << word
  return joined
}

/** The same from 32 bits in the order of their columns: bit 4k+j to bit 8j+k. */
function bitColumns(bits: number): number {
  let joined = 0
  for (let k = 0; k < 8; k++) {
    const four = (bits >>> (4 * k)) & 15
    // Bits 0, 1, 2, 3 to bits 0, 8, 16, 24: one copy 7 bits up for each, and a mask.
    joined |= ((four | (four << 7) | (four << 14) | (four << 21)) & BITS) << k
  }
  return joined
}

function copyWords(bytes: Uint8Array, at: number, words: Uint32Array, to: number, count: number): void {
  for (let word = 0; word < count; word++) words[to + word] = u32(bytes, at + 4 * word)
}

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8)
}

function u32(bytes: Uint8Array, at: number): number {
  return u16(bytes, at) | (u16(bytes, at + 2) << 16)
}

/** Bytes compared, joined, and to text and back: hex, base64url, UTF-8. No host's Buffer, so that it runs anywhere. */

import { assert } from './assert.ts'

const encoder = new TextEncoder()
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const lossyDecoder = new TextDecoder('utf-8', { ignoreBOM: true })

export function utf8Encode(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text)
}

/** Throws a TypeError on bytes that are not UTF-8. */
export function utf8Decode(bytes: Uint8Array): string {
  return strictDecoder.decode(bytes)
}

/** What is not UTF-8, as a part of a character, comes as U+FFFD. */
export function utf8DecodeLossy(bytes: Uint8Array): string {
  return lossyDecoder.decode(bytes)
}

const hexCodes = Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0))

/** Longer texts than of ids, keys and hashes take the way that has no bound. */
const SHORT_BYTES = 64

export function toHex(bytes: Uint8Array): string {
  const codes: number[] = []
  for (const byte of bytes) codes.push(hexCodes[byte >> 4] ?? 0, hexCodes[byte & 15] ?? 0)
  return bytes.length <= SHORT_BYTES ? String.fromCharCode(...codes) : utf8Decode(Uint8Array.from(codes))
}

/** `text` must be hex of even length: check strangers' text with a pattern first. */
export function fromHex(text: string): Uint8Array<ArrayBuffer> {
  assert(text.length % 2 === 0, `hex of ${text.length} digits`)
  const bytes = new Uint8Array(text.length / 2)
  writeHex(bytes, 0, text)
  return bytes
}

/** Writes what `fromHex` gives into `bytes`, from `start` on. */
export function writeHex(bytes: Uint8Array, start: number, text: string): void {
  for (let at = 0; at < text.length; at += 2) {
    const byte = (digitOf(text.charCodeAt(at)) << 4) | digitOf(text.charCodeAt(at + 1))
    if (byte < 0) assert(false, `not lower-case hex: ${text.slice(0, 80)}`)
    bytes[start + at / 2] = byte
  }
}

/** Negative where it is the code of none. */
function digitOf(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  return code >= 0x61 && code <= 0x66 ? code - 0x57 : -1
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

export function toBase64Url(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += 3) {
    const group = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0)
    const characters = Math.min(4, bytes.length - at + 1)
    for (let k = 0; k < characters; k++) text += alphabet[(group >> (18 - 6 * k)) & 63]
  }
  return text
}

/** Null on anything that is not base64url without padding. */
export function fromBase64Url(text: string): Uint8Array<ArrayBuffer> | null {
  if (text.length % 4 === 1 || !/^[A-Za-z0-9_-]*$/.test(text)) return null
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4))
  let bits = 0
  let bitCount = 0
  let at = 0
  for (const character of text) {
    bits = ((bits << 6) | alphabet.indexOf(character)) & 0xffff
    bitCount += 6
    if (bitCount < 8) continue
    bitCount -= 8
    bytes[at++] = (bits >> bitCount) & 0xff
  }
  return bytes
}

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.byteLength
  }
  return whole
}

/** In a time that tells where they differ: not for secrets. */
export function equalBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.byteLength === other.byteLength && one.every((byte, index) => byte === other[index])
}

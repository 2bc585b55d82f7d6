/** Bytes to text and back: hex, base64url, UTF-8. No host's Buffer, so that it runs anywhere. */

import { assert } from './assert.ts'

const encoder = new TextEncoder()
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function utf8Encode(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text)
}

/** Throws a TypeError on bytes that are not UTF-8. */
export function utf8Decode(bytes: Uint8Array): string {
  return strictDecoder.decode(bytes)
}

const hexOfByte = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

export function toHex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += hexOfByte[byte]
  return text
}

/** `text` must be hex of even length: check strangers' text with a pattern first. */
export function fromHex(text: string): Uint8Array<ArrayBuffer> {
  assert(text.length % 2 === 0, `hex of ${text.length} digits`)
  const bytes = new Uint8Array(text.length / 2)
  for (let at = 0; at < bytes.length; at++) bytes[at] = 16 * digitOf(text, 2 * at) + digitOf(text, 2 * at + 1)
  return bytes
}

function digitOf(text: string, at: number): number {
  const code = text.charCodeAt(at)
  const digit = code < 0x3a ? code - 0x30 : code - 0x57
  assert(digit >= 0 && digit < 16 && (digit < 10 || code >= 0x61), `not lower-case hex: ${text.slice(0, 80)}`)
  return digit
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

/**
 * Bytes as a string with one character (U+0000 … U+00FF) a byte. Tokenizers cut and look up byte sequences all the time;
 * such strings can be keys of a Map, and nothing is lost where the bytes are not UTF-8.
 */

import { utf8Encode } from '../../shared/index.ts'

/** Arguments of one call: engines limit them to some ten thousand. */
const CHUNK_BYTES = 8_192

export function bytesToBinary(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) text += String.fromCharCode(...bytes.subarray(at, at + CHUNK_BYTES))
  return text
}

/** Of text as UTF-8; a lone surrogate becomes U+FFFD, as everywhere on the web. */
export function textToBinary(text: string): string {
  return isAscii(text) ? text : bytesToBinary(utf8Encode(text))
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) >= 0x80) return false
  return true
}

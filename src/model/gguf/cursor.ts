/**
 * A bounded reader over the first bytes of a GGUF file. Running out of the window is not an error of the file: it throws
 * NeedMoreBytes, and the caller comes back with a longer window (see readGguf.ts).
 */

import { utf8DecodeLossy } from '../../shared/index.ts'
import { ModelError } from '../errors.ts'

/** Thrown inside gguf/ only: the window ends before byte `byteLength`. */
export class NeedMoreBytes extends Error {
  readonly byteLength: number
  constructor(byteLength: number) {
    super(`needs ${byteLength} bytes`)
    this.byteLength = byteLength
  }
}

export class Cursor {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #offset = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get offset(): number {
    return this.#offset
  }

  /** Moves over `byteLength` bytes and returns where they began. */
  take(byteLength: number): number {
    const start = this.#offset
    const end = start + byteLength
    if (end > this.#bytes.byteLength) throw new NeedMoreBytes(end)
    this.#offset = end
    return start
  }

  /** A copy, aligned for typed arrays. */
  copy(byteLength: number): ArrayBuffer {
    const start = this.take(byteLength)
    return new Uint8Array(this.#bytes.subarray(start, start + byteLength)).buffer
  }

  uint8 = (): number => this.#view.getUint8(this.take(1))
  int8 = (): number => this.#view.getInt8(this.take(1))
  uint16 = (): number => this.#view.getUint16(this.take(2), true)
  int16 = (): number => this.#view.getInt16(this.take(2), true)
  uint32 = (): number => this.#view.getUint32(this.take(4), true)
  int32 = (): number => this.#view.getInt32(this.take(4), true)
  float32 = (): number => this.#view.getFloat32(this.take(4), true)
  float64 = (): number => this.#view.getFloat64(this.take(8), true)
  uint64 = (): number | bigint => narrow(this.#view.getBigUint64(this.take(8), true))
  int64 = (): number | bigint => narrow(this.#view.getBigInt64(this.take(8), true))

  /** A 64-bit count or offset that must be at most `max`; `what` names it in the error. */
  size(max: number, what: string): number {
    const value = this.uint64()
    if (typeof value === 'bigint' || value > max)
      throw new ModelError(
        'too-large',
        `${what} is ${value}, more than the ${max} that are accepted; the file is broken or not meant for this program`,
      )
    return value
  }

  /** Text of `byteLength` bytes; bytes that are not UTF-8 become U+FFFD. ASCII, nearly everything in a vocabulary, takes a short way. */
  text(byteLength: number): string {
    const start = this.take(byteLength)
    if (byteLength <= 32) {
      let text = ''
      let at = start
      for (; at < start + byteLength; at++) {
        const byte = this.#view.getUint8(at)
        if (byte >= 0x80) break
        text += String.fromCharCode(byte)
      }
      if (at === start + byteLength) return text
    }
    return utf8DecodeLossy(this.#bytes.subarray(start, start + byteLength))
  }
}

function narrow(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

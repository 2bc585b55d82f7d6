/** What every family of block formats shares: how a format is declared, and exact reads of little-endian numbers. */

/** One block of a tensor type: `elements` values along the contiguous axis in `bytes` bytes. */
export interface BlockFormat {
  readonly elements: number
  readonly bytes: number
  /** Writes the values of `blocks` blocks, which begin at `from`, to `into` from `at`. */
  readonly decode: (bytes: Uint8Array, from: number, into: Float32Array, at: number, blocks: number) => void
}

/** A format by its single block. */
export function blockFormat(
  elements: number,
  bytesPerBlock: number,
  decodeBlock: (bytes: Uint8Array, from: number, into: Float32Array, at: number) => void,
): BlockFormat {
  return {
    elements,
    bytes: bytesPerBlock,
    decode: (bytes, from, into, at, blocks) => {
      for (let block = 0; block < blocks; block++) decodeBlock(bytes, from + bytesPerBlock * block, into, at + elements * block)
    },
  }
}

/** The value of an IEEE half in its 16 bits; exact, NaN and infinities included. */
export function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

let halves: Float32Array | undefined

/** Every f16 as f32, by its bits: 256 KiB that make reading a scale one load. */
export function halfTable(): Float32Array {
  halves ??= Float32Array.from({ length: 65_536 }, (_, bits) => halfToFloat(bits))
  return halves
}

/** The half at byte `at`. */
export function half(bytes: Uint8Array, at: number): number {
  return halfTable()[u16(bytes, at)] ?? 0
}

export function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8)
}

export function i8(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 24) >> 24
}

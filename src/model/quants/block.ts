/** What every family of block formats shares: how a format is declared, and exact reads of little-endian numbers. */

/** One block of a tensor type: `elements` values along the contiguous axis in `bytes` bytes. */
export interface BlockFormat {
  readonly elements: number
  readonly bytes: number
  /** Writes the values of `blocks` blocks, which begin at `from`, to `into` from `at`. */
  readonly decode: (bytes: Uint8Array, from: number, into: Float32Array, at: number, blocks: number) => void
  /** How a value is made of integers; null in types whose values are floats. */
  readonly grouped: GroupedFormat | null
}

/** A quantized format taken apart: value = quant · scale + minimum, one scale and minimum a group of columns. */
export interface GroupedFormat {
  /** Columns that share a scale. */
  readonly groupSize: 16 | 32
  /** Whether groups have minimums; without, nothing is added. */
  readonly hasMinimums: boolean
  /** All values of a quant, where they are at most 16: four bits can name them. */
  readonly levels: readonly number[] | null
  /** Writes the groups of one block, which begins at byte `from`: quants from `at`, scales and minimums from `group`. */
  readonly readBlock: (bytes: Uint8Array, from: number, into: Groups, at: number, group: number) => void
}

/** `count` integers from `first`. */
export function integersFrom(first: number, count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => first + index)
}

/** Quantized values by their parts. Every scale and minimum of a format is exact in f32. */
export interface Groups {
  readonly quants: Int8Array
  readonly scales: Float32Array
  /** Empty in formats without. */
  readonly minimums: Float32Array
}

/**
 * A format by its single block. A product of quant and scale has at most 24 significant bits and is exact in f32: only the
 * sum with a minimum rounds, as in C, fused or not.
 */
export function groupedFormat(elements: number, bytesPerBlock: number, grouped: GroupedFormat): BlockFormat {
  const { groupSize, hasMinimums } = grouped
  const groups = elements / groupSize
  const block: Groups = {
    quants: new Int8Array(elements),
    scales: new Float32Array(groups),
    minimums: new Float32Array(hasMinimums ? groups : 0),
  }
  return {
    elements,
    bytes: bytesPerBlock,
    grouped,
    decode(bytes, from, into, at, blocks) {
      for (let index = 0; index < blocks; index++) {
        grouped.readBlock(bytes, from + bytesPerBlock * index, block, 0, 0)
        widen(block, groupSize, hasMinimums, into, at + elements * index)
      }
    },
  }
}

function widen({ quants, scales, minimums }: Groups, groupSize: number, hasMinimums: boolean, into: Float32Array, at: number): void {
  for (let group = 0; group < scales.length; group++) {
    const scale = scales[group] ?? 0
    const first = group * groupSize
    if (hasMinimums) {
      const minimum = minimums[group] ?? 0
      for (let column = first; column < first + groupSize; column++) into[at + column] = (quants[column] ?? 0) * scale + minimum
      continue
    }
    for (let column = first; column < first + groupSize; column++) into[at + column] = (quants[column] ?? 0) * scale
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

/**
 * The tensor types that the engine computes with: block layouts, and their exact values in f32. This is the truth that the
 * kernels are tested against. f16 and bf16 widen exactly; a quantized value is rounded as GGML's C code rounds it (f32).
 * The formats themselves: quants/, by families.
 */

import { assert } from '../shared/index.ts'
import type { BlockFormat, GroupedFormat, Groups } from './quants/block.ts'
import { BF16, F16, F32 } from './quants/floats.ts'
import { Q2_K, Q3_K, Q4_K, Q5_K, Q6_K } from './quants/kBlocks.ts'
import { Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 } from './quants/plainBlocks.ts'
import { IQ4_NL, IQ4_XS, MXFP4 } from './quants/tableBlocks.ts'
import type { TensorType } from './types.ts'

export { type GroupedFormat, type Groups, halfToFloat } from './quants/block.ts'

const formats: Readonly<Record<TensorType, BlockFormat>> = {
  F32,
  F16,
  BF16,
  Q4_0,
  Q4_1,
  Q5_0,
  Q5_1,
  Q8_0,
  Q2_K,
  Q3_K,
  Q4_K,
  Q5_K,
  Q6_K,
  IQ4_NL,
  IQ4_XS,
  MXFP4,
}

export const tensorTypes: readonly TensorType[] = Object.keys(formats).filter(isTensorType)

export function isTensorType(name: string): name is TensorType {
  return Object.hasOwn(formats, name)
}

/** Elements of one block along the contiguous axis. */
export function blockSize(type: TensorType): number {
  return formats[type].elements
}

/** Bytes of one block. */
export function blockBytes(type: TensorType): number {
  return formats[type].bytes
}

/** How a quantized type's values are made of integers; null in types of floats. */
export function groupedFormat(type: TensorType): GroupedFormat | null {
  return formats[type].grouped
}

/** Bytes of `count` values taken apart: 4 or 8 bits each with f32 scales and minimums of their groups; f32 in types of floats. */
export function unpackedBytes(type: TensorType, count: number): number {
  const { grouped } = formats[type]
  if (grouped === null) return 4 * count
  return (grouped.levels === null ? count : count / 2) + 4 * (count / grouped.groupSize) * (grouped.hasMinimums ? 2 : 1)
}

/**
 * Takes `count` values apart, whole blocks of a quantized type that begin at byte `from`: quants are written from `at`, scales and
 * minimums from `at` / group size.
 */
export function readGroups(type: TensorType, bytes: Uint8Array, from: number, into: Groups, at: number, count: number): void {
  const { elements, bytes: bytesPerBlock, grouped } = formats[type]
  assert(grouped !== null, `${type} has no groups`)
  const blocks = count / elements
  assert(Number.isInteger(blocks), `${count} values are not whole blocks of ${type}`)
  assert(from + blocks * bytesPerBlock <= bytes.byteLength && at + count <= into.quants.length, `${count} values of ${type} at ${at}`)
  for (let block = 0; block < blocks; block++) {
    const first = at + block * elements
    grouped.readBlock(bytes, from + block * bytesPerBlock, into, first, first / grouped.groupSize)
  }
}

/** The f32 values of whole blocks, in the order of their columns. `bytes` may begin anywhere in its buffer. */
export function dequantize(type: TensorType, bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const format = formats[type]
  assert(bytes.byteLength % format.bytes === 0, `${bytes.byteLength} bytes are not whole blocks of ${type}`)
  const blocks = bytes.byteLength / format.bytes
  const values = new Float32Array(blocks * format.elements)
  format.decode(bytes, 0, values, 0, blocks)
  return values
}

/** The same without allocating: writes `count` values, whole blocks, of those that begin at byte `from`, to `into` from `at`. */
export function dequantizeInto(type: TensorType, bytes: Uint8Array, from: number, into: Float32Array, at: number, count: number): void {
  const format = formats[type]
  const blocks = count / format.elements
  assert(Number.isInteger(blocks), `${count} values are not whole blocks of ${type}`)
  assert(from + blocks * format.bytes <= bytes.byteLength && at + count <= into.length, `${count} values of ${type} from ${from} to ${at}`)
  format.decode(bytes, from, into, at, blocks)
}

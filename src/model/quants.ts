/**
 * The tensor types that the engine computes with: block layouts, and their exact values in f32. This is the truth that the
 * kernels are tested against. f16 and bf16 widen exactly; a quantized value is rounded as GGML's C code rounds it (f32).
 * Source: dequantize_row_* in ggml-quants.c.
 */

import { assert, unreachable } from '../shared/index.ts'
import type { TensorType } from './types.ts'

export const tensorTypes: readonly TensorType[] = ['F32', 'F16', 'BF16', 'Q4_1', 'Q8_0']

export function isTensorType(name: string): name is TensorType {
  return (tensorTypes as readonly string[]).includes(name)
}

/** Elements of one block along the contiguous axis. */
export function blockSize(type: TensorType): number {
  switch (type) {
    case 'F32':
    case 'F16':
    case 'BF16':
      return 1
    case 'Q4_1':
    case 'Q8_0':
      return 32
    default:
      return unreachable(type)
  }
}

/** Bytes of one block. */
export function blockBytes(type: TensorType): number {
  switch (type) {
    case 'F32':
      return 4
    case 'F16':
    case 'BF16':
      return 2
    case 'Q4_1':
      return 20
    case 'Q8_0':
      return 34
    default:
      return unreachable(type)
  }
}

/** The f32 values of whole blocks, in the order of their columns. `bytes` may begin anywhere in its buffer. */
export function dequantize(type: TensorType, bytes: Uint8Array): Float32Array<ArrayBuffer> {
  assert(bytes.byteLength % blockBytes(type) === 0, `${bytes.byteLength} bytes are not whole blocks of ${type}`)
  const blocks = bytes.byteLength / blockBytes(type)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  switch (type) {
    case 'F32':
      return Float32Array.from({ length: blocks }, (_, index) => view.getFloat32(4 * index, true))
    case 'F16':
      return Float32Array.from({ length: blocks }, (_, index) => halfToFloat(view.getUint16(2 * index, true)))
    case 'BF16':
      return dequantizeBf16(view, blocks)
    case 'Q4_1':
      return dequantizeQ4_1(view, blocks)
    case 'Q8_0':
      return dequantizeQ8_0(view, blocks)
    default:
      return unreachable(type)
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

function dequantizeBf16(view: DataView, count: number): Float32Array<ArrayBuffer> {
  const bits = Uint32Array.from({ length: count }, (_, index) => view.getUint16(2 * index, true) << 16)
  return new Float32Array(bits.buffer)
}

/** A block: scale d and minimum m as f16, then 16 bytes; low nibbles are columns 0–15, high nibbles 16–31. x = q·d + m. */
function dequantizeQ4_1(view: DataView, blocks: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(32 * blocks)
  for (let block = 0; block < blocks; block++) {
    const at = 20 * block
    const scale = halfToFloat(view.getUint16(at, true))
    const minimum = halfToFloat(view.getUint16(at + 2, true))
    for (let column = 0; column < 16; column++) {
      const pair = view.getUint8(at + 4 + column)
      // A 4-bit number times an 11-bit significand is exact in f32, so only the sum rounds: as in C, fused or not.
      values[32 * block + column] = (pair & 15) * scale + minimum
      values[32 * block + 16 + column] = (pair >> 4) * scale + minimum
    }
  }
  return values
}

/** A block: scale d as f16, then 32 signed bytes. x = q·d. */
function dequantizeQ8_0(view: DataView, blocks: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(32 * blocks)
  for (let block = 0; block < blocks; block++) {
    const at = 34 * block
    const scale = halfToFloat(view.getUint16(at, true))
    for (let column = 0; column < 32; column++) values[32 * block + column] = view.getInt8(at + 2 + column) * scale
  }
  return values
}

/** The suite's formats: GGML's tensor types by their names in lower case, and seeded random weights of each. */

import { blockBytes, blockSize, type TensorType, tensorTypes } from '../../model/index.ts'
import { required } from '../../shared/index.ts'
import type { SuiteFormat } from './types.ts'

const types = new Map(tensorTypes.map((type) => [type.toLowerCase(), type]))

export const suiteFormats: readonly SuiteFormat[] = tensorTypes.map((type) => type.toLowerCase() as SuiteFormat)

export function isSuiteFormat(name: string): name is SuiteFormat {
  return types.has(name)
}

export function formatType(format: SuiteFormat): TensorType {
  return required(types.get(format), `the format ${format}`)
}

/** Whether rows of so many inputs are whole blocks, and whole groups of 4 as the kernels read them. */
export function fits(format: SuiteFormat, inputs: number): boolean {
  return inputs % Math.max(4, blockSize(formatType(format))) === 0
}

/** Bytes of a matrix [outputs, inputs] in a file. */
export function weightBytes(format: SuiteFormat, outputs: number, inputs: number): number {
  const type = formatType(format)
  return ((outputs * inputs) / blockSize(type)) * blockBytes(type)
}

/** Where a block holds its scales, as IEEE halves; formats without such are not listed. */
const SCALES: Readonly<Partial<Record<TensorType, { readonly scale: number; readonly minimum?: number }>>> = {
  Q4_0: { scale: 0 },
  Q4_1: { scale: 0, minimum: 2 },
  Q5_0: { scale: 0 },
  Q5_1: { scale: 0, minimum: 2 },
  Q8_0: { scale: 0 },
  Q2_K: { scale: 80, minimum: 82 },
  Q3_K: { scale: 108 },
  Q4_K: { scale: 0, minimum: 2 },
  Q5_K: { scale: 0, minimum: 2 },
  Q6_K: { scale: 208 },
  IQ4_NL: { scale: 0 },
  IQ4_XS: { scale: 0 },
}

/** 2⁻⁶ · (1 + n / 64), n of 6 bits: few enough that the product with a 4-bit number is exact in a half. */
const SCALE_EXPONENT = 0x2400
const SCALE_MASK = 0x03f0
/** MXFP4's shared exponent of 2⁻⁴, and a bit of noise. */
const MX_EXPONENT = 122

/** Seeded 32-bit noise: Marsaglia's xorshift. */
export function noiseWords(seed: number, count: number): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(count)
  let state = (seed ^ 0x9e3779b9) | 1
  for (let index = 0; index < count; index++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[index] = state
  }
  return words
}

/** Seeded numbers in [−1, 1). */
export function noiseValues(seed: number, count: number): Float32Array<ArrayBuffer> {
  return Float32Array.from(noiseWords(seed, count), (word) => word / 2 ** 31 - 1)
}

/**
 * Random weights [outputs, inputs] of valid blocks, as bytes of a file. Minima of Q4_1 are whole multiples of the scale, so that ONNX
 * Runtime's form (scale, zero point) holds the very same values.
 */
export function randomWeights(format: SuiteFormat, outputs: number, inputs: number, seed: number): Uint8Array<ArrayBuffer> {
  const type = formatType(format)
  const byteLength = weightBytes(format, outputs, inputs)
  if (type === 'F32') return new Uint8Array(noiseValues(seed, outputs * inputs).buffer)
  const bytes = new Uint8Array(noiseWords(seed, Math.ceil(byteLength / 4)).buffer, 0, byteLength)
  const view = new DataView(bytes.buffer)
  const size = blockBytes(type)
  // Sign and fraction stay, the exponent is set: 2⁻⁶ and 2⁻⁵.
  if (type === 'F16') for (let at = 0; at < byteLength; at += size) view.setUint16(at, (view.getUint16(at, true) & 0x83ff) | 0x2400, true)
  if (type === 'BF16') for (let at = 0; at < byteLength; at += size) view.setUint16(at, (view.getUint16(at, true) & 0x807f) | 0x3d00, true)
  if (type === 'MXFP4') for (let at = 0; at < byteLength; at += size) bytes[at] = MX_EXPONENT + ((bytes[at] ?? 0) & 3)
  const scales = SCALES[type]
  if (scales !== undefined) for (let at = 0; at < byteLength; at += size) tameScales(view, at, scales, type)
  return bytes
}

function tameScales(view: DataView, at: number, scales: { readonly scale: number; readonly minimum?: number }, type: TensorType): void {
  const noise = view.getUint16(at + scales.scale, true)
  const bits = SCALE_EXPONENT | (noise & SCALE_MASK)
  view.setUint16(at + scales.scale, bits, true)
  if (scales.minimum === undefined) return
  if (type === 'Q4_1') view.setUint16(at + scales.minimum, negativeMultiple(bits, noise & 15), true)
  else view.setUint16(at + scales.minimum, (type.endsWith('K') ? SCALE_EXPONENT : 0xa800) | (noise & SCALE_MASK), true)
}

/** −n times the half of `bits` (a normal number whose last four fraction bits are 0), as a half; exact. */
function negativeMultiple(bits: number, n: number): number {
  if (n === 0) return 0x8000
  let significand = ((bits & 0x3ff) | 0x400) * n
  let exponent = bits >> 10
  while (significand >= 0x800) {
    significand /= 2
    exponent++
  }
  return 0x8000 | (exponent << 10) | (significand & 0x3ff)
}

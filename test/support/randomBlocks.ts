/** Seeded random weights in any tensor type: valid blocks of values around ±scale, whose every bit pattern may occur. */

import { blockBytes, blockSize, type TensorType } from '../../src/model/index.ts'

/** 32 random bits a call. */
export type RandomBits = () => number

/** mulberry32. */
export function randomBits(seed: number): RandomBits {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let z = state
    z = Math.imul(z ^ (z >>> 15), z | 1)
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61)
    return (z ^ (z >>> 14)) >>> 0
  }
}

/** From 0 to 1. */
export function unit(random: RandomBits): number {
  return random() / 2 ** 32
}

/** `count` values, whole blocks, as a file holds them. */
export function randomBlocks(type: TensorType, count: number, scale: number, random: RandomBits): Uint8Array {
  const value = () => scale * (2 * unit(random) - 1)
  switch (type) {
    case 'F32':
      return new Uint8Array(Float32Array.from({ length: count }, value).buffer)
    case 'BF16':
      return new Uint8Array(Uint16Array.from({ length: count }, () => floatBits(value()) >>> 16).buffer)
    case 'F16':
      return new Uint8Array(Uint16Array.from({ length: count }, () => halfBits(value())).buffer)
    default:
      return quantized(type, count, scale, random)
  }
}

type BlockType = Exclude<TensorType, 'F32' | 'F16' | 'BF16'>

/** f16 numbers of a block at their byte offsets, for a scale of 1: what the random bits beside them multiply and subtract. */
const halvesOf: Readonly<Record<Exclude<BlockType, 'MXFP4'>, readonly (readonly [at: number, value: number])[]>> = {
  Q4_0: [[0, 1 / 8]],
  Q4_1: [
    [0, 1 / 7.5],
    [2, -1],
  ],
  Q5_0: [[0, 1 / 16]],
  Q5_1: [
    [0, 1 / 15.5],
    [2, -1],
  ],
  Q8_0: [[0, 1 / 128]],
  Q2_K: [
    [80, 1 / 23],
    [82, 1 / 15],
  ],
  Q3_K: [[108, 1 / 64]],
  Q4_K: [
    [0, 1 / 473],
    [2, 1 / 63],
  ],
  Q5_K: [
    [0, 1 / 977],
    [2, 1 / 63],
  ],
  Q6_K: [[208, 1 / 2048]],
  IQ4_NL: [[0, 1 / 127]],
  IQ4_XS: [[0, 1 / 2048]],
}

function quantized(type: BlockType, count: number, scale: number, random: RandomBits): Uint8Array {
  const bytesPerBlock = blockBytes(type)
  const bytes = Uint8Array.from({ length: (count / blockSize(type)) * bytesPerBlock }, () => random() & 255)
  const view = new DataView(bytes.buffer)
  for (let at = 0; at < bytes.byteLength; at += bytesPerBlock) {
    // The largest value of a block is 6 · 2^(e − 127).
    if (type === 'MXFP4') view.setUint8(at, 127 + Math.floor(Math.log2(scale / 4)))
    else for (const [offset, value] of halvesOf[type]) view.setUint16(at + offset, halfBits(scale * value), true)
  }
  return bytes
}

const bitsOf = new DataView(new ArrayBuffer(4))

function floatBits(value: number): number {
  bitsOf.setFloat32(0, value)
  return bitsOf.getUint32(0)
}

/** A half near `value`: truncated where it is normal. */
function halfBits(value: number): number {
  const bits = floatBits(value)
  const sign = (bits >>> 16) & 0x8000
  const exponent = ((bits >>> 23) & 255) - 127 + 15
  if (exponent <= 0) return sign | Math.min(0x3ff, Math.round(Math.abs(value) * 2 ** 24))
  return sign | (exponent << 10) | ((bits >>> 13) & 0x3ff)
}

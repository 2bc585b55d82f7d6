/** The CPU twin's arithmetic: plain loops, sums in f64 in one order, results rounded to f32 where the GPU stores f32. */

import type { ManifestTensor, ModelConfig } from '../../model/index.ts'
import { attendHead } from './attention.ts'
import { gelu, silu, softCap, sumPowers } from './math.ts'
import { FileMatrix } from './matrix.ts'
import type { Arithmetic, Attention, CpuRow, Processor, Rotation } from './processor.ts'
import { rotateRow } from './rope.ts'

export const plainProcessor: Processor = {
  info: { engine: 'cpu', adapter: 'CPU (JavaScript)', numericClass: 'cpu-f64-3', kvType: 'f32' },
  matrixBytes: ({ byteLength }) => byteLength,
  extraBytes: () => 0,
  start: (config) => new PlainArithmetic(config),
  dispose: () => undefined,
}

class PlainArithmetic implements Arithmetic {
  readonly #config: ModelConfig
  #rows: readonly CpuRow[] = []

  constructor(config: ModelConfig) {
    this.#config = config
  }

  floats(count: number): Float32Array {
    return new Float32Array(count)
  }

  matrix(tensor: ManifestTensor, bytes: Uint8Array): FileMatrix {
    return FileMatrix.ofTensor(tensor, bytes)
  }

  rmsNorm(x: Float32Array, weight: Float32Array, count: number, y: Float32Array): void {
    const width = weight.length
    for (let row = 0; row < count; row++) {
      let squares = 0
      for (let i = 0; i < width; i++) squares += (x[row * width + i] ?? 0) ** 2
      const scale = 1 / Math.sqrt(squares / width + this.#config.rmsEpsilon)
      for (let i = 0; i < width; i++) y[row * width + i] = (x[row * width + i] ?? 0) * scale * (weight[i] ?? 0)
    }
  }

  add(x: Float32Array, delta: Float32Array, count: number): void {
    for (let i = 0; i < count; i++) x[i] = (x[i] ?? 0) + (delta[i] ?? 0)
  }

  gateUp(activation: 'silu' | 'gelu', gate: Float32Array, up: Float32Array, count: number): void {
    const activate = activation === 'silu' ? silu : gelu
    for (let i = 0; i < count; i++) gate[i] = activate(gate[i] ?? 0) * (up[i] ?? 0)
  }

  softCap(x: Float32Array, cap: number, count: number): void {
    for (let i = 0; i < count; i++) x[i] = softCap(x[i] ?? 0, cap)
  }

  sumPowers(x: Float32Array, greatest: number, count: number): number {
    return sumPowers(x, greatest, count)
  }

  rotate({ vectors, count, heads, angles }: Rotation): void {
    for (let row = 0; row < count; row++) rotateRow(this.#config, vectors, row, heads, angles)
  }

  takeRows(rows: readonly CpuRow[]): void {
    this.#rows = rows
  }

  attend(attention: Attention): void {
    this.#rows.forEach((row, index) => {
      for (let head = 0; head < this.#config.headCount; head++) attendHead(this.#config, attention, row, index, head)
    })
  }

  release(): void {
    // Buffers are the garbage collector's.
  }
}

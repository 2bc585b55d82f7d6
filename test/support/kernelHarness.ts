/**
 * Runs one kernel once on the process's adapter, with guard words behind every buffer that it may write. References and
 * tolerances stay beside each test.
 */

import { expect } from 'vitest'
import {
  type Kernel,
  KernelDevice,
  ROW_WORDS,
  type SubgroupInfo,
  WORK_STRIDE_BYTES,
  type Work,
  type WorkBinding,
  writeWork,
} from '../../src/kernels/index.ts'
import type { TensorType } from '../../src/model/index.ts'
import { openNodeGpu, readShader } from '../../src/node/index.ts'
import { required } from '../../src/shared/index.ts'
import { randomBits, randomBlocks } from './randomBlocks.ts'

const GUARD_WORDS = 64
const GUARD = 0xdeadbeef

/** What the kernel reads through group 1. */
export interface WorkInput {
  readonly work?: Partial<Work>
  readonly rows?: readonly { readonly position?: number; readonly table?: number; readonly token?: number }[]
  readonly tables?: readonly number[]
  readonly angles?: Float32Array
}

export class KernelHarness {
  readonly #device: GPUDevice
  readonly #kernels: KernelDevice

  /** What the adapter says of its subgroups. */
  readonly subgroups: SubgroupInfo

  private constructor(device: GPUDevice, info: GPUAdapterInfo) {
    this.#device = device
    this.subgroups = { subgroups: device.features.has('subgroups'), subgroupMinSize: info.subgroupMinSize ?? 0 }
    this.#kernels = new KernelDevice(device, readShader)
  }

  static async open(): Promise<KernelHarness> {
    const { device, info } = await openNodeGpu()
    return new KernelHarness(device, info)
  }

  close(): void {
    this.#device.destroy()
  }

  /**
   * `buffers` in the order of the kernel's bindings, without the uniform. Resolves to the words of each `write` binding
   * afterwards, in order; fails the test when a guard was touched.
   */
  async run<Variant, Shape, Extent>(
    kernel: Kernel<Variant, Shape, Extent>,
    variant: Variant,
    shape: Shape,
    extent: Extent,
    buffers: readonly (Float32Array | Uint32Array)[],
    input: WorkInput = {},
  ): Promise<Uint32Array[]> {
    const names = buffers.map((_, index) => String(index))
    const writtenNames = names.filter((_, index) => kernel.bindings[index] === 'write')
    const words = Object.fromEntries(buffers.map((values, index) => [String(index), values]))
    const results = await this.#record(words, writtenNames, input, async (bound) => {
      const dispatch = await this.#kernels.prepare(kernel, variant, shape, names.map(bound))
      return (pass, work) => dispatch(pass, extent, work)
    })
    return writtenNames.map((name) => required(results.get(name), name))
  }

  /**
   * The same for what is made of several dispatches: `prepare` binds them to buffers by name, and what it resolves to encodes
   * them. Resolves to the floats of the buffers named in `written`.
   */
  async runMany<Name extends string, Written extends Name>(
    buffers: Readonly<Record<Name, Float32Array | Uint32Array>>,
    written: readonly Written[],
    prepare: (kernels: KernelDevice, bound: (name: Name) => GPUBuffer) => Promise<(pass: GPUComputePassEncoder, work: WorkBinding) => void>,
    input: WorkInput = {},
  ): Promise<Record<Written, Float32Array>> {
    const results = await this.#record<Name>(buffers, written, input, (bound) => prepare(this.#kernels, bound))
    return Object.fromEntries(written.map((name) => [name, asFloats(results.get(name))])) as Record<Written, Float32Array>
  }

  /** Uploads, encodes one pass, reads the buffers named in `written` back and checks the guard words behind them. */
  async #record<Name extends string>(
    buffers: Readonly<Record<Name, Float32Array | Uint32Array>>,
    written: readonly Name[],
    input: WorkInput,
    prepare: (bound: (name: Name) => GPUBuffer) => Promise<(pass: GPUComputePassEncoder, work: WorkBinding) => void>,
  ): Promise<Map<Name, Uint32Array>> {
    const device = this.#device
    const uploaded = new Map<Name, GPUBuffer>()
    const bound = (name: Name) => required(uploaded.get(name), name)
    for (const [name, words] of Object.entries<Float32Array | Uint32Array>(buffers)) {
      const isWritten = written.some((other) => other === name)
      uploaded.set(name as Name, this.#upload(words, isWritten ? GUARD_WORDS : 0))
    }
    const encode = await prepare(bound)
    const encoder = device.createCommandEncoder()
    const pass = encoder.beginComputePass()
    encode(pass, { group: this.#workGroup(input), index: 0 })
    pass.end()
    const staging = written.map((name) => {
      const { size } = bound(name)
      const copy = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST })
      encoder.copyBufferToBuffer(bound(name), 0, copy, 0, size)
      return { name, copy }
    })
    device.pushErrorScope('validation')
    device.queue.submit([encoder.finish()])
    expect(await device.popErrorScope()).toBeNull()
    const results = new Map<Name, Uint32Array>()
    for (const { name, copy } of staging) {
      await copy.mapAsync(GPUMapMode.READ)
      const words = new Uint32Array(copy.getMappedRange()).slice()
      const guard = words.subarray(words.length - GUARD_WORDS)
      expect(
        guard.every((word) => word === GUARD),
        `guard words of ${name}`,
      ).toBe(true)
      results.set(name, words.subarray(0, words.length - GUARD_WORDS))
      copy.destroy()
    }
    for (const buffer of uploaded.values()) buffer.destroy()
    return results
  }

  #upload(values: Float32Array | Uint32Array, guardWords: number): GPUBuffer {
    const words = new Uint32Array(values.length + guardWords).fill(GUARD)
    words.set(new Uint32Array(values.buffer, values.byteOffset, values.length))
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST
    const buffer = this.#device.createBuffer({ size: 4 * words.length, usage })
    this.#device.queue.writeBuffer(buffer, 0, words)
    return buffer
  }

  #workGroup({ work, rows = [{}], tables = [0], angles = new Float32Array(2) }: WorkInput): GPUBindGroup {
    const works = new Uint32Array(WORK_STRIDE_BYTES / 4)
    writeWork(works, 0, { rowBase: 0, rowFirst: 0, rowCount: 1, ioWord: 0, topK: 0, selected: [], ...work })
    const words = new Uint32Array(rows.length * ROW_WORDS)
    for (const [index, row] of rows.entries()) words.set([row.position ?? 0, row.table ?? 0, row.token ?? 0], index * ROW_WORDS)
    const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST
    const uniform = this.#device.createBuffer({ size: works.byteLength, usage })
    this.#device.queue.writeBuffer(uniform, 0, works)
    return this.#kernels.workGroup(uniform, this.#upload(words, 0), this.#upload(Uint32Array.from(tables), 0), this.#upload(angles, 0))
  }
}

export function asFloats(words: Uint32Array | undefined): Float32Array {
  return words === undefined ? new Float32Array() : new Float32Array(words.buffer, words.byteOffset, words.length)
}

/** Σ(actual − expected)² / Σ expected²; NaN anywhere is NaN, which no bound admits. */
export function nmse(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length)
  let error = 0
  let power = 0
  for (let index = 0; index < expected.length; index++) {
    error += ((actual[index] ?? 0) - (expected[index] ?? 0)) ** 2
    power += (expected[index] ?? 0) ** 2
  }
  return error / power
}

/** Seeded numbers in [−1, 1): mulberry32. */
export function seededValues(seed: number, count: number): Float32Array<ArrayBuffer> {
  let state = seed
  return Float32Array.from({ length: count }, () => {
    state = (state + 0x6d2b79f5) | 0
    let bits = Math.imul(state ^ (state >>> 15), 1 | state)
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 31 - 1
  })
}

/** Random valid blocks of a tensor type, [outputs, columns], with small finite scales. */
export function seededBlocks(type: TensorType, seed: number, count: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(randomBlocks(type, count, 1 / 16, randomBits(seed)))
}

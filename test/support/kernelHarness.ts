/**
 * Runs one kernel once on the process's adapter, with guard words behind every buffer that it may write. References and
 * tolerances stay beside each test.
 */

import { expect } from 'vitest'
import { type Kernel, KernelDevice, ROW_WORDS, WORK_STRIDE_BYTES, type Work, type WorkBinding, writeWork } from '../../src/kernels/index.ts'
import { openNodeGpu, readShader } from '../../src/node/index.ts'
import { required } from '../../src/shared/index.ts'

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

  private constructor(device: GPUDevice) {
    this.#device = device
    this.#kernels = new KernelDevice(device, readShader)
  }

  static async open(): Promise<KernelHarness> {
    const { device } = await openNodeGpu()
    return new KernelHarness(device)
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
    const results = await this.#record(buffers, written, input, (bound) => prepare(this.#kernels, bound))
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
export function seededBlocks(type: 'F32' | 'F16' | 'BF16' | 'Q4_1' | 'Q8_0', seed: number, count: number): Uint8Array<ArrayBuffer> {
  if (type === 'F32') return new Uint8Array(seededValues(seed, count).buffer)
  const noise = new Uint8Array(seededValues(seed, Math.ceil(count * 2)).buffer.slice(0))
  const bytes = new Uint8Array({ F16: count * 2, BF16: count * 2, Q4_1: (count / 32) * 20, Q8_0: (count / 32) * 34 }[type])
  for (let index = 0; index < bytes.length; index++) bytes[index] = noise[4 * index + 1] ?? noise[index] ?? 0
  const view = new DataView(bytes.buffer)
  // Exponents that keep every value finite and of moderate size: f16 around 2^-6, bf16 around 1.
  const tame = (at: number, exponent: number, mask: number) => view.setUint16(at, (view.getUint16(at, true) & mask) | exponent, true)
  if (type === 'F16') for (let at = 0; at < bytes.length; at += 2) tame(at, 0x2400, 0x83ff)
  if (type === 'BF16') for (let at = 0; at < bytes.length; at += 2) tame(at, 0x3f00, 0x80ff)
  if (type === 'Q8_0') for (let at = 0; at < bytes.length; at += 34) tame(at, 0x1400, 0x03ff)
  if (type === 'Q4_1')
    for (let at = 0; at < bytes.length; at += 20) {
      tame(at, 0x2400, 0x83ff)
      tame(at + 2, 0xa800, 0x03ff)
    }
  return bytes
}

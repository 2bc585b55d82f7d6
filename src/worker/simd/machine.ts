/**
 * SimdMachine: one WebAssembly memory with the kernels over it, for one loaded span. It is as large as the span needs from the start and
 * is dropped as a whole. Helpers, if there are any, run the same kernels over the same memory in threads of their own.
 */

import { assert } from '../../shared/index.ts'
import { EngineError } from '../errors.ts'
import type { OPERATIONS } from './operations.ts'

/** The compiled kernels, with what runs them. */
export interface SimdHost {
  readonly module: WebAssembly.Module
  /** Whether the module takes a memory that threads share. */
  readonly shared: boolean
  /** Threads that compute beside the caller's; none without shared memory. */
  readonly helpers: readonly SimdHelper[]
}

/** A thread that is there from the engine's birth to its end. */
export interface SimdHelper {
  /** Instantiates the module over the memory and calls `serve(thread)`, which returns when the machine is released. */
  start(module: WebAssembly.Module, memory: WebAssembly.Memory, thread: number): void
  terminate(): void
}

/** What the kernels export, see assembly/index.ts. */
interface SimdExports {
  run(): void
  serve(thread: number): void
  stop(): void
}

const PAGE_BYTES = 65_536
/** A 32-bit address reaches so far. */
const PAGES_MAX = 65_536
/** Bytes of the control block, and where its arguments begin: assembly/control.ts and arguments.ts. */
const CONTROL_BYTES = 1024
const ARGUMENTS_AT = 512
/** Arguments before an operation's own. */
const FIRST_OPERAND = 3
/** Chunks are counted in 16 bits. */
const CHUNKS_MAX = 65_535
/** A cache line: what two threads write never shares one. */
const ALIGNMENT = 64

/** Bytes that `count` allocations of together `bytes` bytes take at most, whole pages. */
export function machineBytes(bytes: number, count: number): number {
  return Math.ceil((CONTROL_BYTES + bytes + 2 * count * ALIGNMENT) / PAGE_BYTES) * PAGE_BYTES
}

/** The kernels over a memory, for one thread. */
export function instantiateKernels(module: WebAssembly.Module, memory: WebAssembly.Memory): SimdExports {
  // What the module exports is known from its source, not to the compiler.
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as SimdExports
}

export class SimdMachine {
  readonly memory: WebAssembly.Memory
  readonly #exports: SimdExports
  readonly #arguments: Int32Array
  readonly #argumentFloats: Float32Array
  #end = CONTROL_BYTES

  /** Throws an EngineError `does-not-fit` where WebAssembly or this computer has no such memory. */
  constructor({ module, shared, helpers }: SimdHost, bytes: number) {
    const pages = Math.ceil(bytes / PAGE_BYTES)
    this.memory = createMemory(pages, shared)
    this.#exports = instantiateKernels(module, this.memory)
    this.#arguments = new Int32Array(this.memory.buffer, ARGUMENTS_AT)
    this.#argumentFloats = new Float32Array(this.memory.buffer, ARGUMENTS_AT)
    helpers.forEach((helper, index) => {
      helper.start(module, this.memory, index + 1)
    })
  }

  /** A pointer to zeroed bytes; some more behind them may be read and written. */
  allocate(bytes: number): number {
    const at = this.#end
    this.#end = Math.ceil((at + bytes + ALIGNMENT) / ALIGNMENT) * ALIGNMENT
    assert(this.#end <= this.memory.buffer.byteLength, `the span needs more than the ${this.memory.buffer.byteLength} bytes planned`)
    return at
  }

  floats(count: number): Float32Array {
    return new Float32Array(this.memory.buffer, this.allocate(4 * count), count)
  }

  /** The pointer that an operation takes. */
  pointerTo(values: Float32Array): number {
    assert(values.buffer === this.memory.buffer, 'values outside of the memory of the kernels')
    return values.byteOffset
  }

  /** Sets operand `index` of the next operation, an f32. */
  setFloat(index: number, value: number): void {
    this.#argumentFloats[FIRST_OPERAND + index] = value
  }

  setIntegers(index: number, ...values: readonly number[]): void {
    this.#arguments.set(values, FIRST_OPERAND + index)
  }

  /** Computes `items` items, whose operands must have been set; a thread takes about `itemsAtOnce` at a time. */
  run(operation: (typeof OPERATIONS)[keyof typeof OPERATIONS], items: number, itemsAtOnce: number): void {
    this.#arguments[0] = operation
    this.#arguments[1] = items
    this.#arguments[2] = Math.max(1, Math.ceil(itemsAtOnce), Math.ceil(items / CHUNKS_MAX))
    this.#exports.run()
  }

  /** Sends helpers home; they can serve another machine then. */
  release(): void {
    this.#exports.stop()
  }
}

function createMemory(pages: number, shared: boolean): WebAssembly.Memory {
  const megabytes = Math.ceil((pages * PAGE_BYTES) / 1e6)
  if (pages > PAGES_MAX)
    throw new EngineError('does-not-fit', `the span takes ${megabytes} MB, but WebAssembly addresses 4,295 MB; take fewer layers`)
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared })
  } catch (cause) {
    const message = `this computer has no ${megabytes} MB of memory left for the span; pledge less, or close other programs`
    throw new EngineError('does-not-fit', message, { cause })
  }
}

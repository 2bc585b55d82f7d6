/**
 * The processor of a tab without a GPU: our own kernels in WebAssembly, with SIMD and, where the page is isolated, threads. Every sum has one
 * order whatever the number of threads, and the kernels use only what all machines compute alike: equal classes give equal bits on
 * every computer. Why not a library's: docs/decisions/0151-simd-kernels.md.
 */

import type { ManifestTensor, ModelConfig } from '../../model/index.ts'
import type { Arithmetic, Attention, CpuRow, Matrix, Processor, ProcessorNeeds, Rotation } from '../cpu/processor.ts'
import { pairSteps } from '../cpu/rope.ts'
import type { EngineInfo } from '../engine.ts'
import { KV_BLOCK_POSITIONS, type KvSlot } from '../kvBlocks.ts'
import { machineBytes, type SimdHost, SimdMachine } from './machine.ts'
import {
  allocateRoundedRows,
  createSimdMatrix,
  MATRIX_ALLOCATIONS,
  type RoundedRows,
  roundedRowsBytes,
  simdMatrixBytes,
} from './matrices.ts'
import { CHUNK_WORK, OPERATIONS } from './operations.ts'

/** Raised whenever the arithmetic changes. */
const SIMD_VERSION = 'wasm-simd-1'
/** What a thread takes beside the memory of the kernels: a worker with its stack and heap. */
const THREAD_BYTES = 4 * 1024 * 1024
/** Four values are written at a time. */
const SCORES_SLACK = 8
/** How much dearer than a multiplication a value is that goes through e^x. */
const EXPONENTIAL_WORK = 8
/** Of four values; fixed, since sums depend on it. */
const POWER_ITEMS = 1024

export function createSimdProcessor(host: SimdHost): Processor {
  const threads = host.helpers.length + 1
  const adapter = `CPU (WebAssembly, ${threads} thread${threads === 1 ? '' : 's'})`
  const info: EngineInfo = { engine: 'wasm', adapter, numericClass: `${SIMD_VERSION} math-${mathClass()}`, kvType: 'f32' }
  return {
    info,
    matrixBytes: simdMatrixBytes,
    extraBytes: (config, needs) => spanBytes(host, config, needs) - 4 * needs.bufferFloats - needs.matrixBytes + threads * THREAD_BYTES,
    start: (config, needs) => new SimdArithmetic(host, config, needs),
    dispose() {
      for (const helper of host.helpers) helper.terminate()
    },
  }
}

/** How JavaScript's engine rounds what it is left to: angles, and experts' shares, come from there. Eight hexadecimal digits. */
function mathClass(): string {
  const values = Float64Array.from({ length: 256 }, (_, index) => {
    const x = 37.1 * (index >> 2) + 0.3
    return [Math.cos(x), Math.sin(x), Math.exp(-x / 100), Math.log(x)][index % 4] ?? 0
  })
  const hash = new Uint32Array(values.buffer).reduce((sum, word) => Math.imul(sum ^ word, 16_777_619), 2_166_136_261)
  return (hash >>> 0).toString(16).padStart(8, '0')
}

/** Bytes of what this processor keeps for itself beside rounded rows. */
interface OwnBytes {
  readonly scores: number
  readonly places: number
  readonly tables: number
  readonly powerSums: number
}

function ownBytes({ helpers }: SimdHost, config: ModelConfig, { rows, kvPositions }: ProcessorNeeds): OwnBytes {
  const { vocabularySize } = config
  return {
    scores: 4 * (helpers.length + 1) * (kvPositions + SCORES_SLACK),
    places: 2 * 4 * rows,
    tables: (4 * kvPositions) / KV_BLOCK_POSITIONS,
    powerSums: 8 * Math.ceil(vocabularySize / (4 * POWER_ITEMS)),
  }
}

/** Of the widest matrix. */
function columnsMax({ headCount, headSize, width, feedForwardWidth }: ModelConfig): number {
  return Math.max(width, headCount * headSize, feedForwardWidth)
}

function spanBytes(host: SimdHost, config: ModelConfig, needs: ProcessorNeeds): number {
  const own = [...Object.values(ownBytes(host, config, needs)), ...roundedRowsBytes(needs.rows, columnsMax(config))]
  const allocations = own.length + needs.buffers + needs.matrices * MATRIX_ALLOCATIONS
  return machineBytes(needs.matrixBytes + 4 * needs.bufferFloats + own.reduce((sum, bytes) => sum + bytes, 0), allocations)
}

class SimdArithmetic implements Arithmetic {
  readonly #config: ModelConfig
  readonly #machine: SimdMachine
  readonly #scores: number
  readonly #scoresPerThread: number
  readonly #rounded: RoundedRows
  /** Of each row of the pass: the pointer to its slot's blocks, its position. */
  readonly #places: Int32Array
  readonly #tables: Uint32Array
  /** Of each chunk. */
  readonly #powerSums: Float64Array
  #rowCount = 0
  #positionsMax = 0

  constructor(host: SimdHost, config: ModelConfig, needs: ProcessorNeeds) {
    this.#config = config
    const machine = new SimdMachine(host, spanBytes(host, config, needs))
    this.#machine = machine
    const own = ownBytes(host, config, needs)
    this.#scores = machine.allocate(own.scores)
    this.#scoresPerThread = needs.kvPositions + SCORES_SLACK
    this.#rounded = allocateRoundedRows(machine, needs.rows, columnsMax(config))
    this.#places = new Int32Array(machine.memory.buffer, machine.allocate(own.places), own.places / 4)
    this.#tables = new Uint32Array(machine.memory.buffer, machine.allocate(own.tables), own.tables / 4)
    this.#powerSums = new Float64Array(machine.memory.buffer, machine.allocate(own.powerSums), own.powerSums / 8)
  }

  floats(count: number): Float32Array {
    return this.#machine.floats(count)
  }

  matrix(tensor: ManifestTensor, bytes: Uint8Array): Matrix {
    return createSimdMatrix(this.#machine, this.#rounded, tensor, bytes)
  }

  rmsNorm(x: Float32Array, weight: Float32Array, count: number, y: Float32Array): void {
    const machine = this.#machine
    machine.setIntegers(0, machine.pointerTo(x), machine.pointerTo(weight), machine.pointerTo(y), weight.length)
    machine.setFloat(4, this.#config.rmsEpsilon)
    machine.run(OPERATIONS.rmsNorm, count, CHUNK_WORK / weight.length)
  }

  add(x: Float32Array, delta: Float32Array, count: number): void {
    this.#machine.setIntegers(0, this.#machine.pointerTo(x), this.#machine.pointerTo(delta))
    this.#inFours(OPERATIONS.add, count, 1)
  }

  gateUp(activation: 'silu' | 'gelu', gate: Float32Array, up: Float32Array, count: number): void {
    this.#machine.setIntegers(0, this.#machine.pointerTo(gate), this.#machine.pointerTo(up), activation === 'gelu' ? 1 : 0)
    this.#inFours(OPERATIONS.gateUp, count, EXPONENTIAL_WORK)
  }

  softCap(x: Float32Array, cap: number, count: number): void {
    this.#machine.setIntegers(0, this.#machine.pointerTo(x))
    this.#machine.setFloat(1, cap)
    this.#inFours(OPERATIONS.softCap, count, EXPONENTIAL_WORK)
  }

  sumPowers(x: Float32Array, greatest: number, count: number): number {
    const machine = this.#machine
    machine.setIntegers(0, machine.pointerTo(x), this.#powerSums.byteOffset)
    machine.setFloat(2, greatest)
    machine.setIntegers(3, count)
    const items = Math.ceil(count / 4)
    machine.run(OPERATIONS.sumPowers, items, POWER_ITEMS)
    let sum = 0
    for (let chunk = 0; chunk < items / POWER_ITEMS; chunk++) sum += this.#powerSums[chunk] ?? 0
    return sum
  }

  rotate({ vectors, count, heads, angles }: Rotation): void {
    const { ropeDimensions, headSize } = this.#config
    const { apart, stride } = pairSteps(this.#config)
    const machine = this.#machine
    machine.setIntegers(0, machine.pointerTo(vectors), machine.pointerTo(angles), heads, headSize, ropeDimensions / 2, apart, stride)
    machine.run(OPERATIONS.rotate, count, CHUNK_WORK / (4 * heads * ropeDimensions))
  }

  takeRows(rows: readonly CpuRow[]): void {
    const tables = new Map<KvSlot, number>()
    let end = 0
    rows.forEach(({ slot, position }, row) => {
      let at = tables.get(slot)
      if (at === undefined) {
        at = end
        tables.set(slot, at)
        this.#tables.set(slot.blocks, at)
        end += slot.blocks.length
      }
      this.#places[2 * row] = this.#tables.byteOffset + 4 * at
      this.#places[2 * row + 1] = position
    })
    this.#rowCount = rows.length
    this.#positionsMax = rows.reduce((most, { position }) => Math.max(most, position + 1), 1)
  }

  attend({ kv, window, query, output }: Attention): void {
    const { headCount, kvHeadCount, headSize, attentionScale, attentionSoftCap } = this.#config
    const machine = this.#machine
    machine.setIntegers(
      0,
      machine.pointerTo(query),
      machine.pointerTo(kv.keys),
      machine.pointerTo(kv.values),
      machine.pointerTo(output),
      this.#places.byteOffset,
      this.#scores,
      headCount,
      headCount / kvHeadCount,
      headSize,
      kvHeadCount * headSize,
      window ?? 0,
    )
    machine.setFloat(11, attentionScale)
    machine.setFloat(12, attentionSoftCap ?? 0)
    machine.setIntegers(13, this.#scoresPerThread)
    const positions = Math.min(window ?? this.#positionsMax, this.#positionsMax)
    machine.run(OPERATIONS.attend, this.#rowCount * headCount, CHUNK_WORK / (2 * positions * headSize))
  }

  release(): void {
    this.#machine.release()
  }

  /** Four values an item; buffers have room behind their last. */
  #inFours(operation: (typeof OPERATIONS)[keyof typeof OPERATIONS], count: number, workPerValue: number): void {
    this.#machine.run(operation, Math.ceil(count / 4), CHUNK_WORK / (4 * workPerValue))
  }
}

/**
 * Subject of decode attention: one row at the last position over a paged cache. The cache is written by the engine's own ropeKv
 * (with angles of 0, which turn nothing), so that the suite knows nothing of how it lies.
 */

import {
  attention,
  bindAttention,
  type KernelDevice,
  KV_BLOCK,
  type KvType,
  kvBlockBytes,
  partialsBytes,
  ROW_WORDS,
  ropeKv,
  splitCount,
  WORK_STRIDE_BYTES,
  writeWork,
} from '../index.ts'
import type { AttentionData } from './caseData.ts'
import { GpuBuffers } from './gpuBuffers.ts'
import type { Subject } from './subject.ts'

/** Rows that one dispatch writes into the cache. */
const FILL_ROWS = 256
/** Of the prompt path, which is bound along and not timed. */
const PROMPT_TILE = 8

interface Cache {
  readonly keys: GPUBuffer
  readonly values: GPUBuffer
  readonly tables: GPUBuffer
}

export async function attentionSubject(kernels: KernelDevice, kvType: KvType, data: AttentionData): Promise<Subject> {
  const { positions, heads, kvHeads, headSize, query, expected } = data
  const buffers = new GpuBuffers(kernels.device)
  const cache = await fillCache(kernels, buffers, kvType, data)
  const splits = splitCount(positions)
  const shape = { heads, kvHeads, headSize, splits, scale: 1 / Math.sqrt(headSize), softCap: null, window: null }
  const row = new Float32Array((heads + 2 * kvHeads) * headSize)
  row.set(query)
  const qkv = buffers.storage('the query', row)
  const partials = buffers.storage('the partial sums', partialsBytes(shape, 1))
  const output = buffers.storage('the outputs', 4 * heads * headSize)
  const bound = await bindAttention(
    kernels,
    { shape, kvType, promptTile: PROMPT_TILE },
    { qkv, keys: cache.keys, values: cache.values, partials, y: output },
  )
  const work = { group: workGroup(kernels, buffers, cache.tables, [positions - 1], 2), index: 0 }
  const encode = (pass: GPUComputePassEncoder) => bound.decode(pass, { rows: 1, positionLast: positions - 1 }, work)
  const outputs = heads * headSize
  return { encode, output, rowStrideBytes: 4 * outputs, rows: 1, outputs, expected, nmseMax: attention.nmseMax, buffers }
}

async function fillCache(kernels: KernelDevice, buffers: GpuBuffers, kvType: KvType, data: AttentionData): Promise<Cache> {
  const { positions, heads, kvHeads, headSize } = data
  const { device } = kernels
  const blocks = Math.ceil(positions / KV_BLOCK)
  const cacheBytes = blocks * kvBlockBytes(kvType, kvHeads, headSize)
  const keys = buffers.storage('the keys', cacheBytes)
  const values = buffers.storage('the values', cacheBytes)
  // Blocks out of order, as a pool hands them out.
  const tables = buffers.storage(
    'the block table',
    Uint32Array.from({ length: blocks }, (_, block) => blocks - 1 - block),
  )
  const stride = (heads + 2 * kvHeads) * headSize
  const own = new GpuBuffers(device)
  const qkv = own.storage('the rows', 4 * FILL_ROWS * stride)
  const vectors = own.storage('no vectors', 16)
  const variant = { kvType, headSize, pairs: 'adjacent', biases: false, headNorms: false } as const
  const shape = { heads, kvHeads, headSize, ropeDimensions: headSize, angleTable: 0, angleTables: 1, epsilon: 0 }
  const fill = await kernels.prepare(ropeKv, variant, shape, [qkv, keys, values, vectors])
  for (let first = 0; first < positions; first += FILL_ROWS) {
    const count = Math.min(FILL_ROWS, positions - first)
    device.queue.writeBuffer(qkv, 0, cacheRows(data, first, count))
    const rows = Array.from({ length: count }, (_, index) => first + index)
    const encoder = device.createCommandEncoder()
    const pass = encoder.beginComputePass()
    fill(pass, { rows: count }, { group: workGroup(kernels, own, tables, rows, headSize), index: 0 })
    pass.end()
    device.queue.submit([encoder.finish()])
  }
  await device.queue.onSubmittedWorkDone()
  own.destroy()
  return { keys, values, tables }
}

/** [count, queries | keys | values] of positions from `first` on, queries zero. */
function cacheRows({ heads, kvHeads, headSize, keys, values }: AttentionData, first: number, count: number): Float32Array<ArrayBuffer> {
  const part = kvHeads * headSize
  const stride = heads * headSize + 2 * part
  const rows = new Float32Array(count * stride)
  for (let row = 0; row < count; row++) {
    const at = row * stride + heads * headSize
    rows.set(keys.subarray((first + row) * part, (first + row + 1) * part), at)
    rows.set(values.subarray((first + row) * part, (first + row + 1) * part), at + part)
  }
  return rows
}

/** Group 1 for rows at these positions of one slot; every angle is 0. */
function workGroup(
  kernels: KernelDevice,
  buffers: GpuBuffers,
  tables: GPUBuffer,
  positions: readonly number[],
  dimensions: number,
): GPUBindGroup {
  const works = new Uint32Array(WORK_STRIDE_BYTES / 4)
  writeWork(works, 0, { rowBase: 0, rowFirst: 0, rowCount: positions.length, ioWord: 0, topK: 0, selected: [] })
  const rows = new Uint32Array(positions.length * ROW_WORDS)
  for (const [index, position] of positions.entries()) rows[index * ROW_WORDS] = position
  const angles = Float32Array.from({ length: positions.length * dimensions }, (_, index) => (index % 2 === 0 ? 1 : 0))
  return kernels.workGroup(buffers.uniform('work', works), buffers.storage('rows', rows), tables, buffers.storage('angles', angles))
}

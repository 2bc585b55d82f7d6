/**
 * Attention over the paged cache: takes what `enter` gives, norms and rotates queries and keys, writes keys and values, and lets ONNX
 * Runtime attend. Prompt rows attend in tiles of TILE_ROWS, filled up with copies of the last row; decode rows one by one. A row's kind thus
 * fixes the shape of every product that it goes through.
 */

import { writeRopeAngles } from '../../kernels/index.ts'
import { architectureTraits, attentionWidths, type ModelConfig } from '../../model/index.ts'
import type { RowKind } from '../../protocol/index.ts'
import { required } from '../../shared/index.ts'
import { KV_BLOCK_POSITIONS, type KvSlot } from '../kvBlocks.ts'
import { attentionGraph, headsPerGroup } from './attentionGraph.ts'
import { qkvWidth } from './layerGraphs.ts'
import { TILE_ROWS } from './memory.ts'
import { OrtGraph, type OrtRuntime } from './runtime.ts'

/** Consecutive positions of one slot and kind, at `index` among the rows of the pass. */
export interface RowRun {
  readonly slot: KvSlot
  readonly kind: RowKind
  readonly index: number
  readonly firstPosition: number
  readonly count: number
}

/** Keys and values of one layer: [blocks, KV heads, KV_BLOCK_POSITIONS, head size] each. */
export interface LayerKv {
  readonly keys: Float32Array
  readonly values: Float32Array
}

/** What one layer does before it attends. */
export interface LayerAttention {
  readonly kv: LayerKv
  /** Radians a position of each rotated pair; equal objects for equal rotations. */
  readonly frequencies: Float64Array
  /** Positions that a row sees, its own included; null: all. */
  readonly window: number | null
  /** Weights of the norms of each head's query and key; null: they are not normed. */
  readonly headNorms: { readonly query: Float32Array; readonly key: Float32Array } | null
}

/** Angles of the rows of a pass, by frequencies. */
export type PassAngles = Map<Float64Array, Float32Array>

export class Attention {
  readonly #config: ModelConfig
  readonly #graph: OrtGraph
  readonly #halves: boolean

  private constructor(config: ModelConfig, graph: OrtGraph) {
    this.#config = config
    this.#graph = graph
    this.#halves = architectureTraits(config.architecture).ropePairs === 'halves'
  }

  static async create(runtime: OrtRuntime, config: ModelConfig): Promise<Attention> {
    return new Attention(config, await OrtGraph.createWhole(runtime, attentionGraph(config)))
  }

  release(): void {
    this.#graph.release()
  }

  /** `qkv` [rows, qkvWidth] → [rows, query width]; appends the runs' keys and values. Turns `qkv` in place. */
  async attend(layer: LayerAttention, runs: readonly RowRun[], qkv: Float32Array, angles: PassAngles): Promise<Float32Array> {
    const { query: queryWidth } = attentionWidths(this.#config)
    const attended = new Float32Array((qkv.length / qkvWidth(this.#config)) * queryWidth)
    for (const run of runs) this.#prepare(layer, run, qkv, required(angles.get(layer.frequencies), 'angles of the layer'))
    for (const run of runs) {
      const tileRows = run.kind === 'prompt' ? TILE_ROWS : 1
      for (let from = 0; from < run.count; from += tileRows) {
        const tile = {
          ...run,
          index: run.index + from,
          firstPosition: run.firstPosition + from,
          count: Math.min(tileRows, run.count - from),
        }
        await this.#attendTile(layer, tile, tileRows, qkv, attended)
      }
    }
    return attended
  }

  /** Norms, rotates, and writes keys and values. */
  #prepare({ kv, headNorms }: LayerAttention, run: RowRun, qkv: Float32Array, angles: Float32Array): void {
    const { headCount, kvHeadCount, headSize, rmsEpsilon } = this.#config
    const width = qkvWidth(this.#config)
    const pairs = this.#config.ropeDimensions / 2
    for (let row = 0; row < run.count; row++) {
      const at = (run.index + row) * width
      for (let head = 0; head < headCount + kvHeadCount; head++) {
        const from = at + head * headSize
        if (headNorms !== null) normHead(qkv, from, head < headCount ? headNorms.query : headNorms.key, rmsEpsilon)
        turnHead(qkv, from, angles, 2 * pairs * (run.index + row), pairs, this.#halves)
      }
      this.#writeKv(kv, run.slot, run.firstPosition + row, qkv, at + headCount * headSize)
    }
  }

  #writeKv(kv: LayerKv, slot: KvSlot, position: number, qkv: Float32Array, keysAt: number): void {
    const { kvHeadCount, headSize } = this.#config
    const block = required(slot.blocks[Math.floor(position / KV_BLOCK_POSITIONS)], `block of position ${position}`)
    const headFloats = KV_BLOCK_POSITIONS * headSize
    const blockAt = block * kvHeadCount * headFloats
    const offset = position % KV_BLOCK_POSITIONS
    // What an earlier session left behind is multiplied by zero later; NaN would survive that.
    if (offset === 0) kv.values.fill(0, blockAt, blockAt + kvHeadCount * headFloats)
    for (let head = 0; head < kvHeadCount; head++) {
      const to = blockAt + head * headFloats + offset * headSize
      const from = keysAt + head * headSize
      kv.keys.set(qkv.subarray(from, from + headSize), to)
      kv.values.set(qkv.subarray(from + kvHeadCount * headSize, from + (kvHeadCount + 1) * headSize), to)
    }
  }

  async #attendTile(layer: LayerAttention, tile: RowRun, tileRows: number, qkv: Float32Array, attended: Float32Array): Promise<void> {
    const { kvHeadCount, headSize } = this.#config
    const m = tileRows * headsPerGroup(this.#config)
    const firstSeen = layer.window === null ? 0 : Math.max(0, tile.firstPosition - layer.window + 1)
    const firstBlock = Math.floor(firstSeen / KV_BLOCK_POSITIONS)
    const endBlock = Math.floor((tile.firstPosition + tile.count - 1) / KV_BLOCK_POSITIONS) + 1
    const blocks = tile.slot.blocks.subarray(firstBlock, endBlock)
    const kvDims = [blocks.length, kvHeadCount, KV_BLOCK_POSITIONS, headSize]
    const blockFloats = kvHeadCount * KV_BLOCK_POSITIONS * headSize
    const seen = this.#seen(tile, m, layer.window)
    const keyPosition = Float32Array.from(
      { length: blocks.length * KV_BLOCK_POSITIONS },
      (_, index) => firstBlock * KV_BLOCK_POSITIONS + index,
    )
    const { attention } = await this.#graph.run(
      {
        query: { data: this.#tileQueries(tile, tileRows, qkv), dims: [1, kvHeadCount, m, headSize] },
        keys: { data: gatherBlocks(layer.kv.keys, blocks, blockFloats), dims: kvDims },
        values: { data: gatherBlocks(layer.kv.values, blocks, blockFloats), dims: kvDims },
        key_position: { data: keyPosition, dims: [blocks.length, 1, 1, KV_BLOCK_POSITIONS] },
        first_seen: { data: seen.first, dims: [1, 1, m, 1] },
        last_seen: { data: seen.last, dims: [1, 1, m, 1] },
      },
      ['attention'],
    )
    this.#putRows(tile, m, attention, attended)
  }

  /** First and last position that each row of the tile sees, once for each query head of a group. */
  #seen(tile: RowRun, m: number, window: number | null): { first: Float32Array; last: Float32Array } {
    const group = headsPerGroup(this.#config)
    const last = Float32Array.from({ length: m }, (_, index) => tile.firstPosition + Math.min(Math.floor(index / group), tile.count - 1))
    return { first: window === null ? new Float32Array(m) : last.map((position) => Math.max(0, position - window + 1)), last }
  }

  /** Scaled queries of the tile [KV heads, tileRows × group, head size]; rows behind the tile's last repeat it. */
  #tileQueries(tile: RowRun, tileRows: number, qkv: Float32Array): Float32Array {
    const { headSize, kvHeadCount, attentionScale } = this.#config
    const group = headsPerGroup(this.#config)
    const groupFloats = group * headSize
    const queries = new Float32Array(kvHeadCount * tileRows * groupFloats)
    for (let row = 0; row < tileRows; row++) {
      const from = (tile.index + Math.min(row, tile.count - 1)) * qkvWidth(this.#config)
      for (let head = 0; head < kvHeadCount; head++) {
        queries.set(qkv.subarray(from + head * groupFloats, from + (head + 1) * groupFloats), (head * tileRows + row) * groupFloats)
      }
    }
    for (let i = 0; i < queries.length; i++) queries[i] = (queries[i] ?? 0) * attentionScale
    return queries
  }

  #putRows(tile: RowRun, m: number, attention: Float32Array, attended: Float32Array): void {
    const { headSize, kvHeadCount } = this.#config
    const groupFloats = headsPerGroup(this.#config) * headSize
    for (let row = 0; row < tile.count; row++) {
      for (let head = 0; head < kvHeadCount; head++) {
        const from = head * m * headSize + row * groupFloats
        attended.set(attention.subarray(from, from + groupFloats), ((tile.index + row) * kvHeadCount + head) * groupFloats)
      }
    }
  }
}

/** Angles of every row of a pass for each kind of rotation among the layers. */
export function passAngles(config: ModelConfig, layers: Iterable<LayerAttention>, runs: readonly RowRun[], rowCount: number): PassAngles {
  const angles: PassAngles = new Map()
  for (const { frequencies } of layers) {
    if (angles.has(frequencies)) continue
    const table = new Float32Array(rowCount * config.ropeDimensions)
    for (const run of runs) {
      for (let row = 0; row < run.count; row++) {
        const at = (run.index + row) * config.ropeDimensions
        writeRopeAngles(table, at, run.firstPosition + row, frequencies, config.ropeMagnitude)
      }
    }
    angles.set(frequencies, table)
  }
  return angles
}

/** The blocks one behind the other: without a copy where they lie so. */
function gatherBlocks(pool: Float32Array, blocks: Uint32Array, blockFloats: number): Float32Array {
  const first = required(blocks[0], 'a block')
  if (blocks.every((block, index) => block === first + index))
    return pool.subarray(first * blockFloats, (first + blocks.length) * blockFloats)
  const gathered = new Float32Array(blocks.length * blockFloats)
  blocks.forEach((block, index) => {
    gathered.set(pool.subarray(block * blockFloats, (block + 1) * blockFloats), index * blockFloats)
  })
  return gathered
}

/** x / √(mean(x²) + ε) · weight of one head, in place. */
function normHead(values: Float32Array, from: number, weight: Float32Array, epsilon: number): void {
  let squares = 0
  for (let i = 0; i < weight.length; i++) squares += (values[from + i] ?? 0) ** 2
  const scale = 1 / Math.sqrt(squares / weight.length + epsilon)
  for (let i = 0; i < weight.length; i++) values[from + i] = (values[from + i] ?? 0) * scale * (weight[i] ?? 0)
}

/** Turns the leading 2 × pairs elements of one head by [pairs, (cos, sin)]. */
function turnHead(values: Float32Array, from: number, angles: Float32Array, anglesAt: number, pairs: number, halves: boolean): void {
  for (let pair = 0; pair < pairs; pair++) {
    const a = halves ? from + pair : from + 2 * pair
    const b = halves ? a + pairs : a + 1
    const cosine = angles[anglesAt + 2 * pair] ?? 0
    const sine = angles[anglesAt + 2 * pair + 1] ?? 0
    const x = values[a] ?? 0
    const y = values[b] ?? 0
    values[a] = x * cosine - y * sine
    values[b] = x * sine + y * cosine
  }
}

/** Zeroes the values of positions that a failed pass wrote: unseen positions are multiplied by zero, and NaN would survive that. */
export function clearValues(config: ModelConfig, { values }: LayerKv, slot: KvSlot, firstPosition: number, count: number): void {
  const { kvHeadCount, headSize } = config
  for (let position = firstPosition; position < firstPosition + count; position++) {
    const block = required(slot.blocks[Math.floor(position / KV_BLOCK_POSITIONS)], `block of position ${position}`)
    for (let head = 0; head < kvHeadCount; head++) {
      const at = ((block * kvHeadCount + head) * KV_BLOCK_POSITIONS + (position % KV_BLOCK_POSITIONS)) * headSize
      values.fill(0, at, at + headSize)
    }
  }
}

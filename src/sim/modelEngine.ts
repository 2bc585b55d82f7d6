/**
 * ModelEngine: the engine's contract over arithmetic.ts, whose passes take simulated time: multiply-accumulates ÷ the peer's true
 * speed. It watches its caller: positions follow each other, and KV is never given twice.
 */

import { KV_BLOCK_POSITIONS, type ModelCosts } from '../coordinator/core/index.ts'
import type { Span } from '../model/index.ts'
import { decodeRows, encodeRows, type RowKind } from '../protocol/index.ts'
import { err, ok, type Result, required, TabswarmError } from '../shared/index.ts'
import type { Engine, EngineUsage, ForwardResult, Segment, SegmentOutput, Slot } from '../worker/engine.ts'
import { ARITHMETIC_WIDTH, candidatesOf, embed, passLayer, rowAt } from './arithmetic.ts'
import type { Actor, VirtualTime } from './virtualTime.ts'

/** Tokens that a model of the simulation knows: few, since all travel as candidates. */
export const VOCABULARY = 16

/** What a pass takes beside its work. */
export const PASS_FIXED_MS = 2
/** A further row of a pass reads no weights again: what it costs beside the first. */
export const FURTHER_ROW_SHARE = 0.1

interface ModelSlot {
  readonly span: Span
  /** Reserved, in whole blocks. */
  readonly positions: number
  readonly layers: number
  /** KV: the layers' sums up to each position, [positions, layers]. */
  readonly sums: number[]
  length: number
}

export interface ModelEngineOptions {
  readonly time: VirtualTime
  readonly owner: Actor
  readonly macsPerSecond: number
  /** What it says that it took, for each millisecond: 0.1 of those that claim ten times their speed. */
  readonly toldShare: number
  readonly numericClass: string
  /** A caller broke the engine's contract. */
  readonly onBroken: (kind: 'positions' | 'memory' | 'left-behind', what: string) => void
}

export class ModelEngine implements Engine {
  readonly info: Engine['info']
  readonly lost: Promise<{ readonly message: string }>
  readonly #options: ModelEngineOptions
  readonly #slots = new Map<Slot, ModelSlot>()
  #costs: ModelCosts | null = null
  #kvPositions = 0
  #kvReserved = 0
  #nextSlot = 0
  #isLost = false
  #lose: (loss: { readonly message: string }) => void = () => undefined

  constructor(options: ModelEngineOptions) {
    this.#options = options
    this.info = { engine: 'webgpu', adapter: 'model', numericClass: options.numericClass, kvType: 'f16' }
    this.lost = new Promise((resolve) => {
      this.#lose = resolve
    })
  }

  /** Positions that no session has reserved. */
  get kvPositionsFree(): number {
    return this.#kvPositions - this.#kvReserved
  }

  get kvPositions(): number {
    return this.#kvPositions
  }

  /** What the simulation has instead of weights. */
  hold(costs: ModelCosts, kvPositions: number): void {
    if (this.#slots.size > 0) this.#options.onBroken('left-behind', `other layers are loaded over ${this.#slots.size} open slots`)
    this.#costs = costs
    this.#kvPositions = Math.ceil(kvPositions / KV_BLOCK_POSITIONS) * KV_BLOCK_POSITIONS
  }

  loseDevice(): void {
    this.#isLost = true
    this.#lose({ message: 'the driver was reset' })
  }

  load(): Promise<void> {
    throw new Error('the simulation loads with hold()')
  }

  unload(): void {}
  dispose(): void {}

  open({ span, maxPositions }: { span: Span; maxPositions: number }): Result<Slot, 'no-room'> {
    const positions = Math.ceil(maxPositions / KV_BLOCK_POSITIONS) * KV_BLOCK_POSITIONS
    if (this.#kvReserved + positions > this.#kvPositions) return err('no-room')
    this.#kvReserved += positions
    const slot = this.#nextSlot++
    const layers = span.endLayer - span.firstLayer
    this.#slots.set(slot, { span, positions, layers, sums: [], length: 0 })
    return ok(slot)
  }

  truncate(slot: Slot, length: number): void {
    const state = required(this.#slots.get(slot), `slot ${slot}`)
    if (length > state.length) this.#options.onBroken('positions', `slot of ${state.length} positions is truncated to ${length}`)
    state.length = length
    state.sums.length = length * state.layers
  }

  close(slot: Slot): void {
    const state = this.#slots.get(slot)
    if (state === undefined) return this.#options.onBroken('memory', `slot ${slot} is closed twice`)
    this.#kvReserved -= state.positions
    this.#slots.delete(slot)
  }

  length(slot: Slot): number {
    return required(this.#slots.get(slot), `slot ${slot}`).length
  }

  usage(): EngineUsage {
    const block = (positions: number) => positions / KV_BLOCK_POSITIONS
    const kv = { kvBytes: 0, kvBlocksTotal: block(this.#kvPositions), kvBlocksFree: block(this.kvPositionsFree) }
    return { weightBytes: 0, scratchBytes: 0, openSlots: this.#slots.size, ...kv }
  }

  forward(segments: readonly Segment[]): Promise<ForwardResult> {
    const { time, owner, toldShare } = this.#options
    const passMs = this.#passMs(segments)
    return new Promise((resolve, reject) => {
      time.after(passMs, owner, () => {
        if (this.#isLost) return reject(new TabswarmError('device-lost', 'the driver was reset'))
        try {
          resolve({ outputs: segments.map((segment) => this.#run(segment)), computeMs: passMs * toldShare })
        } catch (error) {
          reject(error)
        }
      })
    })
  }

  #passMs(segments: readonly Segment[]): number {
    const { macsPerLayer, headMacs } = required(this.#costs, 'a loaded model')
    let [layersMost, rowLayers, results] = [0, 0, 0]
    for (const { slot, input, output } of segments) {
      const { span } = required(this.#slots.get(slot), `slot ${slot}`)
      const layers = span.endLayer - span.firstLayer
      layersMost = Math.max(layersMost, layers)
      rowLayers += layers * (input.kind === 'tokens' ? input.ids.length : input.rowCount)
      if (output.kind === 'candidates') results += output.resultCount
    }
    const macs = macsPerLayer * withFurther(layersMost, rowLayers) + headMacs * withFurther(Math.min(1, results), results)
    return PASS_FIXED_MS + (1_000 * macs) / this.#options.macsPerSecond
  }

  #run({ slot, kind, firstPosition, input, output }: Segment): SegmentOutput {
    const state = required(this.#slots.get(slot), `slot ${slot}`)
    if (state.length !== firstPosition) {
      this.#options.onBroken('positions', `rows from position ${firstPosition} come to a KV cache of ${state.length}`)
      throw new TabswarmError('bad-batch', `slot ${slot} is at ${state.length}, not ${firstPosition}`)
    }
    const rows = rowsOf(input)
    for (const row of rows) pass(state, row, kind)
    if (output.kind === 'rows') {
      const values = new Float32Array(rows.length * ARITHMETIC_WIDTH)
      let at = 0
      for (const row of rows) for (const value of row) values[at++] = value
      return { kind: 'rows', bytes: encodeRows(output.encoding, values, ARITHMETIC_WIDTH) }
    }
    if (output.kind === 'logits') throw new Error('the driver asks for candidates only')
    const { resultCount, topK } = output
    const wanted = resultCount === 0 ? [] : rows.slice(-resultCount)
    const positions = wanted.map((row, index) => candidatesOf(row, state.length - resultCount + index, VOCABULARY, topK))
    return { kind: 'candidates', positions }
  }
}

/** Rows behind the first of a pass cost less. */
function withFurther(first: number, all: number): number {
  return first + FURTHER_ROW_SHARE * (all - first)
}

/** One position through all layers of the slot, in place. */
function pass(state: ModelSlot, row: number[], kind: RowKind): void {
  const { sums, layers, span } = state
  const at = layers * state.length++
  for (let index = 0; index < layers; index++) {
    const before = at === 0 ? 0 : (sums[at - layers + index] ?? 0)
    sums[at + index] = passLayer(row, before, span.firstLayer + index, kind)
  }
}

function rowsOf(input: Segment['input']): number[][] {
  const rows: number[][] = []
  if (input.kind === 'tokens') {
    for (let index = 0; index < input.ids.length; index++) rows.push(embed(input.ids[index] ?? 0))
    return rows
  }
  const values = decodeRows(input.encoding, input.bytes, ARITHMETIC_WIDTH)
  for (let at = 0; at < values.length; at += ARITHMETIC_WIDTH) rows.push(rowAt(values, at))
  return rows
}

/**
 * A deterministic engine of a few lines with the real one's contract: slots, KV lengths, truncation, refusals. Each layer
 * adds what all earlier positions had, so a wrong, missing or doubled row changes every token after it. Values are integers
 * below 2,039, exact in f32 and in f16e: any split into spans must give equal tokens.
 */

import type { ModelConfig, Span } from '../../../src/model/index.ts'
import { decodeRows, encodeRows, type PositionCandidates } from '../../../src/protocol/index.ts'
import { err, ok, type Result, required, TabswarmError } from '../../../src/shared/index.ts'
import type { Engine, EngineUsage, ForwardResult, LoadRequest, Segment, SegmentOutput, Slot } from '../../../src/worker/index.ts'
import { modelConfig } from '../../support/modelConfig.ts'

const MODULUS = 2_039
const WIDTH = 4

export const fakeConfig: ModelConfig = modelConfig({
  layerCount: 10,
  width: WIDTH,
  headCount: 1,
  kvHeadCount: 1,
  headSize: 4,
  feedForwardWidth: 4,
  vocabularySize: 50,
  contextLength: 4_096,
})

interface FakeSlot {
  readonly span: Span
  readonly maxPositions: number
  /** KV: for each layer the sums of its inputs up to each position. */
  readonly sums: number[][]
  length: number
}

export class FakeEngine implements Engine {
  readonly info = { engine: 'cpu', adapter: 'fake', numericClass: 'fake', kvType: 'f32' } as const
  readonly lost: Promise<{ readonly message: string }>
  readonly #slots = new Map<Slot, FakeSlot>()
  readonly #positionsMax: number
  #nextSlot = 0
  #lose: (loss: { readonly message: string }) => void = () => undefined
  /** Rows of each pass so far. */
  readonly passes: number[][] = []
  /** Set by tests: what the next passes throw, or wait for. */
  failNext: TabswarmError | null = null
  gate: Promise<void> = Promise.resolve()
  /** Turns of the event loop that a pass takes. */
  passTurns = 0
  /** A token that makes outputs NaN. */
  poison: number | null = null

  constructor(positionsMax = 100_000) {
    this.#positionsMax = positionsMax
    this.lost = new Promise((resolve) => {
      this.#lose = resolve
    })
  }

  loseDevice(message: string): void {
    this.#lose({ message })
  }

  load(_request: LoadRequest): Promise<void> {
    return Promise.resolve()
  }

  unload(): void {}
  dispose(): void {}

  open({ span, maxPositions }: { span: Span; maxPositions: number }): Result<Slot, 'no-room'> {
    const used = [...this.#slots.values()].reduce((sum, slot) => sum + slot.maxPositions, 0)
    if (used + maxPositions > this.#positionsMax) return err('no-room')
    const slot = this.#nextSlot++
    const layers = span.endLayer - span.firstLayer
    this.#slots.set(slot, { span, maxPositions, sums: Array.from({ length: layers }, () => []), length: 0 })
    return ok(slot)
  }

  truncate(slot: Slot, length: number): void {
    const state = required(this.#slots.get(slot), `slot ${slot}`)
    if (length > state.length) throw new Error(`truncate ${state.length} to ${length}`)
    state.length = length
    for (const sums of state.sums) sums.length = length
  }

  close(slot: Slot): void {
    if (!this.#slots.delete(slot)) throw new Error(`slot ${slot} is closed twice`)
  }

  length(slot: Slot): number {
    return required(this.#slots.get(slot), `slot ${slot}`).length
  }

  usage(): EngineUsage {
    return { weightBytes: 0, kvBytes: 0, scratchBytes: 0, kvBlocksTotal: 0, kvBlocksFree: 0, openSlots: this.#slots.size }
  }

  async forward(segments: readonly Segment[]): Promise<ForwardResult> {
    await this.gate
    for (let turn = 0; turn < this.passTurns; turn++) await new Promise((resolve) => setImmediate(resolve))
    if (this.failNext !== null) {
      const error = this.failNext
      this.failNext = null
      throw error
    }
    for (const segment of segments) this.#check(segment)
    const outputs = segments.map((segment) => this.#run(segment))
    this.passes.push(segments.map(({ input }) => (input.kind === 'tokens' ? input.ids.length : input.rowCount)))
    return { outputs, computeMs: 1 }
  }

  #check({ slot, firstPosition, input }: Segment): void {
    const state = this.#slots.get(slot)
    if (state?.length !== firstPosition) throw new TabswarmError('bad-batch', `slot ${slot} at ${state?.length}, not ${firstPosition}`)
    if (input.kind === 'tokens' && this.poison !== null && input.ids.includes(this.poison)) {
      throw new TabswarmError('not-finite', 'the outputs hold NaN')
    }
  }

  #run({ slot, input, output }: Segment): SegmentOutput {
    const state = required(this.#slots.get(slot), `slot ${slot}`)
    const rows = input.kind === 'tokens' ? embed(input.ids) : rowsOf(decodeRows(input.encoding, input.bytes, WIDTH))
    const results = rows.map((row) => this.#position(state, row))
    if (output.kind === 'rows') {
      return { kind: 'rows', bytes: encodeRows(output.encoding, Float32Array.from(results.flat()), WIDTH) }
    }
    if (output.kind === 'logits') throw new Error('not needed here')
    const first = results.length - output.resultCount
    const positions = results.slice(first).map((row, at) => candidatesOf(row, state.length - output.resultCount + at, output.topK))
    return { kind: 'candidates', positions }
  }

  #position(state: FakeSlot, input: readonly number[]): number[] {
    let row = [...input]
    for (const [index, sums] of state.sums.entries()) {
      const layer = state.span.firstLayer + index
      const sum = ((sums.at(-1) ?? 0) * 3 + row.reduce((total, value) => total + value, 0)) % MODULUS
      sums.push(sum)
      row = row.map((value, column) => (value * 31 + sum * (column + 1) + layer) % MODULUS)
    }
    state.length++
    return row
  }
}

function embed(ids: Uint32Array): number[][] {
  return Array.from(ids, (id) => Array.from({ length: WIDTH }, (_, column) => (id * 17 + column * 5 + 1) % MODULUS))
}

function rowsOf(values: Float32Array): number[][] {
  return Array.from({ length: values.length / WIDTH }, (_, row) => Array.from(values.subarray(row * WIDTH, (row + 1) * WIDTH)))
}

function candidatesOf(row: readonly number[], position: number, topK: number): PositionCandidates {
  const seed = row.reduce((total, value, column) => total + value * (column + 1), 0)
  const all = Array.from({ length: fakeConfig.vocabularySize }, (_, id) => ({ id, logit: ((seed * (id + 1) * 7_919) % 1_009) / 100 }))
  const logSumExp = Math.log(all.reduce((sum, { logit }) => sum + Math.exp(logit), 0))
  const best = all.sort((a, b) => b.logit - a.logit || a.id - b.id).slice(0, topK)
  const ids = Uint32Array.from(best, ({ id }) => id)
  return { position, logSumExp, ids, logits: Float32Array.from(best, ({ logit }) => logit) }
}

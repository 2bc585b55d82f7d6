/**
 * A deterministic engine of a few lines with the real one's contract: slots, KV lengths, truncation, refusals. Its numbers are those of
 * the simulation's models: src/sim/arithmetic.ts.
 */

import type { ModelConfig, Span } from '../../../src/model/index.ts'
import { decodeRows, encodeRows } from '../../../src/protocol/index.ts'
import { err, ok, type Result, required, TabswarmError } from '../../../src/shared/index.ts'
import { ARITHMETIC_WIDTH, candidatesOf, embed, passLayer } from '../../../src/sim/arithmetic.ts'
import { modelConfig } from '../../../src/sim/modelConfig.ts'
import type { Engine, EngineUsage, ForwardResult, LoadRequest, Segment, SegmentOutput, Slot } from '../../../src/worker/index.ts'

const WIDTH = ARITHMETIC_WIDTH

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
  #isDisposed = false
  #lose: (loss: { readonly message: string }) => void = () => undefined
  /** Rows of each pass so far, but for those that were computed again for all their logits. */
  readonly passes: number[][] = []
  /** Set by tests: what the next passes throw, or wait for. */
  failNext: TabswarmError | null = null
  gate: Promise<void> = Promise.resolve()
  /** Turns of the event loop that a pass takes. */
  passTurns = 0
  /** In each layer a prompt's row and a decode row of equal inputs give other numbers, as on real engines. */
  kindsDiffer = false
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

  dispose(): void {
    this.#isDisposed = true
  }

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
    if (!this.#slots.delete(slot) && !this.#isDisposed) throw new Error(`slot ${slot} is closed twice`)
  }

  length(slot: Slot): number {
    if (this.#isDisposed) throw new TabswarmError('not-loaded', 'no span is loaded')
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
    const first = segments.filter(({ output }) => output.kind !== 'logits')
    if (first.length > 0) this.passes.push(first.map(({ input }) => (input.kind === 'tokens' ? input.ids.length : input.rowCount)))
    return { outputs, computeMs: 1 }
  }

  #check({ slot, firstPosition, input }: Segment): void {
    const state = this.#slots.get(slot)
    if (state?.length !== firstPosition) throw new TabswarmError('bad-batch', `slot ${slot} at ${state?.length}, not ${firstPosition}`)
    if (input.kind === 'tokens' && this.poison !== null && input.ids.includes(this.poison)) {
      throw new TabswarmError('not-finite', 'the outputs hold NaN')
    }
  }

  #run({ slot, kind, input, output }: Segment): SegmentOutput {
    const state = required(this.#slots.get(slot), `slot ${slot}`)
    const rows = input.kind === 'tokens' ? Array.from(input.ids, embed) : rowsOf(decodeRows(input.encoding, input.bytes, WIDTH))
    const results = rows.map((row) => this.#position(state, row, kind))
    if (output.kind === 'rows') {
      return { kind: 'rows', bytes: encodeRows(output.encoding, Float32Array.from(results.flat()), WIDTH) }
    }
    const { vocabularySize } = fakeConfig
    const first = results.length - output.resultCount
    const best = (topK: number) =>
      results.slice(first).map((row, at) => candidatesOf(row, state.length - output.resultCount + at, vocabularySize, topK))
    const all = best(vocabularySize).map(({ ids, logits }) => {
      const values = new Float32Array(vocabularySize)
      for (const [rank, id] of ids.entries()) values[id] = logits[rank] ?? 0
      return values
    })
    if (output.kind === 'logits') return { kind: 'logits', values: Float32Array.from(all.flatMap((values) => [...values])) }
    const positions = best(output.topK).map((candidates, result): typeof candidates => {
      const ids = output.named?.slice(
        (result * output.named.length) / output.resultCount,
        ((result + 1) * output.named.length) / output.resultCount,
      )
      return ids === undefined
        ? candidates
        : { ...candidates, named: { ids, logits: Float32Array.from(ids, (id) => all[result]?.[id] ?? 0) } }
    })
    return { kind: 'candidates', positions }
  }

  #position(state: FakeSlot, input: readonly number[], kind: Segment['kind']): number[] {
    const row = [...input]
    // Unless told, both kinds take one numeric path: a draft model may read again as a prompt what it had as drafts.
    const path = this.kindsDiffer ? kind : 'prompt'
    for (const [index, sums] of state.sums.entries()) sums.push(passLayer(row, sums.at(-1) ?? 0, state.span.firstLayer + index, path))
    state.length++
    return row
  }
}

function rowsOf(values: Float32Array): number[][] {
  return Array.from({ length: values.length / WIDTH }, (_, row) => Array.from(values.subarray(row * WIDTH, (row + 1) * WIDTH)))
}

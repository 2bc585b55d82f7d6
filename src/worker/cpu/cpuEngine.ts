/**
 * The engine of a tab without a GPU, and its twin that everything is tested against: one forward pass over the arithmetic of a processor.
 * The same interface, batch rules and accounting as the WGSL engine's. One row's result never depends on its neighbours: every sum
 * has one order.
 */

import type { Span } from '../../model/index.ts'
import { assert, type Result, SerialQueue } from '../../shared/index.ts'
import { checkBatch } from '../batch.ts'
import type { Engine, EngineInfo, EngineUsage, ForwardResult, LoadRequest, Segment, Slot } from '../engine.ts'
import { EngineError } from '../errors.ts'
import { blockUsage } from '../kvBlocks.ts'
import { type CpuModel, loadCpuModel } from './cpuModel.ts'
import { runPass } from './pass.ts'
import { plainProcessor } from './plain.ts'
import type { Processor } from './processor.ts'

export interface CpuEngineOptions {
  /** Without: plain TypeScript, exact and slow. */
  readonly processor?: Processor
  /** Milliseconds, for ForwardResult.computeMs. */
  readonly nowMs: () => number
  /** Awaited between layers, so that a page's or a worker's events are not kept waiting for a whole pass. */
  readonly pause?: () => Promise<void>
}

export function createCpuEngine(options: CpuEngineOptions): Engine {
  return new CpuEngine(options)
}

class CpuEngine implements Engine {
  readonly info: EngineInfo
  /** A CPU is not lost. */
  readonly lost = new Promise<never>(() => undefined)
  readonly #options: CpuEngineOptions
  readonly #processor: Processor
  #model: CpuModel | null = null
  /** Of the span that is loaded, or loading: aborted when that ends, which passes and loads under way notice. */
  #life = new AbortController()
  #disposed = false
  readonly #queue = new SerialQueue()

  constructor(options: CpuEngineOptions) {
    this.#options = options
    this.#processor = options.processor ?? plainProcessor
    this.info = this.#processor.info
  }

  async load(request: LoadRequest): Promise<void> {
    const open = this.#model?.slots.openSlots ?? 0
    assert(open === 0, `load with ${open} open slots`)
    if (this.#disposed) throw new EngineError('aborted', 'the engine was disposed of; open another')
    this.unload()
    this.#life = new AbortController()
    const ended = this.#life.signal
    const model = await loadCpuModel(this.#processor, { ...request, signal: AbortSignal.any([request.signal, ended]) })
    if (ended.aborted) {
      model.arithmetic.release()
      throw new EngineError('aborted', 'the span was unloaded while it was loading')
    }
    this.#model = model
  }

  unload(): void {
    this.#life.abort()
    this.#model?.arithmetic.release()
    this.#model = null
  }

  open(request: { readonly span: Span; readonly maxPositions: number }): Result<Slot, 'no-room'> {
    return this.#loaded().slots.open(request)
  }

  truncate(slot: Slot, length: number): void {
    this.#loaded().slots.truncate(slot, length)
  }

  close(slot: Slot): void {
    this.#model?.slots.close(slot)
  }

  length(slot: Slot): number {
    return this.#loaded().slots.get(slot).length
  }

  forward(segments: readonly Segment[]): Promise<ForwardResult> {
    return this.#queue.run(() => this.#forward(segments))
  }

  async #forward(segments: readonly Segment[]): Promise<ForwardResult> {
    const model = this.#loaded()
    checkBatch(segments, model.config, model.slots)
    const ended = this.#life.signal
    const startedMs = this.#options.nowMs()
    const outputs = await runPass(model, segments, async () => {
      await this.#options.pause?.()
      if (ended.aborted) throw new EngineError('not-loaded', 'the span was unloaded during the pass')
    })
    return { outputs, computeMs: this.#options.nowMs() - startedMs }
  }

  usage(): EngineUsage {
    const memory = this.#model?.memory
    return {
      weightBytes: memory?.weightBytes ?? 0,
      kvBytes: memory?.kvBytes ?? 0,
      scratchBytes: memory?.scratchBytes ?? 0,
      ...blockUsage(this.#model?.slots),
    }
  }

  dispose(): void {
    this.#disposed = true
    this.unload()
    this.#processor.dispose()
  }

  #loaded(): CpuModel {
    if (this.#model === null) throw new EngineError('not-loaded', 'no span is loaded; load one first')
    return this.#model
  }
}

/**
 * The engine of a tab without a GPU: a span in ONNX Runtime's WebAssembly build, with SIMD and, where the page is isolated, threads. Weights are
 * dequantized to f32 once: that takes memory and is twenty times as fast as multiplying 4-bit blocks there
 * (docs/decisions/0150-wasm-engine.md). Also an implementation of the forward pass that is independent of the WGSL kernels.
 */

import type { Span } from '../../model/index.ts'
import { assert, type Result, SerialQueue } from '../../shared/index.ts'
import { checkBatch } from '../batch.ts'
import type { Engine, EngineInfo, EngineUsage, ForwardResult, LoadRequest, Segment, Slot } from '../engine.ts'
import { EngineError } from '../errors.ts'
import { blockUsage } from '../kvBlocks.ts'
import { runPass } from './pass.ts'
import type { OrtRuntime } from './runtime.ts'
import { loadSpanModel, type SpanModel } from './spanModel.ts'

/** Raised whenever the arithmetic changes, by us or by an upgrade of ONNX Runtime. */
const WASM_VERSION = 'wasm-1 ort-1.30'

export interface OrtEngineOptions {
  readonly runtime: OrtRuntime
  /** For a person to read, such as `2 threads`. */
  readonly description: string
  /** Milliseconds, for ForwardResult.computeMs. */
  readonly nowMs: () => number
  /** Awaited between layers, so that a worker's messages are not kept waiting for a whole pass. */
  readonly pause?: () => Promise<void>
}

export function createOrtEngine(options: OrtEngineOptions): Engine {
  return new OrtEngine(options)
}

class OrtEngine implements Engine {
  readonly info: EngineInfo
  /** A CPU is not lost. */
  readonly lost = new Promise<never>(() => undefined)
  readonly #options: OrtEngineOptions
  #model: SpanModel | null = null
  /** Rises with each load, unload and dispose: what was under way notices. */
  #generation = 0
  readonly #queue = new SerialQueue()

  constructor(options: OrtEngineOptions) {
    this.#options = options
    this.info = { engine: 'wasm', adapter: options.description, numericClass: WASM_VERSION, kvType: 'f32' }
  }

  load(request: LoadRequest): Promise<void> {
    const open = this.#model?.slots.openSlots ?? 0
    assert(open === 0, `load with ${open} open slots`)
    this.unload()
    const generation = this.#generation
    return this.#queue.run(async () => {
      const model = await loadSpanModel(this.#options.runtime, request)
      if (generation === this.#generation) {
        this.#model = model
        return
      }
      model.release()
      throw new EngineError('aborted', 'the span was unloaded while it was loading')
    })
  }

  unload(): void {
    this.#generation++
    this.#model?.release()
    this.#model = null
  }

  open(request: { readonly span: Span; readonly maxPositions: number }): Result<Slot, 'no-room'> {
    return this.#loaded().slots.open(request)
  }

  truncate(slot: Slot, length: number): void {
    this.#loaded().slots.truncate(slot, length)
  }

  close(slot: Slot): void {
    this.#loaded().slots.close(slot)
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
    const generation = this.#generation
    const startedMs = this.#options.nowMs()
    const unloaded = () => new EngineError('not-loaded', 'the span was unloaded during the pass')
    const pause = async () => {
      await this.#options.pause?.()
      if (generation !== this.#generation) throw unloaded()
    }
    const outputs = await runPass(model, segments, pause).catch((error: unknown) => {
      // Graphs that were released under a pass fail in ONNX Runtime's own words.
      throw generation === this.#generation ? error : unloaded()
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
    this.unload()
  }

  #loaded(): SpanModel {
    if (this.#model === null) throw new EngineError('not-loaded', 'no span is loaded; load one first')
    return this.#model
  }
}

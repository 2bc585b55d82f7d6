/**
 * CoarseEngine: computes with weights of fewer bits than the model's file has, as a volunteer would who loads a smaller file of the same model.
 * To begin later it needs both: a second engine holds the coarse weights from the start.
 */

import { dequantize, type LoadTensor, type Manifest, type ManifestTensor, type Span } from '../model/index.ts'
import { type Result, required } from '../shared/index.ts'
import type { Engine, EngineUsage, ForwardResult, LoadRequest, Segment, SegmentOutput, Slot } from '../worker/engine.ts'
import { PassingEngine } from './passingEngine.ts'

/** Weights that share a scale and a least value. */
const GROUP = 32

export class CoarseEngine extends PassingEngine {
  readonly #coarse: Engine
  readonly #bits: number
  readonly #isTurn: () => boolean
  /** Slots that are open, by the number that callers know. */
  readonly #slots = new Map<Slot, { readonly engine: Engine; readonly slot: Slot }>()
  #nextSlot = 0

  /** `coarse`: another engine, or the same where nothing honest is wanted. `isTurn` is asked as each session opens. */
  constructor(honest: Engine, coarse: Engine, bits: number, isTurn: () => boolean) {
    super(honest)
    this.#coarse = coarse
    this.#bits = bits
    this.#isTurn = isTurn
  }

  override async load(request: LoadRequest): Promise<void> {
    if (this.#coarse !== this.inner) await super.load(request)
    await this.#coarse.load(coarsened(request, this.#bits))
  }

  override unload(): void {
    super.unload()
    if (this.#coarse !== this.inner) this.#coarse.unload()
  }

  override open(request: { readonly span: Span; readonly maxPositions: number }): Result<Slot, 'no-room'> {
    const engine = this.#isTurn() ? this.#coarse : this.inner
    const opened = engine.open(request)
    if (!opened.ok) return opened
    const slot = this.#nextSlot++
    this.#slots.set(slot, { engine, slot: opened.value })
    return { ok: true, value: slot }
  }

  override truncate(slot: Slot, length: number): void {
    const own = this.#own(slot)
    own.engine.truncate(own.slot, length)
  }

  override close(slot: Slot): void {
    const own = this.#own(slot)
    own.engine.close(own.slot)
    this.#slots.delete(slot)
  }

  override length(slot: Slot): number {
    const own = this.#own(slot)
    return own.engine.length(own.slot)
  }

  override async forward(segments: readonly Segment[]): Promise<ForwardResult> {
    const outputs: SegmentOutput[] = []
    let computeMs = 0
    for (const engine of new Set([this.inner, this.#coarse])) {
      const own = segments.flatMap((segment, index) => {
        const { engine: where, slot } = this.#own(segment.slot)
        return where === engine ? [{ index, segment: { ...segment, slot } }] : []
      })
      if (own.length === 0) continue
      const result = await engine.forward(own.map(({ segment }) => segment))
      for (const [at, { index }] of own.entries()) outputs[index] = required(result.outputs[at], 'an output')
      computeMs += result.computeMs
    }
    return { outputs, computeMs }
  }

  override usage(): EngineUsage {
    const [honest, coarse] = [super.usage(), this.#coarse.usage()]
    if (this.#coarse === this.inner) return honest
    return {
      weightBytes: honest.weightBytes + coarse.weightBytes,
      kvBytes: honest.kvBytes + coarse.kvBytes,
      scratchBytes: honest.scratchBytes + coarse.scratchBytes,
      kvBlocksTotal: Math.min(honest.kvBlocksTotal, coarse.kvBlocksTotal),
      kvBlocksFree: Math.min(honest.kvBlocksFree, coarse.kvBlocksFree),
      openSlots: honest.openSlots + coarse.openSlots,
    }
  }

  override dispose(): void {
    super.dispose()
    if (this.#coarse !== this.inner) this.#coarse.dispose()
  }

  #own(slot: Slot) {
    return required(this.#slots.get(slot), `slot ${slot}`)
  }
}

/** The same model, its layers' matrices as f32 that take few values, and more memory than was pledged; embedding, head and norms stay. */
export function coarsened(request: LoadRequest, bits: number): LoadRequest {
  const types = new Map(request.manifest.tensors.filter(isLayerMatrix).map(({ name, type }) => [name, type]))
  const asFloats = (tensor: ManifestTensor): ManifestTensor =>
    types.has(tensor.name) ? { ...tensor, type: 'F32', byteLength: 4 * tensor.shape.reduce((product, size) => product * size, 1) } : tensor
  const manifest: Manifest = { ...request.manifest, tensors: request.manifest.tensors.map(asFloats) }
  const originals = new Map(request.manifest.tensors.map((tensor) => [tensor.name, tensor]))
  const loadTensor: LoadTensor = async (tensor, signal) => {
    const bytes = await request.loadTensor(originals.get(tensor.name) ?? tensor, signal)
    const type = types.get(tensor.name)
    if (type === undefined) return bytes
    const values = dequantize(type, bytes)
    coarsen(values, bits)
    return new Uint8Array(values.buffer)
  }
  return { ...request, manifest, loadTensor, memoryBytesMax: Number.MAX_SAFE_INTEGER }
}

function isLayerMatrix({ name, shape }: ManifestTensor): boolean {
  return name.startsWith('blk.') && shape.length > 1
}

/** In place: of each GROUP the nearest of 2^bits values, evenly from its least to its largest. */
export function coarsen(values: Float32Array, bits: number): void {
  const steps = 2 ** bits - 1
  for (let first = 0; first < values.length; first += GROUP) {
    const group = values.subarray(first, first + GROUP)
    const least = group.reduce((a, b) => Math.min(a, b))
    const scale = (group.reduce((a, b) => Math.max(a, b)) - least) / steps
    if (scale > 0)
      group.forEach((value, index) => {
        group[index] = least + scale * Math.round((value - least) / scale)
      })
  }
}

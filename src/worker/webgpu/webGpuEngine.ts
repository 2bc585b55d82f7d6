/**
 * The WGSL engine: a span's weights and KV cache on one GPU device. Calls are taken in order, one pass at a time; a lost device
 * ends every pending call with `device-lost`. How a pass is computed: passPlan.ts, submission.ts, spanProgram.ts.
 */

import { KernelDevice, type KvType, ropeFrequencies, type ShaderLibrary } from '../../kernels/index.ts'
import type { ModelConfig, Span } from '../../model/index.ts'
import { rowBytes } from '../../protocol/index.ts'
import { assert, type Clock, type Result, SerialQueue } from '../../shared/index.ts'
import { checkBatch, segmentRows } from '../batch.ts'
import type { Engine, EngineInfo, EngineUsage, ForwardResult, LoadRequest, PassStats, Segment, SegmentOutput, Slot } from '../engine.ts'
import { EngineError } from '../errors.ts'
import { blockUsage, KvBlocks, kvBlockCount } from '../kvBlocks.ts'
import { allocateKv, allocateScratch } from './buffers.ts'
import { type MemoryPlan, planMemory, scratchSizes } from './memory.ts'
import { planHeadGroups, planRuns } from './passPlan.ts'
import { ropeTables } from './ropeTables.ts'
import { buildProgram } from './spanProgram.ts'
import { type Batch, createStaging, Submission, type SubmissionTarget } from './submission.ts'
import type { Tuner } from './tune.ts'
import { kvTypeFor, tuningFor } from './tuning.ts'
import { planWeights } from './weightPlan.ts'
import { allocateWeights, fillWeights } from './weights.ts'

/** Raised whenever a kernel's arithmetic changes: peers of different versions may differ in bits. */
export const KERNEL_VERSION = 'wgsl-2'

export interface WebGpuEngineOptions {
  readonly device: GPUDevice
  readonly adapterInfo: GPUAdapterInfo
  readonly shaders: ShaderLibrary
  readonly clock: Clock
  /** Default: f16 where the adapter has `shader-f16`. */
  readonly kv?: KvType
  /** Largest buffer that a kernel is given; default: what the device binds. */
  readonly bindingBytesMax?: number
  /** Compiles the variants for several rows after each load, not when the first such batch comes: for engines that serve. */
  readonly compileAhead?: boolean
  /** Chooses among forms that give equal bits, while weights come in; default: the usual ones of the adapter's class. */
  readonly tuner?: Tuner
}

/** What is loaded. */
interface Loaded {
  readonly config: ModelConfig
  readonly span: Span
  readonly blocks: KvBlocks
  readonly memory: MemoryPlan
  readonly target: SubmissionTarget
  readonly buffers: readonly GPUBuffer[]
}

export function createWebGpuEngine(options: WebGpuEngineOptions): Engine {
  return new WebGpuEngine(options)
}

class WebGpuEngine implements Engine {
  readonly info: EngineInfo
  readonly lost: Promise<{ readonly message: string }>
  readonly #device: GPUDevice
  readonly #kernels: KernelDevice
  readonly #clock: Clock
  readonly #tuner: Tuner
  readonly #bindingBytesMax: number
  readonly #compileAhead: boolean
  #loaded: Loaded | null = null
  #lostMessage: string | null = null
  #disposed = false
  readonly #queue = new SerialQueue()

  constructor({ device, adapterInfo, shaders, clock, kv, bindingBytesMax, compileAhead = false, tuner }: WebGpuEngineOptions) {
    this.#device = device
    this.#kernels = new KernelDevice(device, shaders)
    this.#clock = clock
    const usual = tuningFor(adapterInfo, device.features)
    this.#tuner = tuner ?? (async () => usual)
    const { maxStorageBufferBindingSize, maxBufferSize } = device.limits
    this.#bindingBytesMax = Math.min(maxStorageBufferBindingSize, maxBufferSize, bindingBytesMax ?? Number.POSITIVE_INFINITY)
    this.#compileAhead = compileAhead
    const kvType = kvTypeFor(device, kv)
    const { vendor, architecture, description } = adapterInfo
    this.info = {
      engine: 'webgpu',
      adapter: description || `${vendor} ${architecture}`.trim() || 'unknown adapter',
      numericClass: `webgpu ${vendor} ${architecture} ${KERNEL_VERSION} lanes-${usual.lanes}${usual.matvec.single.subgroup > 0 ? ' shared-x' : ''} kv-${kvType}`,
      kvType,
    }
    this.lost = new Promise((resolve) => {
      void device.lost.then(({ message, reason }) => {
        this.#lostMessage = message || reason
        if (!this.#disposed) resolve({ message: this.#lostMessage })
      })
    })
  }

  load(request: LoadRequest): Promise<void> {
    return this.#enqueue(() => this.#load(request))
  }

  unload(): void {
    for (const buffer of this.#loaded?.buffers ?? []) buffer.destroy()
    this.#loaded = null
    this.#kernels.release()
  }

  open(request: { readonly span: Span; readonly maxPositions: number }): Result<Slot, 'no-room'> {
    return this.#get().blocks.open(request)
  }

  truncate(slot: Slot, length: number): void {
    this.#get().blocks.truncate(slot, length)
  }

  close(slot: Slot): void {
    this.#loaded?.blocks.close(slot)
  }

  length(slot: Slot): number {
    return this.#get().blocks.get(slot).length
  }

  forward(segments: readonly Segment[]): Promise<ForwardResult> {
    return this.#enqueue(() => this.#forward(segments))
  }

  usage(): EngineUsage {
    const memory = this.#loaded?.memory
    return {
      weightBytes: memory?.weightBytes ?? 0,
      kvBytes: memory?.kvBytes ?? 0,
      scratchBytes: memory?.scratchBytes ?? 0,
      ...blockUsage(this.#loaded?.blocks),
    }
  }

  dispose(): void {
    this.#disposed = true
    this.unload()
    this.#device.destroy()
  }

  async #load(request: LoadRequest): Promise<void> {
    const { manifest, span, kvPositions, memoryBytesMax } = request
    assert(this.#loaded === null || this.#loaded.blocks.openSlots === 0, 'open slots are closed before another span is loaded')
    this.unload()
    const { config } = manifest
    const { kvType } = this.info
    const bindingBytesMax = this.#bindingBytesMax
    const memory = planMemory({ manifest, span, kvPositions, kvType, bindingBytesMax })
    refuseAbove(memory, memoryBytesMax)
    const plan = planWeights(manifest, span, bindingBytesMax)
    const sizes = scratchSizes(config, span, kvPositions)
    const blocks = new KvBlocks(kvBlockCount(kvPositions), span)
    refuseLargeBinding({ ...sizes, 'KV cache of a layer': memory.kvBytes / 2 / plan.layers.length }, bindingBytesMax)
    const device = this.#device
    device.pushErrorScope('out-of-memory')
    const weights = allocateWeights(device, plan)
    const kv = allocateKv(device, config, span, kvType, blocks.blocksTotal)
    const scratch = allocateScratch(device, sizes)
    const buffers = [...weights.buffers, ...kv.flatMap((layer) => [layer.keys, layer.values]), ...Object.values(scratch)]
    try {
      const refused = await device.popErrorScope()
      if (refused !== null)
        throw new EngineError('does-not-fit', `the GPU has no room for ${megabytes(memory.totalBytes)}: ${refused.message}`)
      const parts = { kernels: this.#kernels, config, span, plan, weights, scratch, kv, kvType, kvPositions }
      // Shaders compile while weights come in.
      const [program, divisors] = await together(request.signal, (signal) => [
        this.#tuner(signal).then((tuning) => buildProgram({ ...parts, tuning })),
        fillWeights({ device, plan, weights, loadTensor: request.loadTensor, onProgress: request.onProgress, signal }),
      ])
      const target: SubmissionTarget = {
        device,
        config,
        scratch,
        workGroup: this.#kernels.workGroup(scratch.works, scratch.rows, scratch.tables, scratch.angles),
        program,
        staging: createStaging(scratch),
        ropeFrequencies: ropeTables(config).map((table) =>
          ropeFrequencies({ ...table, divisors: table.divisors ? divisors : null }, config.ropeDimensions),
        ),
      }
      this.#loaded = { config, span, blocks, memory, target, buffers }
      if (this.#compileAhead) void this.#compileVariants(this.#loaded)
    } catch (error) {
      for (const buffer of buffers) buffer.destroy()
      this.#kernels.release()
      throw error
    }
  }

  /** One after the other, so that passes meanwhile find a free processor; what fails here fails again, and is told, where it is used. */
  async #compileVariants(loaded: Loaded): Promise<void> {
    for (const compile of loaded.target.program.laterVariants) {
      if (this.#loaded !== loaded || this.#lostMessage !== null) return
      await compile().catch(() => undefined)
    }
  }

  async #forward(segments: readonly Segment[]): Promise<ForwardResult> {
    const loaded = this.#get()
    const { config, blocks, target } = loaded
    checkBatch(segments, config, blocks)
    const startMs = this.#clock.nowMs()
    const slots = segments.map((segment) => blocks.get(segment.slot))
    const batch: Batch = { segments, slots, outputs: segments.map((segment) => emptyOutput(segment, config)) }
    const dispatchesBefore = this.#kernels.dispatchCount
    const counted = await compute(target, batch)
    const stats = { ...counted, dispatches: this.#kernels.dispatchCount - dispatchesBefore }
    for (const segment of segments) {
      // A slot that was closed or truncated meanwhile keeps what its owner made of it.
      if (blocks.find(segment.slot)?.length === segment.firstPosition) blocks.append(segment.slot, segmentRows(segment))
    }
    return { outputs: batch.outputs, computeMs: this.#clock.nowMs() - startMs, stats }
  }

  #get(): Loaded {
    if (this.#loaded === null) throw new EngineError('not-loaded', 'no span is loaded; call load first')
    return this.#loaded
  }

  /** Runs `job` after all earlier ones. Whatever fails once the device is lost failed because of that. */
  #enqueue<Value>(job: () => Promise<Value>): Promise<Value> {
    return this.#queue.run(async () => {
      try {
        if (this.#lostMessage !== null) throw this.#lostError()
        return await job()
      } catch (error) {
        if (error instanceof EngineError) throw error
        // mapAsync may reject a moment before `lost` resolves.
        await Promise.resolve()
        throw this.#lostMessage === null ? error : this.#lostError()
      }
    })
  }

  #lostError(): EngineError {
    return new EngineError(
      'device-lost',
      `the GPU device was lost (${this.#lostMessage ?? 'no reason given'}); load the span again on a new device`,
    )
  }
}

/** Both results; when one fails, the other is stopped and waited for. */
async function together<First, Second>(
  signal: AbortSignal,
  start: (signal: AbortSignal) => readonly [Promise<First>, Promise<Second>],
): Promise<[First, Second]> {
  const stop = new AbortController()
  const jobs = start(AbortSignal.any([signal, stop.signal]))
  try {
    return await Promise.all(jobs)
  } catch (error) {
    stop.abort()
    await Promise.allSettled(jobs)
    throw error
  }
}

/** Runs and their results, in as many submissions as the scratch buffers ask for. */
async function compute(target: SubmissionTarget, batch: Batch): Promise<Omit<PassStats, 'dispatches'>> {
  let submission = new Submission(target, batch)
  let submits = 0
  let bytesRead = 0
  const finish = async () => {
    bytesRead += await submission.finish()
    submits++
  }
  const add = async (step: (submission: Submission) => boolean) => {
    if (step(submission)) return
    await finish()
    submission = new Submission(target, batch)
    assert(step(submission), 'one step fits an empty submission')
  }
  const spans = batch.slots.map((slot) => slot.span)
  let layers = 0
  let layerDispatches = 0
  for (const run of planRuns(batch.segments, spans)) {
    await add((current) => current.addRun(run))
    layers += run.span.endLayer - run.span.firstLayer
    layerDispatches += target.program.layerDispatches
    for (const piece of run.pieces) {
      if (batch.segments[piece.segmentIndex]?.output.kind === 'rows') await add((current) => current.addRowsOutput(piece))
    }
    for (const group of planHeadGroups(run, batch.segments)) await add((current) => current.addHeadGroup(group))
  }
  await finish()
  return { dispatchesPerLayer: layerDispatches / layers, submits, bytesRead }
}

function emptyOutput(segment: Segment, config: ModelConfig): SegmentOutput {
  const { output } = segment
  const rowCount = segmentRows(segment)
  if (output.kind === 'rows') return { kind: 'rows', bytes: new Uint8Array(rowCount * rowBytes(output.encoding, config.width)) }
  if (output.kind === 'logits') return { kind: 'logits', values: new Float32Array(output.resultCount * config.vocabularySize) }
  const first = segment.firstPosition + rowCount - output.resultCount
  const positions = Array.from({ length: output.resultCount }, (_, index) => ({
    position: first + index,
    logSumExp: 0,
    ids: new Uint32Array(),
    logits: new Float32Array(),
  }))
  return { kind: 'candidates', positions }
}

function refuseAbove(memory: MemoryPlan, memoryBytesMax: number): void {
  if (memory.totalBytes <= memoryBytesMax) return
  throw new EngineError(
    'does-not-fit',
    `the span takes ${megabytes(memory.totalBytes)} (weights ${megabytes(memory.weightBytes)}, KV cache ${megabytes(memory.kvBytes)}, ` +
      `scratch ${megabytes(memory.scratchBytes)}), but ${megabytes(memoryBytesMax)} are pledged; pledge more or take fewer layers`,
  )
}

function refuseLargeBinding(sizes: Readonly<Record<string, number>>, bindingBytesMax: number): void {
  for (const [name, bytes] of Object.entries(sizes)) {
    if (bytes <= bindingBytesMax) continue
    throw new EngineError(
      'does-not-fit',
      `${name} takes ${megabytes(bytes)}; this device binds ${megabytes(bindingBytesMax)} at most. Take fewer KV positions`,
    )
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}

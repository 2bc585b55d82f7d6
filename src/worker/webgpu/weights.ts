/** Weights on the GPU: buffers by the weight plan, filled tensor by tensor, so that no more than one tensor lies in main memory at once. */

import { PANEL_OUTPUTS, panelWords, toPanels } from '../../kernels/index.ts'
import { dequantize, type LoadTensor, type ManifestTensor, ModelError } from '../../model/index.ts'
import { assert, required } from '../../shared/index.ts'
import { EngineError } from '../errors.ts'
import type { PartPlan, TensorPlacement, VectorPlan, WeightPlan } from './weightPlan.ts'

/** Words that are laid out and written at once: bounds the copy in main memory to 4 MB beside the tensor. */
const UPLOAD_WORDS_MAX = 1024 * 1024

export interface Weights {
  readonly part: (part: PartPlan) => GPUBuffer
  readonly vector: (vector: VectorPlan) => GPUBuffer
  readonly buffers: readonly GPUBuffer[]
}

/** Empty buffers for everything that the plan names. */
export function allocateWeights(device: GPUDevice, plan: WeightPlan): Weights {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST
  const parts = new Map<PartPlan, GPUBuffer>()
  const vectors = new Map<VectorPlan, GPUBuffer>()
  for (const projection of plan.projections) {
    for (const part of projection.parts) parts.set(part, device.createBuffer({ label: projection.name, size: part.bytes, usage }))
  }
  for (const vector of plan.vectors) {
    vectors.set(vector, device.createBuffer({ label: vector.name, size: 4 * vector.elements, usage }))
  }
  return {
    part: (part) => required(parts.get(part), `the buffer of outputs ${part.outputFirst}`),
    vector: (vector) => required(vectors.get(vector), vector.name),
    buffers: [...parts.values(), ...vectors.values()],
  }
}

export interface FillRequest {
  readonly device: GPUDevice
  readonly plan: WeightPlan
  readonly weights: Weights
  readonly loadTensor: LoadTensor
  readonly onProgress: (bytesLoaded: number, bytesTotal: number) => void
  readonly signal: AbortSignal
}

/** Loads every tensor in file order. Resolves to the RoPE divisors, or null where the model has none. */
export async function fillWeights(request: FillRequest): Promise<Float32Array | null> {
  const { device, plan, weights, onProgress, signal } = request
  const writers = tensorWriters(device, plan, weights)
  let ropeDivisors: Float32Array | null = null
  if (plan.ropeDivisors !== null) {
    const { name, type } = plan.ropeDivisors
    writers.set(name, {
      tensor: plan.ropeDivisors,
      writes: [
        (bytes) => {
          ropeDivisors = dequantize(type, bytes)
        },
      ],
    })
  }
  const ordered = [...writers.values()].sort((a, b) => a.tensor.byteOffset - b.tensor.byteOffset)
  const bytesTotal = ordered.reduce((sum, { tensor }) => sum + tensor.byteLength, 0)
  let bytesLoaded = 0
  onProgress(0, bytesTotal)
  for (const { tensor, writes } of ordered) {
    const bytes = await loadOne(request.loadTensor, tensor, signal)
    for (const write of writes) write(bytes)
    // Waiting frees the staging copies of this tensor before the next one comes.
    await device.queue.onSubmittedWorkDone()
    bytesLoaded += tensor.byteLength
    onProgress(bytesLoaded, bytesTotal)
  }
  return ropeDivisors
}

interface TensorWriter {
  readonly tensor: ManifestTensor
  readonly writes: ((bytes: Uint8Array) => void)[]
}

/** What is to be done with the bytes of each tensor, by its name. */
function tensorWriters(device: GPUDevice, plan: WeightPlan, weights: Weights): Map<string, TensorWriter> {
  const writers = new Map<string, TensorWriter>()
  const add = (tensor: ManifestTensor, write: (bytes: Uint8Array) => void) => {
    const writer = writers.get(tensor.name) ?? { tensor, writes: [] }
    writer.writes.push(write)
    writers.set(tensor.name, writer)
  }
  for (const { placements } of plan.projections) {
    for (const placement of placements) {
      add(placement.tensor, (bytes) => upload(device, weights.part(placement.part), placement, bytes))
    }
  }
  for (const vector of plan.vectors) {
    let byteOffset = 0
    for (const tensor of vector.tensors) {
      const at = byteOffset
      add(tensor, (bytes) => device.queue.writeBuffer(weights.vector(vector), at, dequantize(tensor.type, bytes)))
      byteOffset += 4 * (tensor.shape[0] ?? 0)
    }
  }
  return writers
}

async function loadOne(loadTensor: LoadTensor, tensor: ManifestTensor, signal: AbortSignal): Promise<Uint8Array> {
  const aborted = () => new EngineError('aborted', 'loading was stopped before it was done')
  if (signal.aborted) throw aborted()
  try {
    const bytes = await loadTensor(tensor, signal)
    assert(bytes.byteLength === tensor.byteLength, `${tensor.name}: ${bytes.byteLength} of ${tensor.byteLength} bytes`)
    return bytes
  } catch (error) {
    if (signal.aborted || (error instanceof ModelError && error.reason === 'aborted')) throw aborted()
    throw error
  }
}

function upload(device: GPUDevice, buffer: GPUBuffer, placement: TensorPlacement, bytes: Uint8Array): void {
  const { tensor, part, byteFrom, outputFrom, outputs, panel } = placement
  const words = panelWords(part.type, part.columns)
  const outputsAtOnce = Math.max(1, Math.floor(UPLOAD_WORDS_MAX / words)) * PANEL_OUTPUTS
  for (let done = 0; done < outputs; done += outputsAtOnce) {
    const from = outputFrom + done
    const end = Math.min(from + outputsAtOnce, outputFrom + outputs)
    const values = toPanels(tensor.type, bytes.subarray(byteFrom), part.columns, from, end)
    device.queue.writeBuffer(buffer, 4 * words * (panel + done / PANEL_OUTPUTS), values)
  }
}

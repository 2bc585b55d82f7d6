/** Weights on the GPU: buffers by the weight plan, filled tensor by tensor, so that no more than one tensor lies in main memory at once. */

import { PANEL_OUTPUTS, panelWords, toPanels } from '../../kernels/index.ts'
import { dequantize, type LoadTensor, type ManifestTensor, ModelError } from '../../model/index.ts'
import { assert, required } from '../../shared/index.ts'
import { EngineError } from '../errors.ts'
import type { PartPlan, ProjectionPlan, TensorPlacement, WeightPlan } from './weightPlan.ts'

/** Words that are laid out and written at once: bounds the copy in main memory to 4 MB beside the tensor. */
const UPLOAD_WORDS_MAX = 1024 * 1024

export interface Weights {
  readonly part: (part: PartPlan) => GPUBuffer
  readonly vector: (tensor: ManifestTensor) => GPUBuffer
  readonly buffers: readonly GPUBuffer[]
}

/** Empty buffers for everything that the plan names. */
export function allocateWeights(device: GPUDevice, plan: WeightPlan): Weights {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST
  const parts = new Map<PartPlan, GPUBuffer>()
  const vectors = new Map<string, GPUBuffer>()
  for (const projection of planProjections(plan)) {
    for (const part of projection.parts) parts.set(part, device.createBuffer({ label: projection.name, size: part.bytes, usage }))
  }
  for (const tensor of planVectors(plan)) {
    vectors.set(tensor.name, device.createBuffer({ label: tensor.name, size: 4 * (tensor.shape[0] ?? 0), usage }))
  }
  return {
    part: (part) => required(parts.get(part), `the buffer of outputs ${part.outputFirst}`),
    vector: (tensor) => required(vectors.get(tensor.name), tensor.name),
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

/** Loads every tensor in file order. Resolves to the RoPE factors, or null where the model has none. */
export async function fillWeights(request: FillRequest): Promise<Float32Array | null> {
  const { device, plan, weights, onProgress, signal } = request
  const placements = planProjections(plan).flatMap((projection) => projection.placements)
  const tensors = new Map(placements.map(({ tensor }) => [tensor.name, tensor]))
  const vectors = new Set(planVectors(plan))
  for (const tensor of vectors) tensors.set(tensor.name, tensor)
  if (plan.ropeFactors !== null) tensors.set(plan.ropeFactors.name, plan.ropeFactors)
  const ordered = [...tensors.values()].sort((a, b) => a.byteOffset - b.byteOffset)
  const bytesTotal = ordered.reduce((sum, tensor) => sum + tensor.byteLength, 0)
  let bytesLoaded = 0
  let ropeFactors: Float32Array | null = null
  onProgress(0, bytesTotal)
  for (const tensor of ordered) {
    const bytes = await loadOne(request.loadTensor, tensor, signal)
    if (tensor === plan.ropeFactors) ropeFactors = dequantize(tensor.type, bytes)
    else if (vectors.has(tensor)) device.queue.writeBuffer(weights.vector(tensor), 0, dequantize(tensor.type, bytes))
    for (const placement of placements) if (placement.tensor === tensor) upload(device, weights.part(placement.part), placement, bytes)
    // Waiting frees the staging copies of this tensor before the next one comes.
    await device.queue.onSubmittedWorkDone()
    bytesLoaded += tensor.byteLength
    onProgress(bytesLoaded, bytesTotal)
  }
  return ropeFactors
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
  const { tensor, part, outputFrom, outputs, panel } = placement
  const words = panelWords(part.type, part.columns)
  const outputsAtOnce = Math.max(1, Math.floor(UPLOAD_WORDS_MAX / words)) * PANEL_OUTPUTS
  for (let done = 0; done < outputs; done += outputsAtOnce) {
    const from = outputFrom + done
    const values = toPanels(tensor.type, bytes, part.columns, from, Math.min(from + outputsAtOnce, outputFrom + outputs))
    device.queue.writeBuffer(buffer, 4 * words * (panel + done / PANEL_OUTPUTS), values)
  }
}

function planProjections(plan: WeightPlan): ProjectionPlan[] {
  const all = new Set(plan.layers.flatMap((layer) => [layer.qkv, layer.attentionOutput, layer.gateUp, layer.down]))
  if (plan.embedding !== null) all.add(plan.embedding)
  if (plan.head !== null) all.add(plan.head)
  return [...all]
}

function planVectors(plan: WeightPlan): ManifestTensor[] {
  const norms = plan.layers.flatMap((layer) => [layer.attentionNorm, layer.feedForwardNorm])
  return plan.outputNorm === null ? norms : [...norms, plan.outputNorm]
}

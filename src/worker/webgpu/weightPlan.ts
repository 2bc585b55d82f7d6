/**
 * Weight plan: which matrices a span is computed with, in which GPU buffers, before a byte is loaded. Matrices that multiply the
 * same input (Q, K, V; gate and up) are joined where their types agree, so that one dispatch does them. A matrix larger than a binding may
 * be is cut by outputs.
 */

import { matrixBytes, PANEL_OUTPUTS, panelCount, panelWords, weightLayout } from '../../kernels/index.ts'
import { isFirstSpan, isLastSpan, type Manifest, type ManifestTensor, type Span, type TensorType } from '../../model/index.ts'
import { EngineError } from '../errors.ts'

/** One buffer: some outputs of a projection. */
export interface PartPlan {
  readonly type: TensorType
  readonly columns: number
  /** Among the projection's outputs; a multiple of PANEL_OUTPUTS behind the begin of its first tensor. */
  readonly outputFirst: number
  readonly outputs: number
  readonly bytes: number
}

/** Where a tensor's outputs [from, from + outputs) go. */
export interface TensorPlacement {
  readonly tensor: ManifestTensor
  readonly part: PartPlan
  readonly outputFrom: number
  readonly outputs: number
  /** First panel within the part. */
  readonly panel: number
}

export interface ProjectionPlan {
  readonly name: string
  readonly columns: number
  readonly outputs: number
  readonly parts: readonly PartPlan[]
  readonly placements: readonly TensorPlacement[]
}

export interface LayerPlan {
  readonly attentionNorm: ManifestTensor
  readonly feedForwardNorm: ManifestTensor
  readonly qkv: ProjectionPlan
  readonly attentionOutput: ProjectionPlan
  readonly gateUp: ProjectionPlan
  readonly down: ProjectionPlan
}

export interface WeightPlan {
  readonly embedding: ProjectionPlan | null
  readonly layers: readonly LayerPlan[]
  /** The same object as `embedding` where the span holds both and the head is tied. */
  readonly head: ProjectionPlan | null
  readonly outputNorm: ManifestTensor | null
  readonly ropeFactors: ManifestTensor | null
  /** Bytes on the GPU. */
  readonly bytes: number
}

/** Throws an EngineError `does-not-fit` for a matrix whose single panel is larger than a binding. */
export function planWeights(manifest: Manifest, span: Span, bindingBytesMax: number): WeightPlan {
  const { config } = manifest
  const find = (name: string): ManifestTensor | undefined => manifest.tensors.find((tensor) => tensor.name === name)
  const tensor = (name: string): ManifestTensor => {
    const found = find(name)
    if (found === undefined) throw new EngineError('does-not-fit', `${manifest.name} has no tensor ${name}; make its manifest again`)
    return found
  }
  const project = (name: string, tensors: readonly ManifestTensor[]) => planProjection(name, tensors, bindingBytesMax)
  const layers = Array.from({ length: span.endLayer - span.firstLayer }, (_, index): LayerPlan => {
    const layer = `blk.${span.firstLayer + index}`
    const named = (...names: string[]) => names.map((name) => tensor(`${layer}.${name}.weight`))
    return {
      attentionNorm: tensor(`${layer}.attn_norm.weight`),
      feedForwardNorm: tensor(`${layer}.ffn_norm.weight`),
      qkv: project(`${layer} qkv`, named('attn_q', 'attn_k', 'attn_v')),
      attentionOutput: project(`${layer} attention output`, named('attn_output')),
      gateUp: project(`${layer} gate and up`, named('ffn_gate', 'ffn_up')),
      down: project(`${layer} down`, named('ffn_down')),
    }
  })
  const table = () => project('embedding', [tensor('token_embd.weight')])
  const embedding = isFirstSpan(span) ? table() : null
  const last = isLastSpan(config, span)
  const head = !last ? null : config.tiedHead ? (embedding ?? table()) : project('head', [tensor('output.weight')])
  const projections = new Set(layers.flatMap((layer) => [layer.qkv, layer.attentionOutput, layer.gateUp, layer.down]))
  if (embedding !== null) projections.add(embedding)
  if (head !== null) projections.add(head)
  const matrices = [...projections].flatMap((projection) => projection.parts).reduce((sum, part) => sum + part.bytes, 0)
  const norms = 4 * config.width * (2 * layers.length + (last ? 1 : 0))
  const outputNorm = last ? tensor('output_norm.weight') : null
  return { embedding, layers, head, outputNorm, ropeFactors: find('rope_freqs.weight') ?? null, bytes: matrices + norms }
}

/** Tensors one behind the other; a new buffer where the type changes, a panel would be shared, or a binding would be too large. */
function planProjection(name: string, tensors: readonly ManifestTensor[], bindingBytesMax: number): ProjectionPlan {
  const columns = tensors[0]?.shape[0] ?? 0
  const parts: PartPlan[] = []
  const placements: TensorPlacement[] = []
  let outputFirst = 0
  for (const group of joinable(tensors)) {
    const type = group[0]?.type ?? 'F32'
    if (columns % weightLayout(type).blockColumns !== 0) {
      throw new EngineError(
        'does-not-fit',
        `${name}: ${columns} columns are not a multiple of ${weightLayout(type).blockColumns} (${type})`,
      )
    }
    const panelsMax = Math.floor(bindingBytesMax / (4 * panelWords(type, columns)))
    if (panelsMax < 1) throw new EngineError('does-not-fit', `${name}: ${columns} columns are more than this device can bind`)
    const outputs = group.reduce((sum, tensor) => sum + (tensor.shape[1] ?? 0), 0)
    const groupParts: PartPlan[] = []
    for (let from = 0; from < outputs; from += panelsMax * PANEL_OUTPUTS) {
      const count = Math.min(panelsMax * PANEL_OUTPUTS, outputs - from)
      groupParts.push({ type, columns, outputFirst: outputFirst + from, outputs: count, bytes: matrixBytes(type, columns, count) })
    }
    placements.push(...placeTensors(group, groupParts, outputFirst))
    parts.push(...groupParts)
    outputFirst += outputs
  }
  return { name, columns, outputs: outputFirst, parts, placements }
}

function joinable(tensors: readonly ManifestTensor[]): ManifestTensor[][] {
  const groups: ManifestTensor[][] = []
  let open = false
  for (const tensor of tensors) {
    const last = groups.at(-1)
    if (open && last?.[0]?.type === tensor.type) last.push(tensor)
    else groups.push([tensor])
    open = (tensor.shape[1] ?? 0) % PANEL_OUTPUTS === 0
  }
  return groups
}

function placeTensors(tensors: readonly ManifestTensor[], parts: readonly PartPlan[], groupFirst: number): TensorPlacement[] {
  const placements: TensorPlacement[] = []
  let first = groupFirst
  for (const tensor of tensors) {
    const end = first + (tensor.shape[1] ?? 0)
    for (const part of parts) {
      const from = Math.max(first, part.outputFirst)
      const to = Math.min(end, part.outputFirst + part.outputs)
      if (from >= to) continue
      placements.push({ tensor, part, outputFrom: from - first, outputs: to - from, panel: panelCount(from - part.outputFirst) })
    }
    first = end
  }
  return placements
}

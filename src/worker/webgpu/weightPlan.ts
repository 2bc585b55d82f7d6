/**
 * Weight plan: which matrices and vectors a span is computed with, in which GPU buffers, before a byte is loaded. Matrices that
 * multiply the same input (Q, K, V; gate and up) are joined where their types agree, so that one dispatch does them; gate and up
 * panel by panel in turn, so that it can do what follows too. A matrix larger than a binding may be is cut by outputs, experts are
 * cut between experts.
 */

import { matrixBytes, PANEL_OUTPUTS, panelCount, panelWords, weightLayout } from '../../kernels/index.ts'
import {
  architectureTraits,
  isFirstSpan,
  isLastSpan,
  type Manifest,
  type ManifestTensor,
  ROPE_DIVISORS,
  type Span,
  type TensorType,
} from '../../model/index.ts'
import { EngineError } from '../errors.ts'

/** One buffer: some outputs of a projection. */
export interface PartPlan {
  readonly type: TensorType
  readonly columns: number
  /** Among the projection's outputs; a multiple of PANEL_OUTPUTS behind the begin of its first tensor. */
  readonly outputFirst: number
  /** Of one expert, where the part holds experts. */
  readonly outputs: number
  readonly bytes: number
}

/** Experts [expertFirst, expertFirst + expertCount), each in panels of its own. */
export interface ExpertPartPlan extends PartPlan {
  readonly expertFirst: number
  readonly expertCount: number
}

/** Where a tensor's outputs [outputFrom, outputFrom + outputs), counted from byte `byteFrom`, go. */
export interface TensorPlacement {
  readonly tensor: ManifestTensor
  readonly part: PartPlan
  readonly byteFrom: number
  readonly outputFrom: number
  readonly outputs: number
  /** First panel within the part. */
  readonly panel: number
}

export interface ProjectionPlan<Part extends PartPlan = PartPlan> {
  readonly name: string
  readonly columns: number
  readonly outputs: number
  readonly parts: readonly Part[]
  readonly placements: readonly TensorPlacement[]
}

/** One buffer of f32: the tensors one behind the other. */
export interface VectorPlan {
  readonly name: string
  readonly tensors: readonly ManifestTensor[]
  readonly elements: number
}

export type FeedForwardPlan =
  | {
      readonly kind: 'dense'
      readonly gateUp: ProjectionPlan
      /** Whether panels of gate and up take turns; else all of the gate's outputs come first. */
      readonly inTurn: boolean
      readonly down: ProjectionPlan
    }
  | {
      readonly kind: 'experts'
      readonly router: ProjectionPlan
      /** Outputs: the gate's, then up's. */
      readonly gateUp: ProjectionPlan<ExpertPartPlan>
      readonly down: ProjectionPlan<ExpertPartPlan>
    }

export interface LayerPlan {
  readonly attentionNorm: VectorPlan
  readonly qkv: ProjectionPlan
  /** Biases of Q, K and V, then the weights of the queries' norm and of the keys': what the architecture has of them. */
  readonly attentionVectors: VectorPlan | null
  readonly attentionOutput: ProjectionPlan
  readonly attentionPostNorm: VectorPlan | null
  readonly feedForwardNorm: VectorPlan
  readonly feedForward: FeedForwardPlan
  readonly feedForwardPostNorm: VectorPlan | null
}

export interface WeightPlan {
  readonly embedding: ProjectionPlan | null
  readonly layers: readonly LayerPlan[]
  /** The same object as `embedding` where the span holds both and the head is tied. */
  readonly head: ProjectionPlan | null
  readonly outputNorm: VectorPlan | null
  readonly ropeDivisors: ManifestTensor | null
  readonly projections: readonly ProjectionPlan[]
  readonly vectors: readonly VectorPlan[]
  /** Bytes on the GPU. */
  readonly bytes: number
}

/** Throws an EngineError `does-not-fit` for a matrix whose single panel, or single expert, is larger than a binding. */
export function planWeights(manifest: Manifest, span: Span, bindingBytesMax: number): WeightPlan {
  const { config } = manifest
  const find = (name: string): ManifestTensor | undefined => manifest.tensors.find((tensor) => tensor.name === name)
  const tensor = (name: string): ManifestTensor => {
    const found = find(name)
    if (found === undefined) throw new EngineError('does-not-fit', `${manifest.name} has no tensor ${name}; make its manifest again`)
    return found
  }
  const layers = Array.from({ length: span.endLayer - span.firstLayer }, (_, index) =>
    planLayer(manifest, span.firstLayer + index, tensor, bindingBytesMax),
  )
  const project = (name: string, source: string) => planProjection(name, [tensor(source)], bindingBytesMax)
  const table = () => project('embedding', 'token_embd.weight')
  const embedding = isFirstSpan(span) ? table() : null
  const last = isLastSpan(config, span)
  const head = !last ? null : config.tiedHead ? (embedding ?? table()) : project('head', 'output.weight')
  const outputNorm = last ? planVector([tensor('output_norm.weight')]) : null
  const projections = [...new Set([...layers.flatMap(layerProjections), embedding, head])].filter((each) => each !== null)
  const vectors = [...layers.flatMap(layerVectors), outputNorm].filter((each) => each !== null)
  const matrices = projections.flatMap((projection) => projection.parts).reduce((sum, part) => sum + part.bytes, 0)
  const bytes = vectors.reduce((sum, { elements }) => sum + 4 * elements, matrices)
  const ropeDivisors = ROPE_DIVISORS.map(find).find((found) => found !== undefined) ?? null
  return { embedding, layers, head, outputNorm, ropeDivisors, projections, vectors, bytes }
}

function planLayer(manifest: Manifest, index: number, find: (name: string) => ManifestTensor, bindingBytesMax: number): LayerPlan {
  const layer = `blk.${index}`
  const traits = architectureTraits(manifest.config.architecture)
  const named = (...names: string[]) => names.map((name) => find(`${layer}.${name}`))
  const vector = (...names: string[]) => planVector(named(...names))
  const project = (name: string, ...names: string[]) => planProjection(`${layer} ${name}`, named(...names), bindingBytesMax)
  const vectors = [
    ...(traits.qkvBias ? ['attn_q.bias', 'attn_k.bias', 'attn_v.bias'] : []),
    ...(traits.headNorms ? ['attn_q_norm.weight', 'attn_k_norm.weight'] : []),
  ]
  const experts = (name: string, ...names: string[]) => planExperts(`${layer} ${name}`, named(...names), bindingBytesMax)
  return {
    attentionNorm: vector('attn_norm.weight'),
    qkv: traits.fusedQkv ? project('qkv', 'attn_qkv.weight') : project('qkv', 'attn_q.weight', 'attn_k.weight', 'attn_v.weight'),
    attentionVectors: vectors.length > 0 ? vector(...vectors) : null,
    attentionOutput: project('attention output', 'attn_output.weight'),
    attentionPostNorm: traits.postNorms ? vector('post_attention_norm.weight') : null,
    feedForwardNorm: vector('ffn_norm.weight'),
    feedForward: traits.experts
      ? {
          kind: 'experts',
          router: project('router', 'ffn_gate_inp.weight'),
          gateUp: experts('gate and up', 'ffn_gate_exps.weight', 'ffn_up_exps.weight'),
          down: experts('down', 'ffn_down_exps.weight'),
        }
      : {
          kind: 'dense',
          ...planGateUp(
            `${layer} gate and up`,
            named(...(traits.fusedGateUp ? [] : ['ffn_gate.weight']), 'ffn_up.weight'),
            bindingBytesMax,
          ),
          down: project('down', 'ffn_down.weight'),
        },
    feedForwardPostNorm: traits.postNorms ? vector('post_ffw_norm.weight') : null,
  }
}

function layerProjections({ qkv, attentionOutput, feedForward }: LayerPlan): ProjectionPlan[] {
  const { gateUp, down } = feedForward
  return [qkv, attentionOutput, ...(feedForward.kind === 'experts' ? [feedForward.router] : []), gateUp, down]
}

function layerVectors(layer: LayerPlan): (VectorPlan | null)[] {
  const { attentionNorm, attentionVectors, attentionPostNorm, feedForwardNorm, feedForwardPostNorm } = layer
  return [attentionNorm, attentionVectors, attentionPostNorm, feedForwardNorm, feedForwardPostNorm]
}

function planVector(tensors: readonly ManifestTensor[]): VectorPlan {
  const elements = tensors.reduce((sum, tensor) => sum + (tensor.shape[0] ?? 0), 0)
  return { name: tensors[0]?.name ?? '', tensors, elements }
}

/** Tensors one behind the other; a new buffer where the type changes, a panel would be shared, or a binding would be too large. */
function planProjection(name: string, tensors: readonly ManifestTensor[], bindingBytesMax: number): ProjectionPlan {
  const columns = tensors[0]?.shape[0] ?? 0
  const parts: PartPlan[] = []
  const placements: TensorPlacement[] = []
  let outputFirst = 0
  for (const group of joinable(tensors)) {
    const type = group[0]?.type ?? 'F32'
    refuseColumns(name, type, columns)
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
      const panel = panelCount(from - part.outputFirst)
      placements.push({ tensor, part, byteFrom: 0, outputFrom: from - first, outputs: to - from, panel })
    }
    first = end
  }
  return placements
}

/** Gate and up out of two tensors, or of one that holds both: panels in turn where the types agree. */
function planGateUp(
  name: string,
  tensors: readonly ManifestTensor[],
  bindingBytesMax: number,
): { readonly gateUp: ProjectionPlan; readonly inTurn: boolean } {
  const [gate, up = gate] = tensors
  if (gate === undefined || up === undefined || gate.type !== up.type) {
    return { gateUp: planProjection(name, tensors, bindingBytesMax), inTurn: false }
  }
  const { type } = gate
  const [columns = 0, rows = 0] = gate.shape
  const width = gate === up ? rows / 2 : rows
  const upFrom = gate === up ? gate.byteLength / 2 : 0
  refuseColumns(name, type, columns)
  const pairsMax = Math.floor(bindingBytesMax / (8 * panelWords(type, columns)))
  if (pairsMax < 1) throw new EngineError('does-not-fit', `${name}: ${columns} columns are more than this device can bind`)
  const parts: PartPlan[] = []
  const placements: TensorPlacement[] = []
  for (let pairFirst = 0; pairFirst < panelCount(width); pairFirst += pairsMax) {
    const pairs = Math.min(pairsMax, panelCount(width) - pairFirst)
    const outputs = 2 * PANEL_OUTPUTS * pairs
    const part = { type, columns, outputFirst: 2 * PANEL_OUTPUTS * pairFirst, outputs, bytes: matrixBytes(type, columns, outputs) }
    parts.push(part)
    for (let pair = 0; pair < pairs; pair++) {
      const outputFrom = PANEL_OUTPUTS * (pairFirst + pair)
      const count = Math.min(PANEL_OUTPUTS, width - outputFrom)
      placements.push({ tensor: gate, part, byteFrom: 0, outputFrom, outputs: count, panel: 2 * pair })
      placements.push({ tensor: up, part, byteFrom: upFrom, outputFrom, outputs: count, panel: 2 * pair + 1 })
    }
  }
  return { gateUp: { name, columns, outputs: 2 * PANEL_OUTPUTS * panelCount(width), parts, placements }, inTurn: true }
}

/** Tensors of shape [columns, outputs, experts], side by side in y; as many experts a buffer as a binding holds. */
function planExperts(name: string, tensors: readonly ManifestTensor[], bindingBytesMax: number): ProjectionPlan<ExpertPartPlan> {
  const columns = tensors[0]?.shape[0] ?? 0
  const parts: ExpertPartPlan[] = []
  const placements: TensorPlacement[] = []
  let outputFirst = 0
  for (const tensor of tensors) {
    const { type } = tensor
    const [, outputs = 0, expertCount = 0] = tensor.shape
    refuseColumns(name, type, columns)
    const expertBytes = matrixBytes(type, columns, outputs)
    const expertsMax = Math.floor(bindingBytesMax / expertBytes)
    if (expertsMax < 1) throw new EngineError('does-not-fit', `${name}: one expert is larger than what this device can bind`)
    for (let expertFirst = 0; expertFirst < expertCount; expertFirst += expertsMax) {
      const count = Math.min(expertsMax, expertCount - expertFirst)
      const part = { type, columns, outputFirst, outputs, bytes: count * expertBytes, expertFirst, expertCount: count }
      parts.push(part)
      for (let index = 0; index < count; index++) {
        const byteFrom = ((expertFirst + index) * tensor.byteLength) / expertCount
        placements.push({ tensor, part, byteFrom, outputFrom: 0, outputs, panel: index * panelCount(outputs) })
      }
    }
    outputFirst += outputs
  }
  return { name, columns, outputs: outputFirst, parts, placements }
}

function refuseColumns(name: string, type: TensorType, columns: number): void {
  const { blockColumns } = weightLayout(type)
  if (columns % blockColumns === 0) return
  throw new EngineError('does-not-fit', `${name}: ${columns} columns are not a multiple of ${blockColumns} (${type})`)
}

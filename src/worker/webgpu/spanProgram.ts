/**
 * Span program: every dispatch of a loaded span, bound once at load. `encodeLayers` writes one run's layers into a pass; the two
 * kinds of rows never share a numeric path: decode multiplies with the quantized weights (matvec), prompt with panels that were
 * dequantized for the run (matmul).
 */

import {
  attention,
  attentionCombine,
  candidates,
  type Dispatch,
  dequantize,
  embedding,
  type GroupRows,
  groupRows,
  type KernelDevice,
  type KvType,
  matmul,
  matvec,
  packRows,
  panelCount,
  panelValuesBytes,
  rmsNorm,
  ropeKv,
  swiglu,
  unpackRows,
  type WorkBinding,
} from '../../kernels/index.ts'
import type { ModelConfig, Span } from '../../model/index.ts'
import type { RowEncoding, RowKind } from '../../protocol/index.ts'
import type { LayerKv, Scratch } from './buffers.ts'
import { attentionShape, logitsStride } from './memory.ts'
import type { Tuning } from './tuning.ts'
import type { LayerPlan, PartPlan, ProjectionPlan, WeightPlan } from './weightPlan.ts'
import type { Weights } from './weights.ts'

export interface ProgramRequest {
  readonly kernels: KernelDevice
  readonly config: ModelConfig
  readonly span: Span
  readonly plan: WeightPlan
  readonly weights: Weights
  readonly scratch: Scratch
  readonly kv: readonly LayerKv[]
  readonly kvType: KvType
  readonly kvPositions: number
  readonly tuning: Tuning
}

/** A run as the kernels see it. */
interface RunExtent {
  readonly kind: RowKind
  readonly span: Span
  readonly rows: number
  readonly positionLast: number
  readonly work: WorkBinding
  /** Each piece's rows are consecutive positions of one slot. */
  readonly pieces: readonly { readonly rows: number; readonly work: WorkBinding }[]
}

type Pass = GPUComputePassEncoder
/** One projection on one path, for so many rows. */
type Multiply = (pass: Pass, rows: number) => void

interface Projection {
  readonly decode: Multiply
  readonly prompt: Multiply
}

interface Layer {
  readonly attentionNorm: Dispatch<{ readonly rows: number }>
  readonly qkv: Projection
  readonly ropeKv: Dispatch<{ readonly rows: number }>
  readonly attention: (pass: Pass, run: RunExtent) => void
  readonly attentionOutput: Projection
  readonly feedForwardNorm: Dispatch<{ readonly rows: number }>
  readonly gateUp: Projection
  readonly swiglu: Dispatch<{ readonly rows: number }>
  readonly down: Projection
}

export interface SpanProgram {
  /** Token ids of the work's rows into the residual. */
  embed(pass: Pass, rows: number, work: WorkBinding): void
  /** Rows of the input buffer into the residual. */
  unpack(pass: Pass, encoding: RowEncoding, rows: number, work: WorkBinding): void
  encodeLayers(pass: Pass, run: RunExtent): void
  /** Rows of the residual into the output buffer. */
  pack(pass: Pass, encoding: RowEncoding, rows: number, work: WorkBinding): void
  /** Final norm and head of the work's selected rows: logits of rows 0 … rows − 1. */
  head(pass: Pass, rows: number, work: WorkBinding): void
  candidates(pass: Pass, work: WorkBinding): void
  /** One row of logits as it is into the output buffer. */
  packLogits(pass: Pass, work: WorkBinding): void
}

export async function buildProgram(request: ProgramRequest): Promise<SpanProgram> {
  const { span, plan } = request
  const layers = await Promise.all(plan.layers.map((layer, index) => buildLayer(request, layer, index)))
  const embed = await buildEmbedding(request)
  const head = await buildHead(request)
  const { unpack, pack } = await buildRows(request)
  return {
    embed(pass, rows, work) {
      for (const dispatch of embed) dispatch(pass, { rows }, work)
    },
    unpack: (pass, encoding, rows, work) => unpack[encoding](pass, { rows }, work),
    encodeLayers(pass, run) {
      for (let layer = run.span.firstLayer; layer < run.span.endLayer; layer++) {
        const dispatches = layers[layer - span.firstLayer]
        if (dispatches !== undefined) encodeLayer(pass, dispatches, run)
      }
    },
    pack: (pass, encoding, rows, work) => pack[encoding](pass, { rows }, work),
    head(pass, rows, work) {
      head?.norm(pass, { rows }, work)
      head?.multiply(pass, rows)
    },
    candidates: (pass, work) => head?.candidates(pass, undefined, work),
    packLogits: (pass, work) => head?.packLogits(pass, { rows: 1 }, work),
  }

  function encodeLayer(pass: Pass, layer: Layer, run: RunExtent): void {
    const { kind, rows, work } = run
    layer.attentionNorm(pass, { rows }, work)
    layer.qkv[kind](pass, rows)
    layer.ropeKv(pass, { rows }, work)
    layer.attention(pass, run)
    layer.attentionOutput[kind](pass, rows)
    layer.feedForwardNorm(pass, { rows }, work)
    layer.gateUp[kind](pass, rows)
    layer.swiglu(pass, { rows }, null)
    layer.down[kind](pass, rows)
  }
}

async function buildLayer(request: ProgramRequest, plan: LayerPlan, index: number): Promise<Layer> {
  const { kernels, config, scratch, weights, kvType } = request
  const { residual, hidden, qkv, attention: attended, gateUp, activated } = scratch
  const kv = request.kv[index]
  if (kv === undefined) throw new Error(`assertion failed: no KV buffers for layer ${index}`)
  const norm = { width: config.width, epsilon: config.rmsEpsilon }
  const heads = { heads: config.headCount, kvHeads: config.kvHeadCount, headSize: config.headSize }
  const rope = { ...heads, ropeDimensions: config.ropeDimensions }
  return {
    attentionNorm: await kernels.prepare(rmsNorm, { gather: false }, norm, [residual, weights.vector(plan.attentionNorm), hidden]),
    qkv: await buildProjection(request, plan.qkv, hidden, qkv, false),
    ropeKv: await kernels.prepare(ropeKv, { kvType }, rope, [qkv, kv.keys, kv.values]),
    attention: await buildAttention(request, kv),
    attentionOutput: await buildProjection(request, plan.attentionOutput, attended, residual, true),
    feedForwardNorm: await kernels.prepare(rmsNorm, { gather: false }, norm, [residual, weights.vector(plan.feedForwardNorm), hidden]),
    gateUp: await buildProjection(request, plan.gateUp, hidden, gateUp, false),
    swiglu: await kernels.prepare(swiglu, undefined, { width: config.feedForwardWidth }, [gateUp, activated]),
    down: await buildProjection(request, plan.down, activated, residual, true),
  }
}

async function buildAttention(request: ProgramRequest, kv: LayerKv): Promise<Layer['attention']> {
  const { kernels, config, kvType, scratch, tuning } = request
  const shape = attentionShape(config, request.kvPositions)
  const { headSize } = config
  // The heads that share a KV head, all at once where they are few.
  const decodeTile = Math.min(8, config.headCount / config.kvHeadCount)
  const { promptTile } = tuning
  const decode = await kernels.prepare(attention, { kind: 'decode', kvType, headSize, tile: decodeTile }, shape, [
    scratch.qkv,
    kv.keys,
    kv.values,
    scratch.partials,
  ])
  const combine = await kernels.prepare(attentionCombine, undefined, shape, [scratch.partials, scratch.attention])
  const prompt = await kernels.prepare(attention, { kind: 'prompt', kvType, headSize, tile: promptTile }, shape, [
    scratch.qkv,
    kv.keys,
    kv.values,
    scratch.attention,
  ])
  return (pass, { kind, rows, positionLast, work, pieces }) => {
    if (kind === 'decode') {
      decode(pass, { kind, tile: decodeTile, rows, positionLast }, work)
      combine(pass, { rows }, work)
    } else for (const piece of pieces) prompt(pass, { kind, tile: promptTile, rows: piece.rows, positionLast }, piece.work)
  }
}

async function buildProjection(
  request: ProgramRequest,
  plan: ProjectionPlan,
  x: GPUBuffer,
  y: GPUBuffer,
  accumulate: boolean,
): Promise<Projection> {
  const yStride = plan.outputs
  const prompts = await Promise.all(plan.parts.map((part) => buildPanels(request, part, yStride, x, y, accumulate)))
  return {
    decode: await buildMatvec(request, plan, yStride, x, y, accumulate),
    prompt: (pass, rows) => {
      for (const part of prompts) part(pass, rows)
    },
  }
}

async function buildMatvec(
  request: ProgramRequest,
  plan: ProjectionPlan,
  yStride: number,
  x: GPUBuffer,
  y: GPUBuffer,
  accumulate: boolean,
): Promise<Multiply> {
  const { kernels, weights, tuning } = request
  const bound = plan.parts.map((part) => {
    const { type, columns, outputs, outputFirst } = part
    const shape = { type, columns, outputs, yStride, yOffset: outputFirst, accumulate }
    return { type, shape, buffers: [weights.part(part), x, y] }
  })
  const { lanes } = tuning
  const one = await Promise.all(bound.map(({ type, shape, buffers }) => kernels.prepare(matvec, { type, rows: 1, lanes }, shape, buffers)))
  // One tab alone mostly decodes one row at a time; the wider variants cost a second of compiling each on software adapters.
  const more = (rows: GroupRows) =>
    bound.map(({ type, shape, buffers }) => kernels.prepareLazily(matvec, { type, rows, lanes }, shape, buffers))
  const variants = { 1: one, 2: more(2), 4: more(4), 8: more(8) }
  return (pass, rows) => {
    for (const part of variants[groupRows(rows)]) part(pass, undefined, null)
  }
}

/** The prompt path of one part: dequantize as many panels as the scratch buffer holds, multiply, and on to the next. */
async function buildPanels(
  request: ProgramRequest,
  part: PartPlan,
  yStride: number,
  x: GPUBuffer,
  y: GPUBuffer,
  accumulate: boolean,
): Promise<Multiply> {
  const { kernels, weights, scratch, tuning } = request
  const { type, columns, outputs, outputFirst } = part
  const panelsMax = Math.floor(scratch.panelValues.size / panelValuesBytes(columns))
  const steps: Multiply[] = []
  for (let panelFirst = 0; panelFirst < panelCount(outputs); panelFirst += panelsMax) {
    const panels = Math.min(panelsMax, panelCount(outputs) - panelFirst)
    const unpack = await kernels.prepare(dequantize, { type }, { type, columns, panelFirst, panels }, [
      weights.part(part),
      scratch.panelValues,
    ])
    const shape = { columns, outputs, panelFirst, panels, yStride, yOffset: outputFirst, accumulate }
    const multiply = await kernels.prepare(matmul, tuning.matmul, shape, [scratch.panelValues, x, y])
    steps.push((pass, rows) => {
      unpack(pass, undefined, null)
      multiply(pass, { rows, variant: tuning.matmul }, null)
    })
  }
  return (pass, rows) => {
    for (const step of steps) step(pass, rows)
  }
}

async function buildEmbedding({ kernels, config, plan, weights, scratch }: ProgramRequest): Promise<Dispatch<{ readonly rows: number }>[]> {
  return Promise.all(
    (plan.embedding?.parts ?? []).map((part) =>
      kernels.prepare(
        embedding,
        { type: part.type },
        { type: part.type, width: config.width, idFirst: part.outputFirst, idCount: part.outputs },
        [weights.part(part), scratch.residual],
      ),
    ),
  )
}

async function buildHead(request: ProgramRequest) {
  const { kernels, config, plan, weights, scratch } = request
  if (plan.head === null || plan.outputNorm === null) return null
  const stride = logitsStride(config)
  const { vocabularySize: vocabulary, width } = config
  return {
    norm: await kernels.prepare(rmsNorm, { gather: true }, { width, epsilon: config.rmsEpsilon }, [
      scratch.residual,
      weights.vector(plan.outputNorm),
      scratch.headHidden,
    ]),
    multiply: await buildMatvec(request, plan.head, stride, scratch.headHidden, scratch.logits, false),
    candidates: await kernels.prepare(candidates, undefined, { vocabulary, stride }, [scratch.logits, scratch.output, scratch.flags]),
    packLogits: await kernels.prepare(packRows, { encoding: 'f32' }, { width: vocabulary, xStride: stride }, [
      scratch.logits,
      scratch.output,
      scratch.flags,
    ]),
  }
}

async function buildRows({ kernels, config, scratch }: ProgramRequest) {
  const shape = { width: config.width, xStride: config.width }
  const unpack = (encoding: RowEncoding) => kernels.prepare(unpackRows, { encoding }, shape, [scratch.input, scratch.residual])
  const pack = (encoding: RowEncoding) => kernels.prepare(packRows, { encoding }, shape, [scratch.residual, scratch.output, scratch.flags])
  return {
    unpack: { f32: await unpack('f32'), f16e: await unpack('f16e') },
    pack: { f32: await pack('f32'), f16e: await pack('f16e') },
  }
}

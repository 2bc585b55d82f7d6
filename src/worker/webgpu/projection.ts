/**
 * Projections of a span program: y = W·x for all rows of a run, with what can be fused to it. The two kinds of rows never share a
 * numeric path: decode multiplies with the quantized weights (matvec), norms x on the way and gates what comes out; prompt
 * unpacks them a tile at a time for many rows (matmul), norm and gate being dispatches of their own.
 */

import {
  bindMatmul,
  bindMatvec,
  bindMatvecLazily,
  type GroupRows,
  gatedActivation,
  groupRows,
  type MatvecVariant,
  matvec,
  rmsNorm,
} from '../../kernels/index.ts'
import { type ProgramRequest, rowsStep, type Step } from './program.ts'
import type { ProjectionPlan, VectorPlan } from './weightPlan.ts'

export interface ProjectionTarget {
  readonly x: GPUBuffer
  readonly y: GPUBuffer
  /** Elements of a row of y; default: the projection's outputs. */
  readonly yStride?: number
  /** Adds to y (the residual) instead of replacing it. */
  readonly accumulate?: boolean
}

/** So many rows of x, from the first. */
export type Multiply = (pass: GPUComputePassEncoder, rows: number) => void

/** What decode's matvec does beside multiplying. */
interface Fusion {
  readonly norm?: VectorPlan
  readonly gate?: { readonly activation: 'silu' | 'gelu'; readonly width: number }
}

export async function buildProjection(request: ProgramRequest, plan: ProjectionPlan, target: ProjectionTarget): Promise<Step> {
  return byKind(await buildMatvec(request, plan, target), await buildMatmul(request, plan, target))
}

/** W · norm(residual) into y. */
export async function buildNormedProjection(request: ProgramRequest, plan: ProjectionPlan, norm: VectorPlan, y: GPUBuffer): Promise<Step> {
  const { residual, hidden } = request.scratch
  const prenorm = await buildNorm(request, norm)
  const multiply = await buildMatmul(request, plan, { x: hidden, y })
  return byKind(await buildMatvec(request, plan, { x: residual, y }, { norm }), (pass, run) => {
    prenorm(pass, run)
    multiply(pass, run)
  })
}

/** activation(gate) · up of the normed residual into `activated`; the plan's panels alternate between gate and up. */
export async function buildGatedProjection(
  request: ProgramRequest,
  plan: ProjectionPlan,
  norm: VectorPlan,
  activation: 'silu' | 'gelu',
): Promise<Step> {
  const { kernels, config, scratch } = request
  const { residual, hidden, gateUp, activated } = scratch
  const width = config.feedForwardWidth
  const prenorm = await buildNorm(request, norm)
  const multiply = await buildMatmul(request, plan, { x: hidden, y: gateUp })
  const gated = rowsStep(await kernels.prepare(gatedActivation, { activation, panels: true }, { width }, [gateUp, activated]))
  const target = { x: residual, y: activated, yStride: width }
  return byKind(await buildMatvec(request, plan, target, { norm, gate: { activation, width } }), (pass, run) => {
    prenorm(pass, run)
    multiply(pass, run)
    gated(pass, run)
  })
}

/** The residual, normed, into `hidden`. */
export async function buildNorm({ kernels, config, scratch, weights }: ProgramRequest, vector: VectorPlan): Promise<Step> {
  const shape = { width: config.width, epsilon: config.rmsEpsilon }
  const buffers = [scratch.residual, weights.vector(vector), scratch.hidden]
  return rowsStep(await kernels.prepare(rmsNorm, { gather: false, add: false }, shape, buffers))
}

function byKind(decode: Multiply, prompt: Step): Step {
  return (pass, run) => {
    if (run.kind === 'decode') decode(pass, run.rows)
    else prompt(pass, run)
  }
}

/** The decode path, for groups of up to 8 rows. */
export async function buildMatvec(
  { kernels, config, weights, tuning, laterVariants }: ProgramRequest,
  plan: ProjectionPlan,
  { x, y, yStride = plan.outputs, accumulate = false }: ProjectionTarget,
  { norm, gate }: Fusion = {},
): Promise<Multiply> {
  const parts = plan.parts.map((part) => {
    const { type, columns, outputFirst } = part
    // A gate's outputs are half of the panels', and of the last panel only those that there are.
    const yOffset = gate === undefined ? outputFirst : outputFirst / 2
    const outputs = gate === undefined ? part.outputs : Math.min(part.outputs / 2, gate.width - yOffset)
    const variant = { type, lanes: tuning.lanes, form: tuning.matvec.single, normed: norm !== undefined, gated: gate?.activation ?? null }
    const shape = { type, columns, outputs, yStride, yOffset, accumulate, epsilon: config.rmsEpsilon }
    const buffers = { weights: weights.part(part), x, y, ...(norm !== undefined && { norm: weights.vector(norm) }) }
    return { variant, shape, buffers }
  })
  const one = await Promise.all(parts.map(({ variant, shape, buffers }) => bindMatvec(kernels, { ...variant, rows: 1 }, shape, buffers)))
  // One tab alone mostly decodes one row at a time; the wider variants cost a second of compiling each on software adapters.
  const more = (rows: GroupRows) =>
    parts.map(({ variant, shape, buffers }) => {
      const wider: MatvecVariant = { ...variant, form: tuning.matvec.group, rows }
      laterVariants.push(() => kernels.pipeline(matvec, wider))
      return bindMatvecLazily(kernels, wider, shape, buffers)
    })
  const variants = { 1: one, 2: more(2), 4: more(4), 8: more(8) }
  return (pass, rows) => {
    for (const part of variants[groupRows(rows)]) part(pass)
  }
}

/** The prompt path. */
async function buildMatmul(request: ProgramRequest, plan: ProjectionPlan, target: ProjectionTarget): Promise<Step> {
  const { kernels, weights, tuning } = request
  const { x, y, yStride = plan.outputs, accumulate = false } = target
  const parts = await Promise.all(
    plan.parts.map((part) => {
      const { type, columns, outputs, outputFirst } = part
      const shape = { type, columns, outputs, yStride, yOffset: outputFirst, accumulate }
      return bindMatmul(kernels, tuning.matmul, shape, { weights: weights.part(part), x, y })
    }),
  )
  return (pass, { rows }) => {
    for (const part of parts) part(pass, rows)
  }
}

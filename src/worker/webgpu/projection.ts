/**
 * Projections of a span program: y = W·x, or y += W·x, for all rows of a run. The two kinds of rows never share a numeric path:
 * decode multiplies with the quantized weights (matvec), prompt with panels that were dequantized for the run (matmul).
 */

import {
  bindMatvec,
  bindMatvecLazily,
  dequantize,
  type GroupRows,
  groupRows,
  matmul,
  matvec,
  panelCount,
  panelValuesBytes,
} from '../../kernels/index.ts'
import type { ProgramRequest, Step } from './program.ts'
import type { PartPlan, ProjectionPlan } from './weightPlan.ts'

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

export async function buildProjection(request: ProgramRequest, plan: ProjectionPlan, target: ProjectionTarget): Promise<Step> {
  const prompts = await Promise.all(plan.parts.map((part) => buildPanels(request, plan, part, target)))
  const decode = await buildMatvec(request, plan, target)
  return (pass, { kind, rows }) => {
    if (kind === 'decode') decode(pass, rows)
    else for (const part of prompts) part(pass, rows)
  }
}

/** The decode path, for groups of up to 8 rows. */
export async function buildMatvec(
  { kernels, weights, tuning, laterVariants }: ProgramRequest,
  plan: ProjectionPlan,
  { x, y, yStride = plan.outputs, accumulate = false }: ProjectionTarget,
): Promise<Multiply> {
  const bound = plan.parts.map((part) => {
    const { type, columns, outputs, outputFirst } = part
    const shape = { type, columns, outputs, yStride, yOffset: outputFirst, accumulate }
    return { type, shape, buffers: { weights: weights.part(part), x, y } }
  })
  const { lanes } = tuning
  const one = await Promise.all(bound.map(({ type, shape, buffers }) => bindMatvec(kernels, { type, rows: 1, lanes }, shape, buffers)))
  // One tab alone mostly decodes one row at a time; the wider variants cost a second of compiling each on software adapters.
  const more = (rows: GroupRows) =>
    bound.map(({ type, shape, buffers }) => {
      laterVariants.push(() => kernels.pipeline(matvec, { type, rows, lanes }))
      return bindMatvecLazily(kernels, { type, rows, lanes }, shape, buffers)
    })
  const variants = { 1: one, 2: more(2), 4: more(4), 8: more(8) }
  return (pass, rows) => {
    for (const part of variants[groupRows(rows)]) part(pass)
  }
}

/** The prompt path of one part: dequantize as many panels as the scratch buffer holds, multiply, and on to the next. */
async function buildPanels(
  { kernels, weights, scratch, tuning }: ProgramRequest,
  plan: ProjectionPlan,
  part: PartPlan,
  { x, y, yStride = plan.outputs, accumulate = false }: ProjectionTarget,
): Promise<Multiply> {
  const { type, columns, outputs, outputFirst } = part
  const panelsMax = Math.floor(scratch.panelValues.size / panelValuesBytes(columns))
  const steps: Multiply[] = []
  for (let panelFirst = 0; panelFirst < panelCount(outputs); panelFirst += panelsMax) {
    const panels = Math.min(panelsMax, panelCount(outputs) - panelFirst)
    const unpackShape = { type, columns, panelFirst, panels }
    const unpack = await kernels.prepare(dequantize, { type }, unpackShape, [weights.part(part), scratch.panelValues])
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

/**
 * matvec: y = W·x for a group of at most 8 rows: decode's hot loop, and the head's. Reads every weight once for the whole group, so
 * it is bound by the weights; many rows at once: matmul. Fused, as the variant says: an RMS norm of x before, a bias, the gated
 * activation of a feed-forward, and the residual's sum behind. Truth: matmul.reference.ts. Shader: shaders/matvec.wgsl.
 */

import type { TensorType } from '../model/index.ts'
import { assert, required } from '../shared/index.ts'
import { defineKernel, floatBits, foldGrid, type KernelDevice } from './kernel.ts'
import { defaultForm, divideForm, type MatvecForm } from './matvecForm.ts'
import type { Defines } from './shaderText.ts'
import { layoutDefines, panelCount, weightLayout } from './weightLayout.ts'

/** Rows that one variant computes; a group takes the least that holds it, with the same bits. */
export type GroupRows = 1 | 2 | 4 | 8

/** Lanes of the sum of squares, as in rms_norm. */
const NORM_LANES = 32

/** Of four columns, in a group of a quantized type. */
const GROUP_CHUNKS = 8

export interface MatvecVariant {
  readonly type: TensorType
  readonly rows: GroupRows
  /** Invocations that share one output's sum. 1 on software adapters, where barriers cost more than they save. Part of the numeric class. */
  readonly lanes: number
  /** How outputs are spread over invocations; changes no sum. Default: `defaultForm`. */
  readonly form?: MatvecForm
  /** x is RMS-normed with `norm` and the shape's epsilon. */
  readonly normed?: boolean
  /** Outputs of the whole projection get `bias`. */
  readonly biased?: boolean
  /** Panels alternate between gate and up; y is activation(gate) · up. */
  readonly gated?: 'silu' | 'gelu' | null
}

/** One part of a matrix: outputs [0, outputs) of its buffer, written at y's columns from `yOffset`. */
export interface MatvecShape {
  readonly type: TensorType
  readonly columns: number
  /** Of y: with a gate, of the gate alone. */
  readonly outputs: number
  /** Elements of a row of y. */
  readonly yStride: number
  readonly yOffset: number
  /** Adds to y (the residual) instead of replacing it. */
  readonly accumulate: boolean
  /** Of the norm; needed by normed variants only. */
  readonly epsilon?: number
}

/** `extent` is the variant. Bound through `bindMatvec`, which knows it. */
export const matvec = defineKernel<MatvecVariant, MatvecShape, MatvecVariant>({
  name: 'matvec',
  bindings: ['read', 'read', 'read', 'read', 'read', 'write', 'uniform'],
  usesWork: false,
  nmseMax: 1e-10,
  defines,
  uniform({ type, columns, outputs, yStride, yOffset, accumulate, epsilon = 0 }) {
    const { blockColumns } = weightLayout(type)
    assert(columns % blockColumns === 0, `${columns} columns are not a multiple of ${blockColumns} (${type})`)
    assert(yOffset + outputs <= yStride, `outputs ${yOffset}…${yOffset + outputs} of ${yStride}`)
    const added = accumulate ? 1 : 0
    return Uint32Array.of(columns / blockColumns, panelCount(outputs), outputs, columns / 4, yStride, yOffset, added, floatBits(epsilon))
  },
  grid({ outputs }, { form = defaultForm, gated = null }) {
    return foldGrid(panelCount(outputs) * divideForm(form, gated !== null).slices)
  },
})

/** `norm` [columns] and `bias` [outputs of y's row] as the variant needs them. */
export interface MatvecBuffers {
  readonly weights: GPUBuffer
  readonly x: GPUBuffer
  readonly y: GPUBuffer
  readonly norm?: GPUBuffer
  readonly bias?: GPUBuffer
}

export type BoundMatvec = (pass: GPUComputePassEncoder) => void

/** Compiled now. */
export async function bindMatvec(
  kernels: KernelDevice,
  variant: MatvecVariant,
  shape: MatvecShape,
  buffers: MatvecBuffers,
): Promise<BoundMatvec> {
  const dispatch = await kernels.prepare(matvec, variant, shape, bindings(variant, buffers))
  return (pass) => dispatch(pass, variant, null)
}

/** Compiled when it is first used. */
export function bindMatvecLazily(kernels: KernelDevice, variant: MatvecVariant, shape: MatvecShape, buffers: MatvecBuffers): BoundMatvec {
  const dispatch = kernels.prepareLazily(matvec, variant, shape, bindings(variant, buffers))
  return (pass) => dispatch(pass, variant, null)
}

/** The variant for a group of `count` rows. */
export function groupRows(count: number): GroupRows {
  assert(count >= 1 && count <= 8, `a group of ${count} rows`)
  return count === 1 ? 1 : count === 2 ? 2 : count <= 4 ? 4 : 8
}

/** In the kernel's order; what a variant does not read is bound to the weights. */
function bindings({ normed = false, biased = false }: MatvecVariant, { weights, x, y, norm, bias }: MatvecBuffers): GPUBuffer[] {
  const needed = (wanted: boolean, buffer: GPUBuffer | undefined, what: string) => (wanted ? required(buffer, what) : weights)
  return [weights, weights, x, needed(normed, norm, 'the norm of a normed matvec'), needed(biased, bias, 'the bias of a biased matvec'), y]
}

function defines({ type, rows, lanes, form = defaultForm, normed = false, biased = false, gated = null }: MatvecVariant): Defines {
  const { outputs, width } = form
  const { panelsAtOnce, share, slices } = divideForm(form, gated !== null)
  assert(form.subgroup === 0 || lanes === 1, `${lanes} lanes cannot load x for each other`)
  // Blocks of 4 or 8 columns (floats) have less of x than a subgroup would load.
  const subgroup = weightLayout(type).chunks === GROUP_CHUNKS ? form.subgroup : 0
  const loads = subgroup === 0 ? 0 : GROUP_CHUNKS / subgroup
  return {
    ...layoutDefines(type, true),
    ROWS: rows,
    LANES: lanes,
    SPREAD: lanes > 1 ? 1 : 0,
    OUTPUTS: outputs,
    WIDTH: width,
    PANELS_AT_ONCE: panelsAtOnce,
    PANEL_SHARE: share,
    SLICES: slices,
    SUBGROUP: subgroup,
    SUBGROUP_LOADS: loads,
    // Chunk i of half h comes with load h · LOAD_STEP from invocation h · LANE_STEP + i.
    LOAD_STEP: loads > 1 ? 1 : 0,
    LANE_STEP: loads > 1 ? 0 : GROUP_CHUNKS / 2,
    NORMED: normed ? 1 : 0,
    NORMED_HERE: normed && subgroup === 0 ? 1 : 0,
    BIASED: biased ? 1 : 0,
    GATED: gated === null ? 0 : 1,
    GELU: gated === 'gelu' ? 1 : 0,
    SHARED_VALUES: Math.max((lanes - 1) * outputs * width * rows, normed ? NORM_LANES * rows : 0),
  }
}

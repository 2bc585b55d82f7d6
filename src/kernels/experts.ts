/**
 * Mixture of experts in three kernels: routeExperts chooses a row's experts, expertMatvec multiplies with the weights of the
 * chosen ones alone, expertCombine adds their weighted outputs to the residual. Rows of both kinds take this one path.
 * Truth: experts.reference.ts. Shaders: shaders/{route_experts,expert_matvec,expert_combine}.wgsl.
 */

import type { TensorType } from '../model/index.ts'
import { assert } from '../shared/index.ts'
import { defineKernel, GRID_MAX } from './kernel.ts'
import { layoutDefines, panelCount, weightLayout } from './weightLayout.ts'

/** Words of one route: expert and weight. */
export const ROUTE_WORDS = 2

export interface RouteExpertsShape {
  readonly experts: number
  /** How many of them a row takes. */
  readonly used: number
  /** Elements of a row of router logits. */
  readonly stride: number
}

/** Buffers: router logits [rows, stride], routes [rows, used, ROUTE_WORDS]. */
export const routeExperts = defineKernel<{ readonly used: number }, RouteExpertsShape, { readonly rows: number }>({
  name: 'route_experts',
  bindings: ['read', 'write', 'uniform'],
  usesWork: false,
  nmseMax: 1e-12,
  defines: ({ used }) => ({ USED: used }),
  uniform({ experts, used, stride }) {
    assert(used >= 1 && used <= experts && experts <= stride, `${used} of ${experts} experts, stride ${stride}`)
    return Uint32Array.of(experts, used, stride, 0)
  },
  grid: (_, { rows }) => [rows, 1, 1],
})

export interface ExpertMatvecVariant {
  readonly type: TensorType
  /** Whether x has a row for each slot, or one for all slots of a row. */
  readonly slots: boolean
}

/** Experts [expertFirst, expertFirst + expertCount) of a matrix, each [outputs, columns] in panels of its own. */
export interface ExpertMatvecShape {
  readonly type: TensorType
  readonly columns: number
  readonly outputs: number
  readonly yStride: number
  readonly yOffset: number
  readonly expertFirst: number
  readonly expertCount: number
}

/** Buffers: weights, routes, x, y [rows, used, yStride]. */
export const expertMatvec = defineKernel<ExpertMatvecVariant, ExpertMatvecShape, { readonly rows: number; readonly used: number }>({
  name: 'expert_matvec',
  bindings: ['read', 'read', 'read', 'write', 'uniform'],
  usesWork: false,
  nmseMax: 1e-10,
  defines: ({ type, slots }) => ({ ...layoutDefines(type), SLOTS: slots ? 1 : 0 }),
  uniform({ type, columns, outputs, yStride, yOffset, expertFirst, expertCount }) {
    assert(panelCount(outputs) <= GRID_MAX && yOffset + outputs <= yStride, `outputs ${yOffset}…${yOffset + outputs} of ${yStride}`)
    const blocks = columns / weightLayout(type).blockColumns
    return Uint32Array.of(blocks, panelCount(outputs), outputs, columns / 4, yStride, yOffset, expertFirst, expertCount)
  },
  grid: ({ outputs }, { rows, used }) => [panelCount(outputs), used, rows],
})

export interface ExpertCombineShape {
  readonly width: number
  readonly used: number
}

/** Buffers: routes, x [rows, used, width], y [rows, width]. */
export const expertCombine = defineKernel<void, ExpertCombineShape, { readonly rows: number }>({
  name: 'expert_combine',
  bindings: ['read', 'read', 'write', 'uniform'],
  usesWork: false,
  nmseMax: 1e-12,
  defines: () => ({}),
  uniform: ({ width, used }) => Uint32Array.of(width, used, 0, 0),
  grid: ({ width }, { rows }) => [Math.ceil(width / 64), rows, 1],
})

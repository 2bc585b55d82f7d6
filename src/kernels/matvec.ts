/**
 * matvec: y = W·x for a group of at most 8 rows: decode's hot loop, and the head's. Reads every weight once for the whole group, so
 * it is bound by the weights; many rows at once: matmul. Truth: matmul.reference.ts. Shader: shaders/matvec.wgsl.
 */

import type { TensorType } from '../model/index.ts'
import { assert } from '../shared/index.ts'
import { defineKernel, foldGrid } from './kernel.ts'
import { layoutDefines, panelCount, weightLayout } from './weightLayout.ts'

/** Rows that one variant computes; a group takes the least that holds it, with the same bits. */
export type GroupRows = 1 | 2 | 4 | 8

export interface MatvecVariant {
  readonly type: TensorType
  readonly rows: GroupRows
  /** Invocations that share one output's sum. 1 on software adapters, where barriers cost more than they save. Part of the numeric class. */
  readonly lanes: number
}

/** One part of a matrix: outputs [0, outputs) of its buffer, written at y's columns from `yOffset`. */
export interface MatvecShape {
  readonly type: TensorType
  readonly columns: number
  readonly outputs: number
  /** Elements of a row of y. */
  readonly yStride: number
  readonly yOffset: number
  /** Adds to y (the residual) instead of replacing it. */
  readonly accumulate: boolean
}

export const matvec = defineKernel<MatvecVariant, MatvecShape, void>({
  name: 'matvec',
  bindings: ['read', 'read', 'write', 'uniform'],
  usesWork: false,
  nmseMax: 1e-10,
  defines: ({ type, rows, lanes }) => ({
    ...layoutDefines(type),
    ROWS: rows,
    LANES: lanes,
    SHARED: lanes > 1 ? 1 : 0,
    PARTIALS: lanes * 16 * 4 * rows,
  }),
  uniform({ type, columns, outputs, yStride, yOffset, accumulate }) {
    const layout = weightLayout(type)
    assert(columns % layout.blockColumns === 0, `${columns} columns are not a multiple of ${layout.blockColumns} (${type})`)
    assert(yOffset + outputs <= yStride, `outputs ${yOffset}…${yOffset + outputs} of ${yStride}`)
    const blocks = columns / layout.blockColumns
    return Uint32Array.of(blocks, panelCount(outputs), outputs, columns / 4, yStride, yOffset, accumulate ? 1 : 0, 0)
  },
  grid: ({ outputs }) => foldGrid(panelCount(outputs)),
})

/** The variant for a group of `count` rows. */
export function groupRows(count: number): GroupRows {
  assert(count >= 1 && count <= 8, `a group of ${count} rows`)
  return count === 1 ? 1 : count === 2 ? 2 : count <= 4 ? 4 : 8
}

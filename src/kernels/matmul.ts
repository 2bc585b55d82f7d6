/**
 * matmul: Y = W·X for many rows, the prompt's path, in two steps: `dequantize` writes some panels of W as f32 into a scratch buffer,
 * `matmul` multiplies them with all rows. What unpacking a weight costs is so shared by all rows of the run, and the inner loop
 * is nothing but loads and multiply-adds (measured on SwiftShader: 1.9 GMAC/s, against 0.4 of matvec).
 * Truth: matmul.reference.ts. Shaders: shaders/dequantize.wgsl, shaders/matmul.wgsl.
 */

import type { TensorType } from '../model/index.ts'
import { assert } from '../shared/index.ts'
import { defineKernel, GRID_MAX } from './kernel.ts'
import { layoutDefines, PANEL_OUTPUTS, weightLayout } from './weightLayout.ts'

export interface DequantizeShape {
  readonly type: TensorType
  readonly columns: number
  /** Panels [panelFirst, panelFirst + panels) of the weights' buffer. */
  readonly panelFirst: number
  readonly panels: number
}

export const dequantize = defineKernel<{ readonly type: TensorType }, DequantizeShape, void>({
  name: 'dequantize',
  bindings: ['read', 'write', 'uniform'],
  usesWork: false,
  nmseMax: 1e-13,
  defines: ({ type }) => layoutDefines(type),
  uniform({ type, columns, panelFirst, panels }) {
    assert(panels > 0 && panels <= GRID_MAX, `${panels} panels`)
    return Uint32Array.of(columns / weightLayout(type).blockColumns, panelFirst, panels, 0)
  },
  grid: ({ type, columns, panels }) => [columns / weightLayout(type).blockColumns, panels, 1],
})

export interface MatmulVariant {
  /** Rows in an invocation's registers. Does not change the order of any sum. */
  readonly tile: number
  /** Such tiles in a workgroup. */
  readonly lanes: number
}

export interface MatmulShape {
  readonly columns: number
  /** Outputs of the part that the panels belong to. */
  readonly outputs: number
  /** The panels that `dequantize` has just written. */
  readonly panelFirst: number
  readonly panels: number
  readonly yStride: number
  readonly yOffset: number
  readonly accumulate: boolean
}

export interface MatmulExtent {
  readonly rows: number
  readonly variant: MatmulVariant
}

export const matmul = defineKernel<MatmulVariant, MatmulShape, MatmulExtent>({
  name: 'matmul',
  bindings: ['read', 'read', 'write', 'uniform'],
  usesWork: false,
  nmseMax: 1e-10,
  defines: ({ tile, lanes }) => ({ TILE: tile, LANES: lanes }),
  uniform({ columns, outputs, panelFirst, yStride, yOffset, accumulate }) {
    assert(columns % 4 === 0 && yStride % 4 === 0 && yOffset % 4 === 0, `columns ${columns}, stride ${yStride}, offset ${yOffset}`)
    const outputs4 = Math.ceil(outputs / 4)
    assert(yOffset / 4 + outputs4 <= yStride / 4, `outputs ${yOffset}…${yOffset + outputs} of ${yStride}`)
    return Uint32Array.of(columns / 4, panelFirst, outputs4, columns / 4, yStride / 4, yOffset / 4, accumulate ? 1 : 0, 0)
  },
  grid: ({ panels }, { rows, variant }) => [panels, Math.ceil(rows / (variant.tile * variant.lanes)), 1],
})

/** Bytes that one dequantized panel takes. */
export function panelValuesBytes(columns: number): number {
  return 4 * PANEL_OUTPUTS * columns
}

/**
 * rmsNorm: y = x / sqrt(mean(x²) + ε) · weight, a row at a time, or y += it. Truth: elementwise.reference.ts. Shader:
 * shaders/rms_norm.wgsl.
 */

import { assert } from '../shared/index.ts'
import { defineKernel, floatBits } from './kernel.ts'

export interface RmsNormVariant {
  /** Row r of y comes from the run's row `work.selected[r]`: the rows whose logits are wanted. */
  readonly gather: boolean
  /** Adds to y (the residual) instead of replacing it. */
  readonly add: boolean
}

export interface RmsNormShape {
  readonly width: number
  readonly epsilon: number
}

export const rmsNorm = defineKernel<RmsNormVariant, RmsNormShape, { readonly rows: number }>({
  name: 'rms_norm',
  bindings: ['read', 'read', 'write', 'uniform'],
  usesWork: true,
  nmseMax: 1e-12,
  defines: ({ gather, add }) => ({ GATHER: gather ? 1 : 0, ADD: add ? 1 : 0 }),
  uniform({ width, epsilon }) {
    assert(width % 4 === 0, `width ${width} is not a multiple of 4`)
    return Uint32Array.of(width / 4, floatBits(epsilon), 0, 0)
  },
  grid: (_, { rows }) => [rows, 1, 1],
})

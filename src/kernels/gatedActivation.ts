/**
 * gatedActivation: y = activation(gate) · up, where no matvec has done it already. Truth: elementwise.reference.ts. Shader:
 * shaders/gated_activation.wgsl.
 */

import { defineKernel } from './kernel.ts'

export interface GatedActivationVariant {
  /** `gelu` in its tanh form. */
  readonly activation: 'silu' | 'gelu'
  /** Rows of x are panels of 64 of the gate and of up in turn, the last ones filled up; otherwise all of the gate, then all of up. */
  readonly panels: boolean
}

export interface GatedActivationShape {
  /** Of the feed-forward. */
  readonly width: number
}

export const gatedActivation = defineKernel<GatedActivationVariant, GatedActivationShape, { readonly rows: number }>({
  name: 'gated_activation',
  bindings: ['read', 'write', 'uniform'],
  usesWork: false,
  nmseMax: 1e-11,
  defines: ({ activation, panels }) => ({ GELU: activation === 'gelu' ? 1 : 0, PANELS: panels ? 1 : 0 }),
  uniform: ({ width }) => Uint32Array.of(width, 0, 0, 0),
  grid: ({ width }, { rows }) => [Math.ceil(width / 64), rows, 1],
})

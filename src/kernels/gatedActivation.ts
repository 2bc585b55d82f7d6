/**
 * gatedActivation: y = activation(gate) · up over rows [gate | up]. Truth: elementwise.reference.ts. Shader:
 * shaders/gated_activation.wgsl.
 */

import { defineKernel } from './kernel.ts'

export interface GatedActivationVariant {
  /** `gelu` in its tanh form. */
  readonly activation: 'silu' | 'gelu'
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
  defines: ({ activation }) => ({ GELU: activation === 'gelu' ? 1 : 0 }),
  uniform: ({ width }) => Uint32Array.of(width, 0, 0, 0),
  grid: ({ width }, { rows }) => [Math.ceil(width / 64), rows, 1],
})

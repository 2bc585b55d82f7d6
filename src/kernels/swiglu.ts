/** swiglu: y = silu(gate) · up over rows [gate | up]. Truth: swiglu.reference.ts. Shader: shaders/swiglu.wgsl. */

import { assert } from '../shared/index.ts'
import { defineKernel } from './kernel.ts'

export interface SwigluShape {
  /** Of the feed-forward. */
  readonly width: number
}

export const swiglu = defineKernel<void, SwigluShape, { readonly rows: number }>({
  name: 'swiglu',
  bindings: ['read', 'write', 'uniform'],
  usesWork: false,
  nmseMax: 1e-11,
  defines: () => ({}),
  uniform({ width }) {
    assert(width % 4 === 0, `width ${width} is not a multiple of 4`)
    return Uint32Array.of(width / 4, 0, 0, 0)
  },
  grid: ({ width }, { rows }) => [Math.ceil(width / 4 / 64), rows, 1],
})

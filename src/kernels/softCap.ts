/** softCap: y = cap · tanh(y / cap) in place, for rows of logits (Gemma 2). Truth: elementwise.reference.ts. Shader: shaders/soft_cap.wgsl. */

import { assert } from '../shared/index.ts'
import { defineKernel, floatBits } from './kernel.ts'

export interface SoftCapShape {
  readonly width: number
  /** Elements from row to row; whole vec4s, `width` rounded up at least. */
  readonly stride: number
  readonly cap: number
}

export const softCap = defineKernel<void, SoftCapShape, { readonly rows: number }>({
  name: 'soft_cap',
  bindings: ['write', 'uniform'],
  usesWork: false,
  // Vulkan allows tanh an absolute error of about 1e-5.
  nmseMax: 1e-10,
  defines: () => ({}),
  uniform({ width, stride, cap }) {
    assert(stride % 4 === 0 && width <= stride && cap > 0, `rows of ${width}, stride ${stride}, cap ${cap}`)
    return Uint32Array.of(Math.ceil(width / 4), stride / 4, floatBits(cap), 0)
  },
  grid: ({ width }, { rows }) => [Math.ceil(width / 4 / 64), rows, 1],
})

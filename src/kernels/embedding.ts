/** embedding: rows of the token embedding, dequantized. Truth: the model folder's `dequantize`. Shader: shaders/embedding.wgsl. */

import type { TensorType } from '../model/index.ts'
import { defineKernel, floatBits } from './kernel.ts'
import { layoutDefines, weightLayout } from './weightLayout.ts'

/** One part of the table: ids [idFirst, idFirst + idCount), in its own buffer. */
export interface EmbeddingShape {
  readonly type: TensorType
  readonly width: number
  readonly idFirst: number
  readonly idCount: number
  /** Multiplies the rows: √width in some architectures. */
  readonly scale: number
}

export const embedding = defineKernel<{ readonly type: TensorType }, EmbeddingShape, { readonly rows: number }>({
  name: 'embedding',
  bindings: ['read', 'write', 'uniform'],
  usesWork: true,
  nmseMax: 1e-13,
  defines: ({ type }) => layoutDefines(type),
  uniform: ({ type, width, idFirst, idCount, scale }) =>
    Uint32Array.of(width / weightLayout(type).blockColumns, idFirst, idCount, width / 4, floatBits(scale), 0, 0, 0),
  grid: ({ type, width }, { rows }) => [Math.ceil(width / weightLayout(type).blockColumns / 64), rows, 1],
})

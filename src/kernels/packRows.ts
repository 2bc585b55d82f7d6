/**
 * packRows, unpackRows: rows of activations to the wire's bytes and back, in whole numbers, so that they equal the CPU's codec
 * byte for byte. Packing also finds what is not finite. Truth: protocol's encodeRows and decodeRows. Shaders: shaders/{pack,unpack}_rows.wgsl.
 */

import { assert } from '../shared/index.ts'
import { defineKernel } from './kernel.ts'

/** protocol/rows names and defines them. */
export interface RowsVariant {
  readonly encoding: 'f32' | 'f16e' | 'i8b'
}

export interface RowsShape {
  readonly width: number
  /** Elements from row to row on the GPU's side. */
  readonly xStride: number
}

export const packRows = defineKernel<RowsVariant, RowsShape, { readonly rows: number }>({
  name: 'pack_rows',
  bindings: ['read', 'write', 'write', 'uniform'],
  usesWork: true,
  nmseMax: 0,
  defines: ({ encoding }) => ({ ENCODING: encoding }),
  uniform: ({ width, xStride }) => Uint32Array.of(width, xStride, 0, 0),
  grid: (_, { rows }) => [rows, 1, 1],
})

export const unpackRows = defineKernel<RowsVariant, RowsShape, { readonly rows: number }>({
  name: 'unpack_rows',
  bindings: ['read', 'write', 'uniform'],
  usesWork: true,
  nmseMax: 0,
  defines: ({ encoding }) => ({ ENCODING: encoding }),
  uniform({ width, xStride }) {
    assert(width % 2 === 0, `rows of odd width ${width}`)
    return Uint32Array.of(width, xStride, 0, 0)
  },
  grid: ({ width }, { rows }) => [Math.ceil(width / 2 / 64), rows, 1],
})

/**
 * matmul: Y = W·X for many rows, the prompt's path, straight from the quantized weights. Two forms of equal order of summation (each
 * sum takes its columns in ascending order, one fma a column): `matmulTile` for adapters with fast workgroup memory, `matmulBroadcast`
 * for software adapters, whose loads are dear. Neither the tile nor the number of rows changes any bit.
 * Truth: matmul.reference.ts. Shaders: shaders/matmul_tile.wgsl, shaders/matmul_broadcast.wgsl.
 */

import type { TensorType } from '../model/index.ts'
import { assert } from '../shared/index.ts'
import { defineKernel, GRID_MAX, type KernelDevice } from './kernel.ts'
import type { Defines } from './shaderText.ts'
import { layoutDefines, PANEL_OUTPUTS, panelCount, weightLayout } from './weightLayout.ts'

export interface MatmulShape {
  readonly type: TensorType
  readonly columns: number
  readonly outputs: number
  /** Of y, in elements; multiples of 4. */
  readonly yStride: number
  readonly yOffset: number
  /** Adds to y instead of replacing it. */
  readonly accumulate: boolean
}

export interface MatmulBroadcastVariant {
  readonly type: TensorType
  /** Invocations of a subgroup: exactly so many on this adapter. */
  readonly subgroup: number
}

export interface MatmulTileVariant {
  readonly type: TensorType
  /** Rows of a tile: a multiple of 8. */
  readonly rows: number
}

/** Rows of a tile of the broadcast form: 8 x 4 sums fill the registers; 16 rows are 7 % faster but compile twice as long. */
const BROADCAST_ROWS = 8

/** Tiles that hold whole short prompts, and that share each unpacked weight among many rows. */
const TILE_ROWS_FEW = 16
const TILE_ROWS_MANY = 64

/** Buffers: weights, the same as quads, x, y. Rows of x and y are whole tiles. */
export const matmulBroadcast = defineKernel<MatmulBroadcastVariant, MatmulShape, { readonly rows: number; readonly subgroup: number }>({
  name: 'matmul_broadcast',
  bindings: ['read', 'read', 'read', 'write', 'uniform'],
  usesWork: false,
  nmseMax: 1e-10,
  defines({ type, subgroup }) {
    assert(subgroup <= BROADCAST_ROWS && BROADCAST_ROWS % subgroup === 0, `subgroups of ${subgroup}`)
    return { ...definesOf(type), SUBGROUP: subgroup, ROWS: BROADCAST_ROWS, LANE_ROWS: BROADCAST_ROWS / subgroup }
  },
  uniform: uniformOf,
  grid: ({ outputs }, { rows, subgroup }) => [(panelCount(outputs) * PANEL_OUTPUTS) / (4 * subgroup), Math.ceil(rows / BROADCAST_ROWS), 1],
})

/** Buffers: weights, the same as quads, x, y. Rows of x and y are whole tiles. */
export const matmulTile = defineKernel<MatmulTileVariant, MatmulShape, { readonly rows: number; readonly tileRows: number }>({
  name: 'matmul_tile',
  bindings: ['read', 'read', 'read', 'write', 'uniform'],
  usesWork: false,
  nmseMax: 1e-10,
  defines({ type, rows }) {
    assert(rows % 8 === 0 && rows <= TILE_ROWS_MANY, `tiles of ${rows} rows`)
    return { ...definesOf(type), ROWS: rows, LANES: rows / 8 }
  },
  uniform: uniformOf,
  grid: ({ outputs }, { rows, tileRows }) => [panelCount(outputs), Math.ceil(rows / tileRows), 1],
})

function definesOf(type: TensorType): Defines {
  // Only types with several chunks in half a group have `next_chunk`.
  return { ...layoutDefines(type, true), LOOPED: weightLayout(type).chunks > 2 ? 1 : 0 }
}

function uniformOf({ type, columns, outputs, yStride, yOffset, accumulate }: MatmulShape): Uint32Array<ArrayBuffer> {
  const { blockColumns } = weightLayout(type)
  assert(columns % blockColumns === 0, `${columns} columns are not a multiple of ${blockColumns} (${type})`)
  assert(yStride % 4 === 0 && yOffset % 4 === 0, `stride ${yStride}, offset ${yOffset}`)
  assert(yOffset + 4 * Math.ceil(outputs / 4) <= yStride, `outputs ${yOffset}…${yOffset + outputs} of ${yStride}`)
  assert(panelCount(outputs) * PANEL_OUTPUTS <= GRID_MAX * 16, `${outputs} outputs`)
  return Uint32Array.of(columns / blockColumns, outputs, columns / 4, yStride, yOffset, accumulate ? 1 : 0, 0, 0)
}

/** How an adapter multiplies prompts. Forms differ in speed, not in the order of any sum. */
export type MatmulForm = 'tile' | 'broadcast'

/** Invocations of a subgroup that load rows for each other; null where the device cannot. Its own limits say what each adapter has. */
function broadcastWidth(device: GPUDevice): 4 | 8 | null {
  const { subgroupMinSize } = device.adapterInfo
  if (!device.features.has('subgroups') || subgroupMinSize === undefined || subgroupMinSize < 4) return null
  return subgroupMinSize < 8 ? 4 : 8
}

/** Rows that x and y must hold for a run of `rows`: whole tiles of any form. */
export function matmulRowsPadded(rows: number): number {
  const tile = rows <= TILE_ROWS_FEW ? TILE_ROWS_FEW : TILE_ROWS_MANY
  return tile * Math.ceil(rows / tile)
}

export interface MatmulBuffers {
  readonly weights: GPUBuffer
  readonly x: GPUBuffer
  readonly y: GPUBuffer
}

/** One matrix times the first `rows` rows of x: one dispatch. */
export type BoundMatmul = (pass: GPUComputePassEncoder, rows: number) => void

/** `form`: the wanted one; an adapter without subgroups computes with tiles. */
export async function bindMatmul(
  kernels: KernelDevice,
  form: MatmulForm,
  shape: MatmulShape,
  { weights, x, y }: MatmulBuffers,
): Promise<BoundMatmul> {
  const { type } = shape
  const buffers = [weights, weights, x, y]
  const subgroup = form === 'broadcast' ? broadcastWidth(kernels.device) : null
  if (subgroup !== null) {
    const multiply = await kernels.prepare(matmulBroadcast, { type, subgroup }, shape, buffers)
    return (pass, rows) => multiply(pass, { rows, subgroup }, null)
  }
  const few = await kernels.prepare(matmulTile, { type, rows: TILE_ROWS_FEW }, shape, buffers)
  const many = await kernels.prepare(matmulTile, { type, rows: TILE_ROWS_MANY }, shape, buffers)
  return (pass, rows) => {
    if (rows <= TILE_ROWS_FEW) few(pass, { rows, tileRows: TILE_ROWS_FEW }, null)
    else many(pass, { rows, tileRows: TILE_ROWS_MANY }, null)
  }
}

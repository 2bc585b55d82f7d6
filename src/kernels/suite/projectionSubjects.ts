/** Subjects of the projections: matvec (decode) and matmul (prompt), dispatched as the engine's span program does. */

import { bindMatmul, bindMatvec, groupRows, type KernelDevice, matmulRowsPadded, matmulTile, matvec, toPanels } from '../index.ts'
import type { ProjectionData } from './caseData.ts'
import { formatType } from './formats.ts'
import { GpuBuffers } from './gpuBuffers.ts'
import type { Subject, SuiteTuning } from './subject.ts'
import type { SuiteFormat } from './types.ts'

export async function matvecSubject(
  kernels: KernelDevice,
  format: SuiteFormat,
  data: ProjectionData,
  tuning: SuiteTuning,
): Promise<Subject> {
  const type = formatType(format)
  const { outputs, inputs, rows, weights, x, expected } = data
  const buffers = new GpuBuffers(kernels.device)
  const yStride = 4 * Math.ceil(outputs / 4)
  const group = groupRows(rows)
  const panels = buffers.storage('the weights', toPanels(type, weights, inputs, 0, outputs))
  const input = buffers.storage('the input rows', paddedRows(x, inputs, group))
  const output = buffers.storage('the outputs', 4 * group * yStride)
  const shape = { type, columns: inputs, outputs, yStride, yOffset: 0, accumulate: false }
  const dispatch = await bindMatvec(
    kernels,
    { type, rows: group, lanes: tuning.lanes, form: group === 1 ? tuning.matvec.single : tuning.matvec.group },
    shape,
    {
      weights: panels,
      x: input,
      y: output,
    },
  )
  return {
    encode: dispatch,
    output,
    rowStrideBytes: 4 * yStride,
    rows,
    outputs,
    expected,
    nmseMax: matvec.nmseMax,
    buffers,
  }
}

export async function matmulSubject(
  kernels: KernelDevice,
  format: SuiteFormat,
  data: ProjectionData,
  tuning: SuiteTuning,
): Promise<Subject> {
  const type = formatType(format)
  const { outputs, inputs, rows, weights, x, expected } = data
  const buffers = new GpuBuffers(kernels.device)
  const rowsPadded = matmulRowsPadded(rows)
  const yStride = 4 * Math.ceil(outputs / 4)
  const panels = buffers.storage('the weights', toPanels(type, weights, inputs, 0, outputs))
  const input = buffers.storage('the input rows', paddedRows(x, inputs, rowsPadded))
  const output = buffers.storage('the outputs', 4 * rowsPadded * yStride)
  const shape = { type, columns: inputs, outputs, yStride, yOffset: 0, accumulate: false }
  const multiply = await bindMatmul(kernels, tuning.matmul, shape, { weights: panels, x: input, y: output })
  const encode = (pass: GPUComputePassEncoder) => multiply(pass, rows)
  return { encode, output, rowStrideBytes: 4 * yStride, rows, outputs, expected, nmseMax: matmulTile.nmseMax, buffers }
}

function paddedRows(x: Float32Array<ArrayBuffer>, inputs: number, rows: number): Float32Array<ArrayBuffer> {
  if (x.length === rows * inputs) return x
  const padded = new Float32Array(rows * inputs)
  padded.set(x)
  return padded
}

/** Subjects of the projections: matvec (decode) and dequantize + matmul (prompt), dispatched as the engine's span program does. */

import { dequantize, groupRows, type KernelDevice, matmul, matvec, panelCount, panelValuesBytes, toPanels } from '../index.ts'
import type { ProjectionData } from './caseData.ts'
import { formatType } from './formats.ts'
import { GpuBuffers } from './gpuBuffers.ts'
import type { Subject, SuiteTuning } from './subject.ts'
import type { SuiteFormat } from './types.ts'

/** f32 bytes of the panels that one run of dequantize and matmul works on: as in the engine's scratch. */
const PANEL_BYTES = 2 * 2 ** 20

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
  const dispatch = await kernels.prepare(matvec, { type, rows: group, lanes: tuning.lanes }, shape, [panels, input, output])
  return {
    encode: (pass) => dispatch(pass, undefined, null),
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
  const variant = tuning.matmul
  const rowsPadded = variant.tile * variant.lanes * Math.ceil(rows / (variant.tile * variant.lanes))
  const yStride = 4 * Math.ceil(outputs / 4)
  const panels = buffers.storage('the weights', toPanels(type, weights, inputs, 0, outputs))
  const input = buffers.storage('the input rows', paddedRows(x, inputs, rowsPadded))
  const output = buffers.storage('the outputs', 4 * rowsPadded * yStride)
  const total = panelCount(outputs)
  const panelsOfRun = Math.min(total, Math.max(1, Math.floor(PANEL_BYTES / panelValuesBytes(inputs))))
  const values = buffers.storage('the dequantized panels', panelsOfRun * panelValuesBytes(inputs))
  const steps: ((pass: GPUComputePassEncoder) => void)[] = []
  for (let panelFirst = 0; panelFirst < total; panelFirst += panelsOfRun) {
    const count = Math.min(panelsOfRun, total - panelFirst)
    const part = { columns: inputs, panelFirst, panels: count }
    const unpack = await kernels.prepare(dequantize, { type }, { type, ...part }, [panels, values])
    const shape = { ...part, outputs, yStride, yOffset: 0, accumulate: false }
    const multiply = await kernels.prepare(matmul, variant, shape, [values, input, output])
    steps.push((pass) => unpack(pass, undefined, null))
    steps.push((pass) => multiply(pass, { rows, variant }, null))
  }
  const encode = (pass: GPUComputePassEncoder) => {
    for (const step of steps) step(pass)
  }
  return { encode, output, rowStrideBytes: 4 * yStride, rows, outputs, expected, nmseMax: matmul.nmseMax, buffers }
}

function paddedRows(x: Float32Array<ArrayBuffer>, inputs: number, rows: number): Float32Array<ArrayBuffer> {
  if (x.length === rows * inputs) return x
  const padded = new Float32Array(rows * inputs)
  padded.set(x)
  return padded
}

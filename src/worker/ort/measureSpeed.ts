/** Speed probe of the engine without a GPU: multiply-accumulates a second in decode's matrices, for a volunteer's pledge. */

import type { OnnxNode } from '../../onnx/index.ts'
import { type GraphDescription, OrtGraph, type OrtRuntime } from './runtime.ts'

/** A matrix of 33 MB as f32: what one row reads of it comes from memory or a large cache, as in a model. */
const COLUMNS = 2048
const OUTPUTS = 4096
/** The first runs touch memory and wake threads. */
const WARM_UP_RUNS = 2
const RUNS = 12

/** Multiply-accumulates a second of one row: the best run, since whatever else the machine does only makes one slower. */
export async function measureWasmMacsPerSecond(runtime: OrtRuntime, nowMs: () => number): Promise<number> {
  const project: OnnxNode = { opType: 'Gemm', inputs: ['x', 'weight'], outputs: ['y'], attributes: { transB: { int: 1 } } }
  const description: GraphDescription = {
    nodes: [project],
    weights: [{ name: 'weight', dims: [OUTPUTS, COLUMNS] }],
    inputs: [{ name: 'x', type: 'f32', dims: ['rows', COLUMNS] }],
    outputs: [{ name: 'y', type: 'f32', dims: ['rows', OUTPUTS] }],
  }
  const graph = await OrtGraph.create(runtime, description, new Float32Array(COLUMNS * OUTPUTS).fill(0.01))
  try {
    const x = { data: new Float32Array(COLUMNS).fill(0.5), dims: [1, COLUMNS] }
    for (let run = 0; run < WARM_UP_RUNS; run++) await graph.run({ x }, ['y'])
    let bestMs = Number.POSITIVE_INFINITY
    for (let run = 0; run < RUNS; run++) {
      const startMs = nowMs()
      await graph.run({ x }, ['y'])
      bestMs = Math.min(bestMs, Math.max(0.01, nowMs() - startMs))
    }
    return (COLUMNS * OUTPUTS * 1000) / bestMs
  } finally {
    graph.release()
  }
}

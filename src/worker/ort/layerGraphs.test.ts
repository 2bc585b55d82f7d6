/** What the engine's independence of the batch rests on: a packed matrix gives a row equal bits whatever rows are beside it. */

import * as runtime from 'onnxruntime-web'
import { describe, expect, it } from 'vitest'
import { modelConfig } from '../../../test/support/modelConfig.ts'
import { enterGraph, expertGraph, headGraph, leaveGraph, type PlannedGraph } from './layerGraphs.ts'
import { elementCount, OrtGraph } from './runtime.ts'

runtime.env.wasm.numThreads = 1

/** Sizes that are no multiples of any tile, on both sides of the 128 and 256 columns that ONNX Runtime sums at a time. */
const SIZES = [
  { width: 64, feedForwardWidth: 129, headCount: 3 },
  { width: 250, feedForwardWidth: 70, headCount: 5 },
  { width: 576, feedForwardWidth: 1537, headCount: 9 },
]
const ROWS = 70
/** First row and the one behind the last. */
const CUTS = [
  [0, 1],
  [69, 70],
  [5, 7],
  [3, 6],
  [1, 9],
  [33, 66],
] as const

const noise = (count: number, seed: number) =>
  Float32Array.from({ length: count }, (_, i) => 3 * Math.sin(12.9898 * (i + seed)) * Math.cos(0.37 * i))

async function expectEqualRows(graph: PlannedGraph): Promise<void> {
  const values = noise(
    graph.weights.reduce((sum, { dims }) => sum + elementCount(dims), 0),
    1,
  )
  const session = await OrtGraph.create(runtime, graph, values)
  const all = graph.inputs.map(({ name, dims }, index) => ({
    name,
    width: Number(dims[1]),
    data: noise(ROWS * Number(dims[1]), 7 + index),
  }))
  const names = graph.outputs.map(({ name }) => name)
  const run = (from: number, end: number) => {
    const inputs = all.map(({ name, width, data }) => [name, { data: data.slice(from * width, end * width), dims: [end - from, width] }])
    return session.run(Object.fromEntries(inputs), names)
  }
  const whole = await run(0, ROWS)
  for (const [from, end] of CUTS) {
    const part = await run(from, end)
    for (const { name, dims } of graph.outputs) {
      const width = Number(dims[1])
      expect(part[name], `${graph.name}, ${name}, rows ${from} to ${end}`).toEqual(whole[name]?.slice(from * width, end * width))
    }
  }
  // Control: the outputs are numbers, and rows differ.
  const [first = ''] = names
  expect(whole[first]?.every(Number.isFinite)).toBe(true)
  expect(new Set(whole[first]).size).toBeGreaterThan(ROWS)
  session.release()
}

describe.each(SIZES)('with width $width and $feedForwardWidth in the feed-forward', (sizes) => {
  const config = modelConfig({ ...sizes, layerCount: 1, kvHeadCount: 1, headSize: 22, vocabularySize: 301, contextLength: 64 })
  it.each([
    ['enter', enterGraph(config, 0)],
    ['leave', leaveGraph(config, 0)],
    ['head', headGraph(config, 'output.weight', 16, 285)],
    ['enter, biased', enterGraph({ ...config, architecture: 'qwen2' }, 0)],
    ['leave, normed after, GELU', leaveGraph({ ...config, architecture: 'gemma2' }, 0)],
    ['leave, fused', leaveGraph({ ...config, architecture: 'phi3' }, 0)],
    ['expert', expertGraph({ ...config, architecture: 'qwen3moe', experts: { count: 4, used: 2 } }, 0, 1)],
  ])('%s gives each row equal bits in any company', (_, graph) => expectEqualRows(graph))
})

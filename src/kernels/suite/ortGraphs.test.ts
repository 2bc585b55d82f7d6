/** The baseline's graphs compute the very case: run by ONNX Runtime on the CPU, against the case's f64 reference. */

import { InferenceSession, Tensor } from 'onnxruntime-web'
import { describe, expect, it } from 'vitest'
import { type AttentionData, makeCaseData, type ProjectionData, sampleIndices } from './caseData.ts'
import { suiteFormats } from './formats.ts'
import { attentionGraph, type OrtGraph, projectionGraph, READ_BACK } from './ortGraphs.ts'
import { normalizedError } from './statistics.ts'
import type { SuiteFormat } from './types.ts'

async function run({ model }: OrtGraph, feeds: Record<string, Tensor>): Promise<InferenceSession.OnnxValueMapType> {
  const session = await InferenceSession.create(model, { executionProviders: ['wasm'], graphOptimizationLevel: 'disabled' })
  const results = await session.run(feeds)
  await session.release()
  return results
}

function projection(format: SuiteFormat, rows: number): ProjectionData {
  const data = makeCaseData({ kernel: rows > 8 ? 'matmul' : 'matvec', format, shape: [70, 96], rows })
  if (data.kind !== 'projection') throw new Error('a projection was asked for')
  return data
}

const known: readonly SuiteFormat[] = ['f32', 'q4_0', 'q4_1', 'q8_0']

describe('projectionGraph', () => {
  for (const format of known) {
    for (const [rows, calls] of [
      [1, 1],
      [1, 3],
      [20, 2],
    ] as const) {
      it(`${format}, ${rows} rows, ${calls} calls: the first row of the last call is the reference's, every call is computed`, async () => {
        const data = projection(format, rows)
        const graph = projectionGraph(format, data, calls)
        if ('reason' in graph) throw new Error(graph.reason)
        const results = await run(graph, { x: new Tensor('float32', data.x, [rows, 96]) })
        const first = results[READ_BACK]?.data as Float32Array
        expect(normalizedError(first, data.expected.values.subarray(0, 70))).toBeLessThan(1e-12)
        expect(graph.outputsKept.length).toBe(rows === 1 ? calls - 1 : calls)
        for (const name of graph.outputsKept)
          expect(normalizedError(results[name]?.data as Float32Array, data.expected.values)).toBeLessThan(1e-12)
      })
    }
  }

  it('says of every other format that there is nothing to compare with', () => {
    for (const format of suiteFormats.filter((name) => !known.includes(name))) {
      const small = makeCaseData({ kernel: 'matvec', format, shape: [4, 256], rows: 1 })
      if (small.kind === 'projection') expect(projectionGraph(format, small, 1)).toHaveProperty('reason')
    }
  })
})

describe('attentionGraph', () => {
  it('attends to the whole cache, as the reference does', async () => {
    const data = makeCaseData({ kernel: 'attention_decode', format: 'f32', shape: [37, 6, 3, 16], rows: 1 }) as AttentionData
    const part = 3 * 16
    const cache = (values: Float32Array) => {
      const turned = new Float32Array(values.length)
      for (let position = 0; position < 37; position++)
        for (let head = 0; head < 3; head++)
          turned.set(values.subarray((position * 3 + head) * 16, (position * 3 + head + 1) * 16), (head * 37 + position) * 16)
      return new Tensor('float32', turned, [1, 3, 37, 16])
    }
    const results = await run(attentionGraph('f32', data), {
      query: new Tensor('float32', data.query, [1, 1, 6 * 16]),
      key: new Tensor('float32', data.keys.slice(36 * part), [1, 1, part]),
      value: new Tensor('float32', data.values.slice(36 * part), [1, 1, part]),
      past_key: cache(data.keys),
      past_value: cache(data.values),
      lengths: new Tensor('int32', Int32Array.of(36), [1]),
      total: new Tensor('int32', Int32Array.of(37), [1]),
    })
    expect(normalizedError(results[READ_BACK]?.data as Float32Array, data.expected.values)).toBeLessThan(1e-12)
  })
})

describe('sampleIndices', () => {
  it('is everything where it may be, else a sorted sample with some of the first row', () => {
    expect(Array.from(sampleIndices(2, 3, 6))).toEqual([0, 1, 2, 3, 4, 5])
    const sample = Array.from(sampleIndices(128, 4096, 2000))
    expect(sample).toEqual([...new Set(sample)].sort((a, b) => a - b))
    expect(sample.length).toBe(2000)
    expect(sample.filter((index) => index < 4096).length).toBeGreaterThan(400)
    expect(sample.at(-1)).toBeGreaterThan(100 * 4096)
  })
})

/** Model files as ONNX Runtime itself reads them: what it computes tells whether it read what was meant. */

import { InferenceSession, Tensor } from 'onnxruntime-web'
import { expect, it } from 'vitest'
import { type OnnxModel, onnxModel } from './model.ts'

const x = { name: 'x', type: 'f32', dims: ['rows', 2] } as const
const y = { name: 'y', type: 'f32', dims: ['rows', 3] } as const
const weights = Float32Array.of(1, 2, 3, 4, 5, 6)
const matmul = { opType: 'MatMul', inputs: ['x', 'w'], outputs: ['product'] } as const

async function run(model: OnnxModel, options: InferenceSession.SessionOptions = {}): Promise<number[]> {
  const session = await InferenceSession.create(onnxModel(model), { executionProviders: ['wasm'], ...options })
  const result = await session.run({ x: new Tensor('float32', Float32Array.of(1, 10), [1, 2]) })
  await session.release()
  return Array.from((result.y?.data ?? []) as Float32Array)
}

it('ONNX Runtime computes what the description says: nodes, initializers, attributes of each kind', async () => {
  const model: OnnxModel = {
    nodes: [
      matmul,
      { opType: 'LeakyRelu', inputs: ['product'], outputs: ['kept'], attributes: { alpha: { float: 0.5 } } },
      { opType: 'Gather', inputs: ['kept', 'order'], outputs: ['turned'], attributes: { axis: { int: -1 } } },
      { opType: 'Clip', inputs: ['turned', '', 'most'], outputs: ['y'] },
    ],
    initializers: [
      { name: 'w', type: 'f32', dims: [2, 3], data: weights.map((value, index) => (index === 5 ? -value : value)) },
      { name: 'order', type: 'i64', dims: [3], data: BigInt64Array.of(2n, 0n, 1n) },
      { name: 'most', type: 'f32', dims: [], data: Float32Array.of(50) },
    ],
    inputs: [x],
    outputs: [y],
  }
  expect(await run(model)).toEqual([-28.5, 41, 50])
})

it('knows ONNX Runtime’s own operators, lists of whole numbers, texts', async () => {
  const model: OnnxModel = {
    nodes: [
      { ...matmul, outputs: ['product'] },
      { opType: 'Transpose', inputs: ['product'], outputs: ['upright'], attributes: { perm: { ints: [1, 0] } } },
      { opType: 'Transpose', inputs: ['upright'], outputs: ['flat'], attributes: { perm: { ints: [1, 0] } } },
      { opType: 'QuickGelu', domain: 'com.microsoft', inputs: ['flat'], outputs: ['y'], attributes: { alpha: { float: 0 } } },
    ],
    initializers: [{ name: 'w', type: 'f32', dims: [2, 3], data: weights }],
    inputs: [x],
    outputs: [y],
  }
  expect(await run(model)).toEqual([20.5, 26, 31.5])
})

it('takes weights from beside the model', async () => {
  const bytes = new Uint8Array(8 + weights.byteLength)
  bytes.set(new Uint8Array(weights.buffer), 8)
  const model: OnnxModel = {
    nodes: [{ ...matmul, outputs: ['y'] }],
    initializers: [{ name: 'w', type: 'f32', dims: [2, 3], data: { location: 'weights', byteOffset: 8, byteLength: weights.byteLength } }],
    inputs: [x],
    outputs: [y],
  }
  expect(await run(model, { externalData: [{ path: 'weights', data: bytes }] })).toEqual([41, 52, 63])
})

it('refuses an initializer of another size than it says', () => {
  const model: OnnxModel = { nodes: [], initializers: [{ name: 'w', type: 'f32', dims: [3], data: weights }], inputs: [], outputs: [] }
  expect(() => onnxModel(model)).toThrow('initializer w has 24 bytes; [3] of f32 take 12')
})

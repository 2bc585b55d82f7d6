import { expect, it } from 'vitest'
import { randomModel } from '../../../test/support/randomModel.ts'
import { dequantize, type TensorType, tensorTypes } from '../../model/index.ts'
import { FileMatrix } from './matrix.ts'

const model = randomModel({ seed: 3, types: tensorTypes })
const { signal } = new AbortController()

async function matrixOf(type: TensorType): Promise<{ matrix: FileMatrix; values: Float32Array; columns: number; rows: number }> {
  const tensor = model.manifest.tensors.find((candidate) => candidate.type === type && candidate.shape.length === 2)
  if (tensor === undefined) throw new Error(`no matrix of ${type}`)
  const bytes = await model.loadTensor(tensor, signal)
  const [columns = 0, rows = 0] = tensor.shape
  return { matrix: FileMatrix.ofTensor(tensor, bytes), values: dequantize(type, bytes), columns, rows }
}

it.each(tensorTypes)('reads rows of %s as the model folder dequantizes them', async (type) => {
  const { matrix, values, columns, rows } = await matrixOf(type)
  const own = new Float32Array(rows * columns)
  for (let row = 0; row < rows; row++) matrix.readRow(row, own, row * columns)
  expect(own).toEqual(values)
  expect(values.some((value) => value !== 0)).toBe(true)
})

it('multiplies each row of x by the matrix', async () => {
  const { matrix, values, columns, rows } = await matrixOf('Q4_1')
  const x = Float32Array.from({ length: 3 * columns }, (_, i) => Math.sin(i))
  const y = new Float32Array(3 * rows)
  matrix.multiply(x, 3, y)
  for (const [index, value] of y.entries()) {
    const [r, row] = [Math.floor(index / rows), index % rows]
    let sum = 0
    for (let c = 0; c < columns; c++) sum += (values[row * columns + c] ?? 0) * (x[r * columns + c] ?? 0)
    expect(value).toBeCloseTo(sum, 6)
  }
})

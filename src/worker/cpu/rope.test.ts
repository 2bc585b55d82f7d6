import { describe, expect, it } from 'vitest'
import { modelConfig } from '../../../test/support/modelConfig.ts'
import type { ModelConfig } from '../../model/index.ts'
import { ropeFrequencies, rotateRow, writeAngles } from './rope.ts'

const config = (change: Partial<ModelConfig>) =>
  modelConfig({
    layerCount: 1,
    width: 8,
    headCount: 2,
    kvHeadCount: 2,
    headSize: 6,
    feedForwardWidth: 8,
    vocabularySize: 8,
    contextLength: 64,
    ropeDimensions: 4,
    ...change,
  })
const rope = { base: 100, positionScale: 1, divisors: true }

/** Turns row `row`, which is at `position`. */
function rotate(own: ModelConfig, vectors: Float32Array, row: number, heads: number, position: number): void {
  const angles = new Float32Array((row + 1) * own.ropeDimensions)
  writeAngles(own, ropeFrequencies(own, rope, null), position, angles, row)
  rotateRow(own, vectors, row, heads, angles)
}

describe('rotateRow', () => {
  it('turns neighbors by their pair’s angle, of the leading dimensions alone', () => {
    const vectors = Float32Array.of(...new Array<number>(12).fill(0), 1, 0, 0, 2, 7, 8, 0, 1, 1, 0, 7, 8)
    rotate(config({}), vectors, 1, 2, 3)
    const [slow, fast] = [3 * 100 ** (-2 / 4), 3]
    const expected = [Math.cos(fast), Math.sin(fast), -2 * Math.sin(slow), 2 * Math.cos(slow), 7, 8]
    for (const [index, value] of expected.entries()) expect(vectors[12 + index]).toBeCloseTo(value, 6)
    const second = [-Math.sin(fast), Math.cos(fast), Math.cos(slow), Math.sin(slow), 7, 8]
    for (const [index, value] of second.entries()) expect(vectors[18 + index]).toBeCloseTo(value, 6)
  })

  it('turns halves instead where the architecture does, and multiplies by the magnitude', () => {
    const vectors = Float32Array.of(1, 0, 0, 2, 7, 8)
    rotate(config({ architecture: 'qwen2', ropeMagnitude: 1.5 }), vectors, 0, 1, 5)
    const [fast, slow] = [5, 5 * 100 ** (-2 / 4)]
    const expected = [1.5 * Math.cos(fast), -3 * Math.sin(slow), 1.5 * Math.sin(fast), 3 * Math.cos(slow), 7, 8]
    for (const [index, value] of expected.entries()) expect(vectors[index]).toBeCloseTo(value, 6)
  })
})

describe('ropeFrequencies', () => {
  it('divides each frequency by its divisor, and scales positions', () => {
    const frequencies = ropeFrequencies(config({}), { ...rope, positionScale: 1 / 8 }, Float32Array.of(2, 4))
    expect([...frequencies]).toEqual([1 / 8 / 2, 1 / 8 / 10 / 4])
  })

  it('leaves divisors out in layers that have none', () => {
    expect([...ropeFrequencies(config({}), { ...rope, divisors: false }, Float32Array.of(2, 4))]).toEqual([1, 1 / 10])
  })
})

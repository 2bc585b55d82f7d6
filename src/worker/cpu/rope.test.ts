import { describe, expect, it } from 'vitest'
import { modelConfig } from '../../../test/support/modelConfig.ts'
import { ropeFrequencies, writeRopeAngles } from '../../kernels/index.ts'
import type { ModelConfig } from '../../model/index.ts'
import { rotateRow } from './rope.ts'

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
const rope = { base: 100, positionScale: 1, divisors: null }

/** Turns row `row`, which is at `position`. */
function rotate(own: ModelConfig, vectors: Float32Array, row: number, heads: number, position: number): void {
  const angles = new Float32Array((row + 1) * own.ropeDimensions)
  writeRopeAngles(angles, row * own.ropeDimensions, position, ropeFrequencies(rope, own.ropeDimensions), own.ropeMagnitude)
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
    const scaled = { ...rope, positionScale: 1 / 8, divisors: Float32Array.of(2, 4) }
    expect([...ropeFrequencies(scaled, 4)]).toEqual([1 / 8 / 2, 1 / 8 / 10 / 4])
  })

  it('leaves them as they are without divisors', () => {
    expect([...ropeFrequencies(rope, 4)]).toEqual([1, 1 / 10])
  })
})

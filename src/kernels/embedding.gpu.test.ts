/** What the block shaders unpack is, bit for bit, what the formats mean: for the random blocks that GGML's values are known of. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { testData } from '../../test/support/gguf.ts'
import { asFloats, KernelHarness, seededBlocks } from '../../test/support/kernelHarness.ts'
import { blockBytes, blockSize, dequantize, type TensorType, tensorTypes } from '../model/index.ts'
import { embedding } from './embedding.ts'
import { toPanels } from './weightLayout.ts'

let harness: KernelHarness
beforeAll(async () => {
  harness = await KernelHarness.open()
})
afterAll(() => harness.close())

/** Row 0 of a table of two rows as the GPU unpacks it. */
async function unpack(type: TensorType, bytes: Uint8Array, width: number): Promise<Float32Array> {
  const rows = new Uint8Array(2 * bytes.length)
  rows.set(bytes)
  const shape = { type, width, idFirst: 0, idCount: 2, scale: 1 }
  const input = { rows: [{ token: 0 }] }
  const buffers = [toPanels(type, rows, width, 0, 2), new Float32Array(width)]
  const [words] = await harness.run(embedding, { type }, shape, { rows: 1 }, buffers, input)
  return asFloats(words)
}

/** Equal as numbers, so that −0 is 0: a sum with a minimum makes one of the other. */
function expectEqual(actual: Float32Array, expected: Float32Array): void {
  expect(actual.length).toBe(expected.length)
  const different = actual.findIndex((value, index) => value !== expected[index])
  expect(different < 0 ? 'equal' : `column ${different}: ${actual[different]} instead of ${expected[different]}`).toBe('equal')
}

describe('block shaders', () => {
  for (const type of tensorTypes) {
    it(`${type} is exact`, async () => {
      const bytes = type === 'F32' ? seededBlocks(type, 5, 28) : testData(`quants/${type}.bin`)
      const width = (bytes.length / blockBytes(type)) * blockSize(type)
      expectEqual(await unpack(type, bytes, width), dequantize(type, bytes))
    })
  }

  it('MXFP4 is exact for every exponent that leaves normal numbers', async () => {
    const exponents = Array.from({ length: 250 }, (_, index) => index + 2)
    const bytes = Uint8Array.from(exponents.flatMap((exponent) => [exponent, ...Array.from({ length: 16 }, (_, at) => 17 * at)]))
    expectEqual(await unpack('MXFP4', bytes, 32 * exponents.length), dequantize('MXFP4', bytes))
  })
})

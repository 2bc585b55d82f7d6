import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { blockBytes, blockSize, tensorTypes } from '../model/index.ts'
import { blockReader } from './blockWords.ts'
import { matrixBytes, PANEL_OUTPUTS, panelWords, toPanels, weightLayout } from './weightLayout.ts'

/** Ones among the bits of all words: what is only moved keeps them. */
function countBits(words: ArrayLike<number>): number {
  let count = 0
  for (let index = 0; index < words.length; index++) {
    for (let rest = words[index] ?? 0; rest !== 0; rest &= rest - 1) count++
  }
  return count
}

const noise = (length: number) => Uint8Array.from({ length }, (_, i) => (Math.imul(i + 1, 0x9e3779b1) >>> 13) & 255)

describe('weightLayout', () => {
  it('agrees with the file about the size of a block, and takes hardly more', () => {
    for (const type of tensorTypes) {
      const layout = weightLayout(type)
      expect((layout.blockColumns / blockSize(type)) * blockBytes(type)).toBe(layout.blockBytes)
      for (const columns of [576, 1536, 2048, 4096].filter((count) => count % layout.blockColumns === 0)) {
        const fileBytes = (columns / layout.blockColumns) * layout.blockBytes * 64
        expect(matrixBytes(type, columns, 64) / fileBytes, `${type}, ${columns} columns`).toBeLessThan(1.05)
        expect(matrixBytes(type, columns, 64)).toBeGreaterThanOrEqual(fileBytes)
      }
    }
  })

  it('moves every bit of a block somewhere, and none twice', () => {
    for (const type of tensorTypes) {
      const { blockBytes: bytes, quads } = weightLayout(type)
      for (let bit = 0; bit < 8 * bytes; bit++) {
        const block = new Uint8Array(bytes)
        block[bit >> 3] = 1 << (bit & 7)
        const words = new Uint32Array(4 * quads + 2)
        blockReader(type)(block, 0, words)
        expect(countBits(words), `${type}, bit ${bit}`).toBe(1)
      }
    }
  })

  it('lays any matrix, cut anywhere between panels, block by block beside its neighbors', () => {
    const matrix = fc.record({
      type: fc.constantFrom(...tensorTypes),
      blocks: fc.integer({ min: 1, max: 5 }),
      outputs: fc.integer({ min: 1, max: 150 }),
      cut: fc.nat(2),
    })
    fc.assert(
      fc.property(matrix, ({ type, blocks, outputs, cut }) => {
        const layout = weightLayout(type)
        const columns = blocks * layout.blockColumns
        const bytes = noise(outputs * blocks * layout.blockBytes)
        const first = Math.min(cut * PANEL_OUTPUTS, Math.floor((outputs - 1) / PANEL_OUTPUTS) * PANEL_OUTPUTS)
        const words = toPanels(type, bytes, columns, first, outputs)
        expect(words.byteLength).toBe(matrixBytes(type, columns, outputs - first))
        expect(countBits(words)).toBe(countBits(bytes.subarray(first * blocks * layout.blockBytes)))
        const block = new Uint32Array(4 * layout.quads + 2)
        for (let output = first; output < outputs; output++) {
          const begin = Math.floor((output - first) / PANEL_OUTPUTS) * panelWords(type, columns)
          for (let index = 0; index < blocks; index++) {
            blockReader(type)(bytes, (output * blocks + index) * layout.blockBytes, block)
            for (let word = 0; word < 4 * layout.quads; word++) {
              const at = begin + 4 * ((index * layout.quads + (word >> 2)) * PANEL_OUTPUTS + (output % PANEL_OUTPUTS)) + (word & 3)
              if (words[at] !== block[word]) throw new Error(`output ${output}, block ${index}, word ${word}`)
            }
            const tailBegin = begin + 4 * PANEL_OUTPUTS * layout.quads * blocks + (output % PANEL_OUTPUTS)
            const tail = tailBytes(words, tailBegin, layout.tails[0], index)
            if (layout.tails[0] > 0 && tail !== block[4 * layout.quads]) throw new Error(`output ${output}, block ${index}, tail`)
          }
        }
      }),
      { numRuns: 60 },
    )
  })

  it('refuses columns that are no whole blocks', () => {
    expect(() => matrixBytes('Q8_0', 40, 64)).toThrow('40 columns are not a multiple of 32')
  })
})

/** `bytes` bytes of a tail that begins at word `begin`. */
function tailBytes(words: Uint32Array, begin: number, bytes: number, block: number): number {
  const word = words[begin + PANEL_OUTPUTS * ((block * bytes) >> 2)] ?? 0
  return bytes === 4 ? word : (word >>> (8 * ((block * bytes) & 3))) & (2 ** (8 * bytes) - 1)
}

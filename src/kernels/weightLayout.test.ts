import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { blockBytes, blockSize, tensorTypes } from '../model/index.ts'
import { matrixBytes, PANEL_OUTPUTS, panelWords, toPanels, weightLayout } from './weightLayout.ts'

describe('weightLayout', () => {
  it('agrees with the file about the size of a block', () => {
    for (const type of tensorTypes) {
      const layout = weightLayout(type)
      expect((layout.blockColumns / blockSize(type)) * blockBytes(type)).toBe(layout.blockBytes)
      expect(layout.lots * layout.chunks * 4).toBe(layout.blockColumns)
      expect(layout.scaleWords + layout.lots * layout.lotWords).toBe(layout.blockWords)
    }
  })

  it('changes the order of words and nothing else, any matrix cut anywhere between panels', () => {
    const matrix = fc.record({
      type: fc.constantFrom(...tensorTypes),
      blocks: fc.integer({ min: 1, max: 4 }),
      outputs: fc.integer({ min: 1, max: 200 }),
      cut: fc.nat(3),
    })
    fc.assert(
      fc.property(matrix, ({ type, blocks, outputs, cut }) => {
        const layout = weightLayout(type)
        const columns = blocks * layout.blockColumns
        const bytes = Uint8Array.from({ length: outputs * blocks * layout.blockBytes }, (_, i) => (i * 131 + (i >> 8)) & 255)
        const first = Math.min(cut * PANEL_OUTPUTS, Math.floor((outputs - 1) / PANEL_OUTPUTS) * PANEL_OUTPUTS)
        const words = toPanels(type, bytes, columns, first, outputs)
        expect(words.byteLength).toBe(matrixBytes(type, columns, outputs - first))
        const view = new DataView(bytes.buffer)
        for (let output = first; output < outputs; output++) {
          const panel = Math.floor((output - first) / PANEL_OUTPUTS)
          for (let block = 0; block < blocks; block++) {
            let at = (output * blocks + block) * layout.blockBytes
            for (let word = 0; word < layout.blockWords; word++) {
              const half = type === 'Q8_0' && word === 0
              const expected = half ? view.getUint16(at, true) : view.getUint32(at, true)
              at += half ? 2 : 4
              const index =
                panel * panelWords(type, columns) + (block * layout.blockWords + word) * PANEL_OUTPUTS + (output % PANEL_OUTPUTS)
              if (words[index] !== expected) throw new Error(`output ${output}, block ${block}, word ${word}`)
            }
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

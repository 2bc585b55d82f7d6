import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { modelConfig } from '../../../test/support/modelConfig.ts'
import { attentionWidths, headMultiplyAccumulates, layerMultiplyAccumulates, layerTraits, type ModelConfig } from '../../model/index.ts'
import { DEFAULT_PRICES } from './prices.ts'
import { addWork, listPrice, NO_WORK, type WorkRows, workOf } from './work.ts'

const dense = modelConfig({
  layerCount: 6,
  width: 64,
  headCount: 4,
  kvHeadCount: 2,
  headSize: 16,
  feedForwardWidth: 96,
  vocabularySize: 500,
  contextLength: 128,
})
const windowed: ModelConfig = { ...dense, architecture: 'gemma2', slidingWindow: 16 }
const experts: ModelConfig = { ...dense, architecture: 'qwen3moe', experts: { count: 8, used: 2 } }

/** Position by position, layer by layer, as a person would count. */
function counted(config: ModelConfig, firstLayer: number, endLayer: number, { firstPosition, rowCount, resultCount }: WorkRows): bigint {
  let macs = 0
  for (let layer = firstLayer; layer < endLayer; layer++) {
    const { window } = layerTraits(config, layer)
    for (let position = firstPosition; position < firstPosition + rowCount; position++)
      macs += layerMultiplyAccumulates(config) + 2 * attentionWidths(config).query * Math.min(position + 1, window ?? position + 1)
  }
  return BigInt(macs + (endLayer === config.layerCount ? resultCount * headMultiplyAccumulates(config) : 0))
}

const rows = fc.record({
  kind: fc.constantFrom('decode' as const, 'prompt' as const, 'cachedPrompt' as const),
  firstPosition: fc.nat(60),
  rowCount: fc.nat(40),
  resultCount: fc.nat(3),
})

describe('work', () => {
  it('is what counting position by position gives, with windows and experts', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(dense, windowed, experts),
        fc.nat(5),
        fc.integer({ min: 1, max: 6 }),
        rows,
        (config, first, count, one) => {
          const span = { firstLayer: first, endLayer: Math.min(6, first + count) }
          expect(workOf(config, span, [one])).toEqual({ ...NO_WORK, [one.kind]: counted(config, span.firstLayer, span.endLayer, one) })
        },
      ),
    )
  })

  it('of spans that cover the model adds up to that of the whole, wherever it is cut', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.array(rows, { maxLength: 4 }), (cut, list) => {
        const part = (firstLayer: number, endLayer: number) => workOf(windowed, { firstLayer, endLayer }, list)
        expect(addWork(part(0, cut), part(cut, 6))).toEqual(part(0, 6))
      }),
    )
  })

  it('a mixture of experts costs the experts that a row uses, not those that it has', () => {
    const span = { firstLayer: 0, endLayer: 6 }
    const one: WorkRows = { kind: 'decode', firstPosition: 0, rowCount: 1, resultCount: 0 }
    const macs = (config: ModelConfig) => workOf(config, span, [one]).decode
    const more = { ...experts, experts: { count: 8, used: 4 } }
    expect(macs(more) - macs(experts)).toBe(BigInt(6 * 2 * 3 * experts.width * experts.feedForwardWidth))
  })

  it('list prices keep the weights of the kinds, and the tier doubles them', () => {
    const standard = listPrice(dense, DEFAULT_PRICES, 'standard')
    const priority = listPrice(dense, DEFAULT_PRICES, 'priority')
    expect(Number(priority.decode) / Number(standard.decode)).toBeCloseTo(2, 6)
    expect(Number(standard.prompt) / Number(standard.cachedPrompt)).toBeCloseTo(250 / 60, 3)
    const mean = counted(dense, 0, 6, { kind: 'decode', firstPosition: 0, rowCount: standard.positions, resultCount: standard.positions })
    expect(Number(standard.decode)).toBeCloseTo(Number(mean) / standard.positions / 1e6, 5)
  })
})

import { describe, expect, it } from 'vitest'
import { modelConfig } from '../../test/support/modelConfig.ts'
import { describeConfig } from './describeConfig.ts'

const sizes = {
  layerCount: 12,
  width: 64,
  headCount: 4,
  kvHeadCount: 2,
  headSize: 16,
  feedForwardWidth: 96,
  vocabularySize: 500,
  contextLength: 2048,
}

describe('describeConfig', () => {
  it('says of a plain model its sizes, and nothing of what it has not', () => {
    expect(describeConfig(modelConfig(sizes))).toEqual([
      'llama, 12 layers of width 64, vocabulary of 500, tied head',
      '4 query and 2 key-value heads of 16, scores × 0.25',
      'feed-forward of 96',
      'up to 2048 positions, RoPE over 16 of 16 dimensions, base 10000',
    ])
  })

  it('says what differs: experts, windows, caps, scaled RoPE', () => {
    const gemma = describeConfig(
      modelConfig({
        ...sizes,
        architecture: 'gemma3',
        slidingWindow: 512,
        windowRopeBase: 10_000,
        ropePositionScale: 1 / 8,
        logitSoftCap: 30,
      }),
    )
    expect(gemma).toContain('10 of 12 layers see only the last 512 positions, RoPE base 10000 in them')
    expect(gemma).toContain('positions × 0.125 before RoPE')
    expect(gemma).toContain('logits capped at ±30')
    const experts = describeConfig(modelConfig({ ...sizes, architecture: 'qwen3moe', experts: { count: 8, used: 2 }, ropeMagnitude: 1.19 }))
    expect(experts).toContain('2 of 8 experts a token, each a feed-forward of 96')
    expect(experts).toContain("RoPE's cosines and sines × 1.19")
  })
})

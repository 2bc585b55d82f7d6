import { describe, expect, it } from 'vitest'
import { ok } from '../shared/index.ts'
import type { Segment } from './engine.ts'
import { measureEngineSpeed, type SpeedPlan, speedPositions } from './engineSpeed.ts'

/** An engine whose pass takes 10 ms and 1 ms a row, and which counts what it was asked. */
function countingEngine() {
  let nowMs = 0
  const passes: { readonly kind: string; readonly segments: number; readonly rows: number }[] = []
  const lengths = new Map<number, number>()
  const capacity = new Map<number, number>()
  let positionsMax = 0
  return {
    passes,
    lengths,
    positionsMax: () => positionsMax,
    nowMs: () => nowMs,
    engine: {
      open({ maxPositions }: { readonly maxPositions: number }) {
        const slot = capacity.size
        capacity.set(slot, maxPositions)
        lengths.set(slot, 0)
        positionsMax = Math.max(
          positionsMax,
          [...lengths.keys()].reduce((sum, open) => sum + (capacity.get(open) ?? 0), 0),
        )
        return ok(slot)
      },
      close: (slot: number) => void lengths.delete(slot),
      truncate: (slot: number, length: number) => void lengths.set(slot, length),
      length: (slot: number) => lengths.get(slot) ?? Number.NaN,
      async forward(segments: readonly Segment[]) {
        let rows = 0
        for (const { slot, input } of segments) {
          const count = input.kind === 'tokens' ? input.ids.length : input.rowCount
          rows += count
          const length = (lengths.get(slot) ?? Number.NaN) + count
          expect(length).toBeLessThanOrEqual(capacity.get(slot) ?? 0)
          lengths.set(slot, length)
        }
        passes.push({ kind: segments[0]?.kind ?? '', segments: segments.length, rows })
        nowMs += 10 + rows
        return { outputs: [], computeMs: 10 + rows }
      },
    },
  }
}

const plan: SpeedPlan = { prefillTokens: [40], decodeSessions: [1, 4], measureMs: 100, runsMin: 3, runsMax: 6 }

describe('engine speed', () => {
  it('times whole prompts and passes of decode, and divides by the tokens of all sessions', async () => {
    const { engine, nowMs, passes, lengths } = countingEngine()
    const steps: unknown[] = []
    const speed = await measureEngineSpeed({
      engine,
      layerCount: 3,
      vocabularySize: 512,
      plan,
      nowMs,
      onStep: (step) => steps.push(step),
    })
    expect(speed.prefill).toEqual([{ tokens: 40, medianMs: 50, tokensPerSecond: 800, runs: 3 }])
    expect(speed.decode).toMatchObject([
      { sessions: 1, medianMs: 11, runs: 6 },
      { sessions: 4, medianMs: 14, runs: 6 },
    ])
    expect(speed.decode[1]?.tokensPerSecond).toBeCloseTo(4000 / 14, 6)
    expect(steps).toEqual([
      { kind: 'prefill', count: 40 },
      { kind: 'decode', count: 1 },
      { kind: 'decode', count: 4 },
    ])
    expect(passes.at(-1)).toEqual({ kind: 'decode', segments: 4, rows: 4 })
    expect(lengths.size).toBe(0)
  })

  it('opens no more positions than it announced', async () => {
    const { engine, nowMs, positionsMax } = countingEngine()
    await measureEngineSpeed({ engine, layerCount: 3, vocabularySize: 512, plan, nowMs, onStep: () => undefined })
    expect(positionsMax()).toBe(speedPositions(plan))
  })
})

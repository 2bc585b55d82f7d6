/** Real tabs are lost in mid-answer, each in another way, and the answer is the one that nobody disturbed. */

import { describe, expect, it, onTestFinished } from 'vitest'
import { ChaosSwarm } from '../../src/cli/chaosSwarm.ts'
import { resolveModel } from '../../src/node/index.ts'

describe('an answer that loses tabs', () => {
  it('is the same without a GPU, when one is closed while the prompt is read and another freezes later', async () => {
    const model = await resolveModel('default')
    const swarm = await ChaosSwarm.open({ model, tabs: 4, stages: 2, engine: 'wasm', maxTokens: 24 })
    onTestFinished(() => swarm.close())
    const kills = [
      { kind: 'close', atToken: 0, stageIndex: 1 },
      { kind: 'freeze', atToken: 12, stageIndex: 0 },
    ] as const
    const outcome = await swarm.play({ prompt: 1, samplingSeed: 3, kills })
    expect(outcome).toMatchObject({ kills: 2, unrecovered: [], verdict: 'same' })
  })
})

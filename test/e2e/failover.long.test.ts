/** What failover.test.ts shows without a GPU, on WebGPU. */

import { expect, it, onTestFinished } from 'vitest'
import { ChaosSwarm } from '../../src/cli/chaosSwarm.ts'
import { resolveModel } from '../../src/node/index.ts'

it('an answer is the same on WebGPU, when the only tab crashes and another one has to take all layers', async () => {
  const model = await resolveModel('default')
  const swarm = await ChaosSwarm.open({ model, tabs: 2, stages: 1, engine: 'webgpu', maxTokens: 12 })
  onTestFinished(() => swarm.close())
  const outcome = await swarm.play({ prompt: 0, samplingSeed: null, kills: [{ kind: 'crash', atToken: 5, stageIndex: 0 }] })
  expect(outcome).toMatchObject({ kills: 1, unrecovered: [], verdict: 'same' })
})

/** An answer over a chain that is harmed, and a coordinator that repairs it from its spares: what tests of repairs are made of. */

import { expect } from 'vitest'
import { type Grant, SESSION_IDLE_MS } from '../../../src/protocol/index.ts'
import {
  type Chain,
  type ChainEvents,
  type ChainRepair,
  type GenerateRequest,
  generate,
  openEngineChain,
  type RepairRequest,
} from '../../../src/session/index.ts'
import { type PeerId, required, TabswarmError } from '../../../src/shared/index.ts'
import { FakeEngine, fakeConfig } from './fakeEngine.ts'
import { World } from './world.ts'

const tokenizer = { vocabularySize: fakeConfig.vocabularySize, tokenBytes: () => new Uint8Array(0), isEnd: () => false }
export const prompt = Array.from({ length: 37 }, (_, index) => (index * 7 + 3) % 49)
export const TOKENS = 24

export function request(world: World, chain: Chain, onEvent: GenerateRequest['onEvent'] = () => undefined): GenerateRequest {
  const sampling = { temperature: 1.5, topP: 1, topK: 0, minP: 0, seed: 7 }
  return { chain, tokenizer, promptTokenIds: prompt, maxTokens: TOKENS, sampling, chunkRows: 10, clock: world.clock, onEvent }
}

/** A chain's listener that hears what it is told to hear. */
export function listening(heard: Partial<ChainEvents>): ChainEvents {
  const ignored = () => undefined
  return { onResults: ignored, onLap: ignored, onRepair: ignored, onFailed: ignored, ...heard }
}

export async function reference(): Promise<readonly number[]> {
  const span = { firstLayer: 0, endLayer: fakeConfig.layerCount }
  const engine = new FakeEngine()
  engine.kindsDiffer = true
  const chain = openEngineChain({ stages: [{ engine, span }], maxPositions: 1_000, topK: 8, rowEncoding: 'f32' })
  const { completionTokenIds } = await generate(request(new World(0), chain))
  chain.close()
  return completionTokenIds
}

/**
 * Gives each lost stage's layers to a peer that is in no chain yet: a coordinator with as many spares as there are peers. `turn`: by how many
 * places peers are moved then, so that stages find themselves in another role.
 */
export function coordinatorOf(world: World, first: Grant, turn: () => number = () => 0) {
  let grant = first
  const requests: RepairRequest[] = []
  const used = new Set(first.stages.map((stage) => stage.peerId))
  const repair = async (wanted: RepairRequest) => {
    requests.push(wanted)
    const spares = world.stages.map(({ id }) => id).filter((id) => !used.has(id) && !world.unreachable.has(id))
    const peerIds = grant.stages.map(({ peerId }) => {
      if (!wanted.lostPeerIds.includes(peerId)) return peerId
      const spare = spares.shift()
      if (spare === undefined) throw new TabswarmError('incomplete', 'no spare is left')
      used.add(spare)
      return spare
    })
    const by = turn()
    const stages = grant.stages.map((stage, index) => ({
      ...stage,
      peerId: required(peerIds[(index + by) % peerIds.length], 'a peer for each stage'),
    }))
    grant = { ...grant, stages, revision: grant.revision + 1 }
    return { grant, signedGrant: await world.sign(grant) }
  }
  return { repair, requests, grant: () => grant }
}

type HarmAt = (token: number, grant: Grant) => void

/** An answer over `stageCount` of the world's peers, and what happens at its tokens. */
export async function answer(world: World, stageCount: number, harmAt: HarmAt = () => undefined, secondsMax = 60) {
  for (const { engine } of world.stages) engine.kindsDiffer = true
  const first = world.grant({ stageCount })
  const coordinator = coordinatorOf(world, first)
  const repairs: ChainRepair[] = []
  const chain = await world.runInTime(world.opening(first, coordinator.repair))
  const onEvent: GenerateRequest['onEvent'] = (event) => {
    if (event.kind === 'repair') repairs.push(event.repair)
    if (event.kind === 'prompt') harmAt(-event.done, coordinator.grant())
    if (event.kind === 'token') harmAt(event.completionTokens, coordinator.grant())
  }
  const begunMs = world.clock.nowMs()
  const result = await world.runInTime(generate(request(world, chain, onEvent)), secondsMax)
  const tookMs = world.clock.nowMs() - begunMs
  chain.close()
  await world.settle()
  // Who was cut off does not know yet.
  world.clock.advance(SESSION_IDLE_MS)
  await world.settle()
  expect(world.openSlots()).toBe(0)
  return { ids: result.completionTokenIds, tookMs, repairs, requests: coordinator.requests }
}

export const peerOf = (grant: Grant, index: number): PeerId => required(grant.stages[index], `stage ${index}`).peerId

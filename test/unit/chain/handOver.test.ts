/** A stage that is about to stop is replaced while it still works: the answer is the same, and never waits for a coordinator. */

import { describe, expect, it } from 'vitest'
import type { Grant } from '../../../src/protocol/index.ts'
import { type ChainRepair, type GenerateRequest, generate, openEngineChain, type RepairRequest } from '../../../src/session/index.ts'
import { required, TabswarmError } from '../../../src/shared/index.ts'
import { FakeEngine, fakeConfig } from './fakeEngine.ts'
import { World } from './world.ts'

const TOKENS = 24
const PROMPT = Array.from({ length: 37 }, (_, index) => (index * 7 + 3) % 49)
const tokenizer = { vocabularySize: fakeConfig.vocabularySize, tokenBytes: () => new Uint8Array(0), isEnd: () => false }

type Request = Omit<GenerateRequest, 'chain' | 'clock'>
const request: Request = {
  tokenizer,
  promptTokenIds: PROMPT,
  maxTokens: TOKENS,
  sampling: { temperature: 1.5, topP: 1, topK: 0, minP: 0, seed: 7 },
  chunkRows: 10,
}

async function reference(): Promise<readonly number[]> {
  const span = { firstLayer: 0, endLayer: fakeConfig.layerCount }
  const chain = openEngineChain({ stages: [{ engine: new FakeEngine(), span }], maxPositions: 1_000, topK: 8, rowEncoding: 'f32' })
  const { completionTokenIds } = await generate({ ...request, chain, clock: new World(0).clock })
  chain.close()
  return completionTokenIds
}

interface Play {
  /** What happens when so many tokens have come; negative: so many positions of the prompt. */
  readonly at: (token: number, world: World, grant: Grant) => void
  /** The coordinator's answer to a request: the peer that takes the leaving one's place, or null for a refusal. */
  readonly replace: (wanted: RepairRequest, world: World) => Promise<number | null>
}

/** An answer over peers 1 to 3, whose coordinator the test plays. */
async function answer(peers: number, { at, replace }: Play) {
  const world = new World(peers)
  const first = world.grant({ stageCount: 3 })
  let latest = first
  let revision = 0
  const requests: RepairRequest[] = []
  const repairs: ChainRepair[] = []
  const repair = async (wanted: RepairRequest) => {
    requests.push(wanted)
    const own = { ...latest, revision: ++revision }
    const stand = await replace(wanted, world)
    if (stand === null) throw new TabswarmError('incomplete', 'nobody has these layers')
    const peerId = required(world.stages[stand], `peer ${stand}`).id
    const stages = own.stages.map((stage) => (wanted.lostPeerIds.includes(stage.peerId) ? { ...stage, peerId } : stage))
    const grant = { ...own, stages }
    if (grant.revision > latest.revision) latest = grant
    return { grant, signedGrant: await world.sign(grant) }
  }
  const chain = await world.runInTime(world.opening(first, repair))
  const onEvent: GenerateRequest['onEvent'] = (event) => {
    if (event.kind === 'repair') repairs.push(event.repair)
    if (event.kind === 'prompt') at(-event.done, world, latest)
    if (event.kind === 'token') at(event.completionTokens, world, latest)
  }
  const result = await world.runInTime(generate({ ...request, chain, clock: world.clock, onEvent }))
  chain.close()
  await world.settle()
  return { ids: result.completionTokenIds, requests, repairs, world }
}

const peerAt = (grant: Grant, stage: number) => required(grant.stages[stage], `stage ${stage}`).peerId
const rowsOf = (world: World, stage: number) =>
  required(world.stages[stage], `peer ${stage}`)
    .engine.passes.flat()
    .reduce((sum, rows) => sum + rows, 0)
const ALL_ROWS = PROMPT.length + TOKENS - 1

describe('a chain with a peer that is about to stop', () => {
  for (const token of [-10, 12])
    for (const stage of [0, 1, 2])
      it(`[R11] goes on over another one, the same, when stage ${stage} drains at ${token < 0 ? 'the prompt' : `token ${token}`}`, async () => {
        const { ids, requests, repairs, world } = await answer(4, {
          at: (now, world, grant) => {
            if (now === token && grant.revision === 0) world.tellDraining(peerAt(grant, stage))
          },
          replace: async () => 3,
        })
        expect(ids).toEqual(await reference())
        expect(requests).toMatchObject([{ revision: 0, lostPeerIds: [world.stages[stage]?.id] }])
        expect(repairs.map(({ phase }) => phase)).toEqual(['lost', 'granted', 'opened', 'done'])
        expect(repairs[0]).toMatchObject({ reason: 'draining', stageIndexes: [stage] })
        // Those that stay compute nothing twice, and the one that drains is free.
        for (const kept of [0, 1, 2].filter((index) => index !== stage)) expect(rowsOf(world, kept)).toBe(ALL_ROWS)
        expect(world.openSlots()).toBe(0)
      })

  it('[R11] computes on over the present chain for as long as the coordinator has no other', async () => {
    let grantIt: () => void = () => undefined
    const loaded = new Promise<void>((resolve) => {
      grantIt = resolve
    })
    let tokensMeanwhile = 0
    const { ids, repairs } = await answer(4, {
      at: (token, world, grant) => {
        if (token === 3) world.tellDraining(peerAt(grant, 1))
        if (token > 3 && grant.revision === 0) tokensMeanwhile++
        if (token === 15) grantIt()
      },
      replace: () => loaded.then(() => 3),
    })
    expect(ids).toEqual(await reference())
    expect(tokensMeanwhile).toBeGreaterThanOrEqual(12)
    expect(repairs.filter(({ phase }) => phase === 'lost')).toHaveLength(1)
  })

  it('[R11] stays as it is where nobody takes over, and is repaired when the peer stops', async () => {
    const { ids, requests, repairs } = await answer(4, {
      at: (token, world, grant) => {
        if (token === 3) world.tellDraining(peerAt(grant, 1))
        if (token === 15 && grant.revision === 0) void world.stages[1]?.host.stop()
      },
      replace: async ({ lostPeerIds }, world) => (world.stages[1]?.engine.usage().openSlots === 0 && lostPeerIds.length > 0 ? 3 : null),
    })
    expect(ids).toEqual(await reference())
    expect(requests).toHaveLength(2)
    expect(repairs.flatMap((repair) => (repair.phase === 'lost' ? [repair.reason] : []))).toEqual(['stopped'])
  })

  it('[R11][C20] asks again for the one that drains when another stage was lost meanwhile', async () => {
    let refuse: (stand: null) => void = () => undefined
    const superseded = new Promise<null>((resolve) => {
      refuse = resolve
    })
    const { ids, requests, repairs } = await answer(5, {
      at: (token, world, grant) => {
        if (token === 3) world.tellDraining(peerAt(grant, 1))
        if (token === 9 && grant.revision === 0) world.kill(peerAt(grant, 2))
      },
      replace: async ({ lostPeerIds }, world) => {
        if (lostPeerIds.includes(required(world.stages[2], 'peer 2').id)) {
          refuse(null)
          return 3
        }
        return world.unreachable.size === 0 ? superseded : 4
      },
    })
    expect(ids).toEqual(await reference())
    expect(requests.map(({ revision }) => revision)).toEqual([0, 0, 2])
    expect(repairs.flatMap((repair) => (repair.phase === 'lost' ? [repair.reason] : []))).toEqual(['stage-lost', 'draining'])
  })

  it('[R11] drops a chain that was granted before the present one', async () => {
    let grantLate: () => void = () => undefined
    const late = new Promise<void>((resolve) => {
      grantLate = resolve
    })
    const { ids, repairs, world } = await answer(5, {
      at: (token, world, grant) => {
        if (token === 3) world.tellDraining(peerAt(grant, 1))
        if (token === 9 && grant.revision === 0) world.kill(peerAt(grant, 1))
        if (token === 12) grantLate()
      },
      // The first request is answered last.
      replace: (_wanted, world) => (world.unreachable.size === 0 ? late.then(() => 4) : Promise.resolve(3)),
    })
    expect(ids).toEqual(await reference())
    expect(repairs.filter(({ phase }) => phase === 'lost')).toHaveLength(1)
    expect(rowsOf(world, 4)).toBe(0)
  })

  it('[R11] asks for nothing while no peer of its own drains', async () => {
    const { requests } = await answer(4, {
      at: (token, world) => {
        if (token === 3) world.tellDraining(required(world.stages[3], 'a stranger').id)
      },
      replace: async () => null,
    })
    expect(requests).toEqual([])
  })
})

/** A chain that loses stages goes on as if nothing had happened: the same tokens, whoever is lost and whenever. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { REPAIR_WAIT_MS, SESSION_IDLE_MS } from '../../../src/protocol/index.ts'
import { type GenerateRequest, type GenerateStep, generate, type RepairRequest } from '../../../src/session/index.ts'
import { type PeerId, required } from '../../../src/shared/index.ts'
import { answer, coordinatorOf, peerOf, prompt, reference, request, TOKENS } from './answers.ts'
import { knowingDrafter, timedChain } from './drafters.ts'
import { DRIVER, World } from './world.ts'

const cut = { reason: 'lost', detail: 'cut' } as const

/** Ends what is open between two peers, in either direction. */
function cutLinks(world: World, a: PeerId, b: PeerId): void {
  for (const { from, to, atFrom } of world.links) if ((from === a && to === b) || (from === b && to === a)) atFrom.close(cut)
}

describe('an answer whose chain breaks', () => {
  for (const token of [-10, 1, 12]) {
    for (const index of [0, 1, 2]) {
      it(`[R1] is the same when stage ${index} is lost at ${token < 0 ? 'the prompt' : `token ${token}`}`, async () => {
        const world = new World(6)
        const { ids, repairs, requests } = await answer(world, 3, (at, grant) => {
          if (at === token && grant.revision === 0) world.kill(peerOf(grant, index))
        })
        expect(ids).toEqual(await reference())
        expect(requests).toHaveLength(1)
        expect(repairs.map(({ phase }) => phase)).toEqual(['lost', 'granted', 'opened', 'done'])
        // The whole chain had computed as much; a first stage is sent again what the driver had sent.
        const [lost, , opened] = repairs
        if (lost?.phase !== 'lost' || opened?.phase !== 'opened') throw new Error('unexpected phases')
        expect(opened.replayedPositions).toBeGreaterThanOrEqual(lost.positions)
        if (token > 0) expect(opened.replayedPositions).toBe(lost.positions)
      })
    }
  }

  it('[R1][S23] has each position of the prompt scored once, and as when nobody is lost, whichever stage is', async () => {
    const scored = async (lost: number | null) => {
      const world = new World(6)
      for (const { engine } of world.stages) engine.kindsDiffer = true
      const first = world.grant({ stageCount: 3 })
      const chain = await world.runInTime(world.opening(first, coordinatorOf(world, first).repair))
      const steps: GenerateStep[] = []
      let isKilled = false
      const onEvent: GenerateRequest['onEvent'] = (event) => {
        if (event.kind === 'scored') steps.push(...event.steps)
        if (event.kind !== 'scored' || lost === null || isKilled) return
        isKilled = true
        world.kill(peerOf(first, lost))
      }
      const { completionTokenIds } = await world.runInTime(generate({ ...request(world, chain, onEvent), scoresPrompt: true }))
      expect(isKilled).toBe(lost !== null)
      expect(completionTokenIds).toEqual(await reference())
      chain.close()
      return steps.map(({ id, candidates: { position, logSumExp, named } }) => [position, id, logSumExp, named?.ids[0], named?.logits[0]])
    }
    const undisturbed = await scored(null)
    expect(undisturbed.map(([position, id]) => [position, id])).toEqual(prompt.slice(1).map((id, position) => [position, id]))
    for (const lost of [0, 1, 2]) expect(await scored(lost)).toEqual(undisturbed)
  })

  it('[S12][S18] waits for a replacement longer than stages keep idle sessions, and those that are left keep theirs', async () => {
    const world = new World(6)
    for (const { engine } of world.stages) engine.kindsDiffer = true
    const first = world.grant({ stageCount: 3 })
    const coordinator = coordinatorOf(world, first)
    const repair = async (wanted: RepairRequest) => {
      await new Promise<void>((resolve) => world.clock.after(SESSION_IDLE_MS + 15_000, resolve))
      return coordinator.repair(wanted)
    }
    const chain = await world.runInTime(world.opening(first, repair))
    const onEvent: GenerateRequest['onEvent'] = (event) => {
      if (event.kind === 'token' && event.completionTokens === 5) world.kill(peerOf(first, 2))
    }
    const result = await world.runInTime(generate(request(world, chain, onEvent)), 300)
    expect(result.completionTokenIds).toEqual(await reference())
    // The stage that waited for the lost one has given up, and is replaced too.
    expect(coordinator.requests.at(-1)?.lostPeerIds).toEqual([peerOf(first, 2), peerOf(first, 1)])
    expect(peerOf(coordinator.grant(), 0)).toBe(peerOf(first, 0))
    expect(world.stages[0]?.host.work.sessionsServed).toBe(1)
    chain.close()
  })

  it('[R14] goes on over a stage whose wait was over just before it heard of the chain that it waited for', async () => {
    const world = new World(6)
    for (const { engine } of world.stages) engine.kindsDiffer = true
    const first = world.grant({ stageCount: 3 })
    const { sessionId } = first
    const kept = peerOf(first, 1)
    const coordinator = coordinatorOf(world, first)
    const chain = await world.runInTime(world.opening(first, coordinator.repair))
    const onEvent: GenerateRequest['onEvent'] = (event) => {
      if (event.kind === 'token' && event.completionTokens === 5) world.kill(peerOf(first, 2))
      if (event.kind !== 'repair' || event.repair.phase !== 'granted') return
      const { atTo } = required(
        world.links.find(({ from, to }) => from === DRIVER && to === kept),
        'the link',
      )
      atTo.sendFrame({ type: 'failed', sessionId, reason: 'unreachable', message: 'stage 2 did not answer within 30 s' })
    }
    const { completionTokenIds } = await world.runInTime(generate(request(world, chain, onEvent)))
    expect(completionTokenIds).toEqual(await reference())
    expect(coordinator.requests).toHaveLength(1)
    chain.close()
  })

  it('[R1] is the same when all stages are lost at once', async () => {
    const world = new World(6)
    const { ids, requests } = await answer(world, 3, (at, grant) => {
      if (at === 7 && grant.revision === 0) for (const { peerId: lost } of grant.stages) world.kill(lost)
    })
    expect(ids).toEqual(await reference())
    expect(requests.map(({ lostPeerIds }) => lostPeerIds.length)).toEqual([3])
  })

  it('[R1] is the same when a volunteer stops, and when it loses its GPU', async () => {
    const world = new World(6)
    const { ids, repairs } = await answer(world, 3, (at, grant) => {
      const stage = required(
        world.stages.find(({ id }) => id === peerOf(grant, 1)),
        'stage 1',
      )
      if (at === 5 && grant.revision === 0) void stage.host.stop()
      if (at === 9 && grant.revision === 1) stage.engine.loseDevice('unplugged')
    })
    expect(ids).toEqual(await reference())
    expect(repairs.flatMap((repair) => (repair.phase === 'lost' ? [repair.reason] : []))).toEqual(['stopped', 'device-lost'])
  })

  it('[R6] computes nothing anew when only a link between two stages broke', async () => {
    const world = new World(3)
    const { ids, requests } = await answer(world, 3, (at, grant) => {
      if (at === 7 && grant.revision === 0) cutLinks(world, peerOf(grant, 0), peerOf(grant, 1))
    })
    expect(ids).toEqual(await reference())
    expect(requests).toMatchObject([{ lostPeerIds: [] }])
    for (const { engine } of world.stages) {
      expect(engine.passes.flat().reduce((sum, rows) => sum + rows, 0)).toBe(prompt.length + TOKENS - 1)
    }
  })

  it('[R4] computes only the lost stage anew', async () => {
    const world = new World(4)
    await answer(world, 3, (at, grant) => {
      if (at === 12 && grant.revision === 0) world.kill(peerOf(grant, 1))
    })
    const rows = world.stages.map(({ engine }) => engine.passes.flat().reduce((sum, count) => sum + count, 0))
    const all = prompt.length + TOKENS - 1
    expect([rows[0], rows[2], rows[3]]).toEqual([all, all, all])
  })

  it('[R5] is the same when logs have no room: what is missing is computed again', async () => {
    const world = new World(6, { logBytesMax: 40 * 16 })
    const { ids, requests } = await answer(world, 3, (at, grant) => {
      if ((at === 6 || at === 15) && grant.revision < 2) world.kill(peerOf(grant, 2))
    })
    expect(ids).toEqual(await reference())
    expect(requests).toHaveLength(2)
  })

  it('notices within seconds a peer that says nothing any more, and a link that lets nothing through', async () => {
    const world = new World(6)
    const begunMs = world.clock.nowMs()
    const { ids, repairs } = await answer(world, 3, (at, grant) => {
      if (at === 5 && grant.revision === 0) world.mute(peerOf(grant, 1))
      if (at === 12 && grant.revision === 1) world.muteLink(peerOf(grant, 1), peerOf(grant, 2))
    })
    expect(ids).toEqual(await reference())
    expect(repairs.filter(({ phase }) => phase === 'lost')).toMatchObject([
      { reason: 'timeout', stageIndexes: [1] },
      { reason: 'stage-lost', stageIndexes: [2], message: expect.stringMatching(/nothing gets through/) },
    ])
    expect(world.clock.nowMs() - begunMs).toBeLessThan(10_000 + SESSION_IDLE_MS)
  })

  it('ends, and says why, when nobody takes the place', async () => {
    const world = new World(3)
    const broken = answer(world, 3, (at, grant) => {
      if (at === 7) world.kill(peerOf(grant, 1))
    })
    await expect(broken).rejects.toMatchObject({
      reason: 'stage-lost',
      stageIndex: 1,
      message: expect.stringMatching(/nobody takes its place: no spare/),
    })
  })

  it('ends when repairs get nowhere', async () => {
    const world = new World(40)
    const broken = answer(world, 3, (at, grant) => {
      if (at < 7) return
      world.kill(peerOf(grant, 1))
      for (const { id } of world.stages) if (!grant.stages.some((stage) => stage.peerId === id)) world.mute(id)
    })
    await expect(broken).rejects.toMatchObject({ message: expect.stringMatching(/did not answer within 8 s/) })
  })

  it('[R1][R2][R3][R12][R13][R14][V12] is the same after any losses at any moments, in any order of delivery; nothing stays behind, and receipts agree', async () => {
    const expected = await reference()
    let drafted = 0
    const harm = fc.record({
      at: fc.nat(900),
      kind: fc.constantFrom('kill', 'stop', 'device', 'cut', 'cut driver', 'drain'),
      index: fc.nat(4),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.infiniteStream(fc.nat(1_000)),
        fc.array(harm, { maxLength: 5 }),
        fc.integer({ min: 1, max: 4 }),
        fc.constantFrom(1_000_000, 900, 300, 0),
        fc.record({
          withDrafts: fc.boolean(),
          passTurns: fc.constantFrom(0, 0, 3, 8),
          dialTurns: fc.constantFrom(0, 0, 10, 40),
          moves: fc.boolean(),
        }),
        async (order, harms, stageCount, logBytesMax, { withDrafts, passTurns, dialTurns, moves }) => {
          // Most drafts come true, and every fifth token is taken back.
          const drafter = knowingDrafter([...prompt, ...expected], (place) => place % 5 === 0)
          const picks = order[Symbol.iterator]()
          const pick = (count: number) => (picks.next().value ?? 0) % Math.max(1, count)
          const world = new World(stageCount + 8, { pick, logBytesMax })
          for (const { engine } of world.stages) {
            engine.passTurns = passTurns
            engine.kindsDiffer = true
          }
          if (dialTurns > 0) world.dialTurns = () => pick(dialTurns)
          const accused: string[] = []
          const onEvent: GenerateRequest['onEvent'] = (event) => {
            if (event.kind === 'repair' && event.repair.phase === 'lost' && event.repair.reason === 'protocol')
              accused.push(event.repair.message)
          }
          const first = world.grant({ stageCount })
          const { repair, grant } = coordinatorOf(world, first, () => (moves ? pick(stageCount) : 0))
          let delivered = 0
          world.onDelivered = () => {
            delivered++
            for (const { kind, index } of harms.filter(({ at }) => at === delivered)) {
              const stage = grant().stages[index % stageCount]
              const lost = required(stage, 'stage').peerId
              const next = grant().stages[(index % stageCount) + 1]?.peerId
              const { host, engine } = required(
                world.stages.find(({ id }) => id === lost),
                'stage',
              )
              if (kind === 'kill') world.kill(lost)
              if (kind === 'stop') void host.stop()
              if (kind === 'device') engine.loseDevice('unplugged')
              if (kind === 'cut') cutLinks(world, lost, next ?? DRIVER)
              if (kind === 'cut driver') cutLinks(world, lost, DRIVER)
              if (kind === 'drain') world.tellDraining(lost)
            }
          }
          const answered = world.opening(first, repair).then(async (chain) => {
            const timed = timedChain(chain)
            const result = await generate({ ...request(world, chain, onEvent), ...(withDrafts ? { ...timed, drafter } : {}) })
            drafted += result.drafts.draftedTokens
            chain.close()
            return result
          })
          const result = await world.runInTime(answered, 200)
          expect(result.completionTokenIds).toEqual(expected)
          expect(accused, 'honest peers').toEqual([])
          await world.settle()
          world.clock.advance(REPAIR_WAIT_MS)
          await world.settle()
          expect(world.openSlots()).toBe(0)
          expect(world.receiptFaults(), 'receipts').toEqual([])
        },
      ),
      { numRuns: process.env.TABSWARM_LONG === '1' ? 20_000 : 150 },
    )
    expect(drafted, 'tokens that were drafted').toBeGreaterThan(100)
  }, 600_000)
})

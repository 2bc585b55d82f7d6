/** Logits beside the k best: those that rows name, and all of a position, whoever is lost meanwhile. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Frame } from '../../../src/protocol/index.ts'
import { type Candidates, type Chain, type Lap, openEngineChain } from '../../../src/session/index.ts'
import { type PeerId, required } from '../../../src/shared/index.ts'
import { coordinatorOf, listening, peerOf } from './answers.ts'
import { FakeEngine, fakeConfig } from './fakeEngine.ts'
import { peerId, World } from './world.ts'

const { vocabularySize, layerCount } = fakeConfig
const ids = Uint32Array.from({ length: 40 }, (_, index) => (index * 7 + 3) % 49)

/** A chain's candidates as they come, and what it failed with. */
function heard(chain: Chain) {
  const candidates: Candidates[] = []
  const failures: string[] = []
  const listener = listening({
    onResults: (results) => candidates.push(...results.candidates),
    onFailed: ({ reason, message }) => failures.push(`${reason}: ${message}`),
  })
  chain.listen(listener)
  return { candidates, failures }
}

/** All logits after each of `ids`, the first of which are a prompt's. */
async function allLogits(promptLength: number): Promise<Float32Array[]> {
  const engine = new FakeEngine()
  engine.kindsDiffer = true
  const slot = engine.open({ span: { firstLayer: 0, endLayer: layerCount }, maxPositions: 100 })
  if (!slot.ok) throw new Error('no room')
  const logits: Float32Array[] = []
  for (const [kind, first, end] of [['prompt', 0, promptLength] as const, ['decode', promptLength, ids.length] as const]) {
    const input = { kind: 'tokens', ids: ids.subarray(first, end) } as const
    const output = { kind: 'logits', resultCount: end - first } as const
    const [result] = (await engine.forward([{ slot: slot.value, kind, firstPosition: first, input, output }])).outputs
    const { values } = required(result?.kind === 'logits' ? result : null, 'logits')
    for (let row = 0; row < end - first; row++) logits.push(values.slice(row * vocabularySize, (row + 1) * vocabularySize))
  }
  return logits
}

async function opened(world: World, stageCount: number) {
  for (const { engine } of world.stages) engine.kindsDiffer = true
  const first = world.grant({ stageCount })
  const coordinator = coordinatorOf(world, first)
  const chain = await world.runInTime(world.opening(first, coordinator.repair))
  return { chain, coordinator, first, ...heard(chain) }
}

async function answered(world: World, chain: Chain, lap: Lap): Promise<void> {
  await world.runInTime(chain.submit(lap))
  await world.settle()
}

const PROMPT: Lap = { firstPosition: 0, ids: ids.subarray(0, 30), kind: 'prompt', resultCount: 1 }

describe('named tokens', () => {
  it('[S23] have their logits beside the candidates of each row, over any chain and whoever is lost', async () => {
    const all = await allLogits(30)
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 8 }),
        fc.nat(vocabularySize),
        fc.option(fc.nat(2)),
        fc.array(fc.nat(20), { maxLength: 60 }),
        async (stageCount, each, shift, lost, picks) => {
          let turn = 0
          const world = new World(stageCount + 2, { pick: () => picks[turn++ % Math.max(1, picks.length)] ?? 0 })
          const { chain, candidates, first } = await opened(world, stageCount)
          const named = Uint32Array.from({ length: 30 * each }, (_, index) => (index * 5 + shift) % vocabularySize)
          const submitted = chain.submit({ ...PROMPT, resultCount: 30, named })
          if (lost !== null && lost < stageCount) world.kill(peerOf(first, lost))
          await world.runInTime(submitted)
          await world.runInTime(until(world, () => candidates.length === 30))
          for (const [row, found] of candidates.entries()) {
            const own = [...named.subarray(row * each, (row + 1) * each)]
            expect([...(found.named?.ids ?? [])]).toEqual(own)
            expect([...(found.named?.logits ?? [])]).toEqual(own.map((id) => all[row]?.[id]))
          }
          chain.close()
          await world.settle()
          expect(world.receiptFaults()).toEqual([])
        },
      ),
      { numRuns: 40 },
    )
  })

  it('[F22] are refused where they are others than the row named', async () => {
    const world = new World(3)
    const { chain, candidates, coordinator } = await opened(world, 1)
    const liar = peerId(1)
    world.tamper = (frame) => otherNames(frame, coordinator.grant().stages[0]?.peerId === liar)
    await answered(world, chain, { ...PROMPT, named: Uint32Array.of(4, 9) })
    await world.runInTime(until(world, () => candidates.length === 1))
    expect(coordinator.requests.map(({ lostPeerIds }) => lostPeerIds)).toEqual([[liar]])
    expect([...(candidates[0]?.named?.ids ?? [])]).toEqual([4, 9])
  })
})

/** The last stage's named tokens, renamed. */
function otherNames(frame: Frame, isLying: boolean): Frame {
  if (frame.type !== 'results' || frame.named === undefined || !isLying) return frame
  const named = frame.named.slice()
  new DataView(named.buffer).setUint32(0, 5, true)
  return { ...frame, named }
}

/** Resolves once it is so; the world has to go on meanwhile. */
async function until(world: World, isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise<void>((resolve) => world.clock.after(50, resolve))
}

describe('all logits of a position', () => {
  it('[S24] are those that its candidates were taken from, after a prompt, a row and a draft that was taken back', async () => {
    for (const stageCount of [1, 3]) {
      const world = new World(stageCount)
      const { chain, candidates } = await opened(world, stageCount)
      const all = await allLogits(30)
      await answered(world, chain, PROMPT)
      const fetch = (at: Candidates | undefined) => world.runInTime(chain.logits(required(at, 'candidates')))
      expect(await fetch(candidates.at(-1))).toEqual(all[29])
      await answered(world, chain, { firstPosition: 30, ids: ids.subarray(30, 35), kind: 'decode', resultCount: 5 })
      chain.truncate(33)
      expect(await fetch(candidates[3])).toEqual(all[32])
      expect(candidates[3]?.position).toBe(32)
      await answered(world, chain, { firstPosition: 33, ids: ids.subarray(33, 34), kind: 'decode', resultCount: 1 })
      expect(await fetch(candidates.at(-1))).toEqual(all[33])
      chain.close()
      await world.settle()
      // [S25]: what anybody signed is what it would be without.
      expect(world.receiptFaults()).toEqual([])
      expect(world.openSlots()).toBe(0)
    }
  })

  it('[S27] come from the next chain where the last stage, or any other, is lost meanwhile', async () => {
    const all = await allLogits(30)
    for (const index of [0, 1, 2]) {
      const world = new World(6)
      const { chain, candidates, first, coordinator } = await opened(world, 3)
      await answered(world, chain, PROMPT)
      const fetched = chain.logits(required(candidates[0], 'candidates'))
      world.kill(peerOf(first, index))
      expect(await world.runInTime(fetched)).toEqual(all[29])
      expect(coordinator.requests).toHaveLength(1)
      await answered(world, chain, { firstPosition: 30, ids: ids.subarray(30, 31), kind: 'decode', resultCount: 1 })
      expect(candidates.at(-1)?.position).toBe(30)
    }
  })

  it('[R9] are waited for no longer than rows: a last stage that hears nothing any more is replaced', async () => {
    const all = await allLogits(30)
    const world = new World(6)
    const { chain, candidates, first } = await opened(world, 3)
    await answered(world, chain, PROMPT)
    world.mute(peerOf(first, 2))
    expect(await world.runInTime(chain.logits(required(candidates[0], 'candidates')))).toEqual(all[29])
  })

  it.each([
    ['one of the best', 0, 1],
    ['another', 20, 30],
    ['NaN', 49, Number.NaN],
  ] as const)('[S27] are refused where %s is not what the candidates say', async (_, rank, logit) => {
    const world = new World(3)
    const { chain, candidates, coordinator } = await opened(world, 1)
    await answered(world, chain, PROMPT)
    const all = required((await allLogits(30))[29], 'logits')
    const id = [...all.keys()].sort((a, b) => (all[b] ?? 0) - (all[a] ?? 0))[rank] ?? 0
    const lie = (liar: PeerId) => (frame: Frame) => {
      if (frame.type !== 'logits' || coordinator.grant().stages[0]?.peerId !== liar) return frame
      const payload = frame.payload.slice()
      new DataView(payload.buffer).setFloat32(4 + 4 * id, logit, true)
      return { ...frame, payload }
    }
    world.tamper = lie(peerId(1))
    expect(await world.runInTime(chain.logits(required(candidates[0], 'candidates')))).toEqual(all)
    expect(coordinator.requests.map(({ lostPeerIds }) => lostPeerIds)).toEqual([[peerId(1)]])
  })

  it('[S26] are given to the driver alone, and no more often than rows were computed', async () => {
    const world = new World(2)
    const { chain, candidates, failures, first } = await opened(world, 2)
    await answered(world, chain, { ...PROMPT, ids: ids.subarray(0, 2) })
    const last = required(candidates[0], 'candidates')
    for (let count = 0; count < 2 + 16; count++) await world.runInTime(chain.logits(last))
    const stranger = world.connect(peerId(9), peerOf(first, 1))
    stranger.sendFrame({ type: 'fetch', sessionId: first.sessionId, epoch: 0, position: 1 })
    await world.settle()
    expect(failures).toEqual([])
    let answers = 0
    void chain.logits(last).then(() => answers++)
    await world.settle()
    expect([answers, failures]).toEqual([0, []])
    await answered(world, chain, { firstPosition: 2, ids: ids.subarray(2, 3), kind: 'decode', resultCount: 1 })
    await world.runInTime(chain.logits(required(candidates[1], 'candidates')))
  })

  it('[S24] are computed again by an engine chain, which goes on as before', async () => {
    const all = await allLogits(30)
    const engine = new FakeEngine()
    engine.kindsDiffer = true
    const spans = [
      { firstLayer: 0, endLayer: 4 },
      { firstLayer: 4, endLayer: layerCount },
    ]
    const chain = openEngineChain({ stages: spans.map((span) => ({ engine, span })), maxPositions: 100, topK: 8, rowEncoding: 'f32' })
    const { candidates } = heard(chain)
    const settled = () => new Promise((resolve) => setImmediate(resolve))
    await chain.submit(PROMPT)
    await settled()
    expect(await chain.logits(required(candidates[0], 'candidates'))).toEqual(all[29])
    await chain.submit({ firstPosition: 30, ids: ids.subarray(30, 31), kind: 'decode', resultCount: 1 })
    await settled()
    expect(await chain.logits(required(candidates[1], 'candidates'))).toEqual(all[30])
    chain.close()
  })
})

/** What a driver is told when a chain breaks, wherever it breaks; and that nothing waits for ever or stays reserved. */

import { describe, expect, it } from 'vitest'
import { type Frame, REPAIR_WAIT_MS, type ResultsFrame, SESSION_IDLE_MS } from '../../../src/protocol/index.ts'
import { type Chain, type GenerateRequest, generate, OPEN_DEADLINE_MS, type SessionError } from '../../../src/session/index.ts'
import { required } from '../../../src/shared/index.ts'
import { fakeConfig } from './fakeEngine.ts'
import { DRIVER, peerId, World } from './world.ts'

const tokenizer = { vocabularySize: fakeConfig.vocabularySize, tokenBytes: () => new Uint8Array(0), isEnd: () => false }

function request(world: World, chain: Chain, onToken: (count: number) => void): GenerateRequest {
  const sampling = { temperature: 0, topP: 1, topK: 0, minP: 0, seed: 0 }
  const onEvent: GenerateRequest['onEvent'] = (event) => {
    if (event.kind === 'token') onToken(event.completionTokens)
  }
  return { chain, tokenizer, promptTokenIds: [1, 2, 3, 4], maxTokens: 30, sampling, chunkRows: 2, clock: world.clock, onEvent }
}

/** Runs an answer, does `harm` at its fifth token, and returns the error. */
async function brokenBy(world: World, harm: () => void): Promise<SessionError> {
  const chain = await world.open(world.grant())
  const answer = generate(
    request(world, chain, (count) => {
      if (count === 5) harm()
    }),
  )
  const error: unknown = await world.run(answer).catch((reason: unknown) => reason)
  await world.settle()
  // Who lost its driver waits for it.
  world.clock.advance(REPAIR_WAIT_MS)
  expect(world.openSlots()).toBe(0)
  for (const { host } of world.stages) expect(host.work.sessionsOpen).toBe(0)
  return error as SessionError
}

function linkBetween(world: World, from: string, to: string) {
  return required(
    world.links.find((link) => link.from === from && link.to === to),
    'link',
  )
}

describe('a chain of three that breaks in mid-answer', () => {
  for (const index of [0, 1, 2]) {
    it(`[S11] names stage ${index} when the driver's link to it is lost`, async () => {
      const world = new World(3)
      const lost = { reason: 'lost', detail: 'cut' } as const
      const error = await brokenBy(world, () => linkBetween(world, DRIVER, peerId(index + 1)).atFrom.close(lost))
      expect(error).toMatchObject({ name: 'SessionError', reason: 'stage-lost', stageIndex: index })
      expect(error.message).toMatch(new RegExp(`stage ${index} .*cut`))
    })

    it(`says that the volunteer stopped when stage ${index} does`, async () => {
      const world = new World(3)
      const error = await brokenBy(world, () => void required(world.stages[index], 'stage').host.stop())
      expect(error).toMatchObject({ reason: 'stopped', stageIndex: index, message: expect.stringMatching(/ask again/) })
      await expect(world.open(world.grant())).rejects.toMatchObject({ reason: 'not-serving', stageIndex: index })
    })

    it(`passes on that stage ${index} lost its GPU`, async () => {
      const world = new World(3)
      const error = await brokenBy(world, () => required(world.stages[index], 'stage').engine.loseDevice('unplugged'))
      expect(error).toMatchObject({ reason: 'device-lost', stageIndex: index, message: expect.stringMatching(/unplugged/) })
    })
  }

  for (const index of [0, 1]) {
    it(`[S11] names the neighbor when the link between stages ${index} and ${index + 1} is lost`, async () => {
      const world = new World(3)
      const lost = { reason: 'lost', detail: 'cut' } as const
      const error = await brokenBy(world, () => linkBetween(world, peerId(index + 1), peerId(index + 2)).atFrom.close(lost))
      expect(error).toMatchObject({ reason: 'stage-lost', stageIndex: null, message: expect.stringMatching(/link to stage/) })
    })
  }

  it('times out, and names the silent stage, when a stage hangs', async () => {
    const world = new World(3)
    const chain = await world.open(world.grant())
    required(world.stages[1], 'stage').engine.gate = new Promise(() => undefined)
    const answer = generate(request(world, chain, () => undefined)).catch((error: unknown) => error)
    const error = await world.runInTime(answer, 130)
    expect(error).toMatchObject({ reason: 'timeout', stageIndex: 1, message: expect.stringMatching(/computed nothing for 12\d s/) })
  })

  it('[S10] a cancelled answer frees all stages, and keeps what was answered', async () => {
    const world = new World(3)
    const controller = new AbortController()
    const chain = await world.open(world.grant())
    const answer = generate({
      ...request(world, chain, (count) => {
        if (count === 5) controller.abort()
      }),
      signal: controller.signal,
    })
    const result = await world.run(answer)
    expect(result).toMatchObject({ finishReason: 'cancelled' })
    expect(result.completionTokenIds).toHaveLength(5)
    chain.close()
    await world.settle()
    expect(world.openSlots()).toBe(0)
  })
})

describe('a chain that cannot be opened', () => {
  for (const index of [0, 1, 2]) {
    it(`[S21] names stage ${index} when it cannot be reached, and frees the others`, async () => {
      const world = new World(3)
      world.unreachable.add(peerId(index + 1))
      await expect(world.open(world.grant())).rejects.toMatchObject({ reason: 'unreachable', stageIndex: index })
      await world.settle()
      expect(world.openSlots()).toBe(0)
    })
  }

  it('[R9] gives up on a stage that says nothing at all, within seconds', async () => {
    const world = new World(2)
    const grant = world.grant()
    const silent = peerId(0x77)
    const stages = [required(grant.stages[0], 'stage'), { ...required(grant.stages[1], 'stage'), peerId: silent }]
    world.addSilent(silent)
    const opening = world.open({ ...grant, stages }).catch((error: unknown) => error)
    await world.settle()
    expect(world.openSlots()).toBe(1)
    world.clock.advance(1_000)
    await world.settle()
    world.clock.advance(2_000)
    expect(await opening).toMatchObject({ reason: 'unreachable', stageIndex: 1, message: expect.stringMatching(/says nothing/) })
    await world.settle()
    expect(world.openSlots()).toBe(0)
  })

  it('[R9] gives up after the deadline when a stage lives and does not open', async () => {
    const world = new World(2)
    world.tamper = (frame) => (frame.type === 'opened' ? { ...frame, revision: 9 } : frame)
    const opening = world.opening(world.grant(), null).catch((error: unknown) => error)
    let error: unknown = null
    void opening.then((thrown) => {
      error = thrown
    })
    await world.settle()
    for (let second = 1; second < OPEN_DEADLINE_MS / 1_000; second++) {
      world.clock.advance(1_000)
      await world.settle()
    }
    expect(error).toBeNull()
    world.clock.advance(1_000)
    expect(await opening).toMatchObject({ reason: 'unreachable', message: expect.stringMatching(/within 20 s/) })
  })

  it('[R9] does without a stage that has left before it answered', async () => {
    const world = new World(2)
    const silent = peerId(0x77)
    world.addSilent(silent)
    const grant = world.grant()
    const stages = [required(grant.stages[0], 'stage'), { ...required(grant.stages[1], 'stage'), peerId: silent }]
    const opening = world.opening({ ...grant, stages }, async ({ revision }) => {
      const repaired = { ...grant, revision: revision + 1 }
      return { grant: repaired, signedGrant: await world.sign(repaired) }
    })
    await world.settle()
    world.tellGone(silent)
    world.clock.advance(50)
    const chain = await world.run(opening)
    chain.close()
  })

  it('is given up when the request is cancelled', async () => {
    const world = new World(3)
    const controller = new AbortController()
    const opening = world.open(world.grant(), controller.signal)
    controller.abort()
    await expect(opening).rejects.toMatchObject({ reason: 'cancelled' })
    await world.settle()
    expect(world.openSlots()).toBe(0)
  })

  it('[S21] frees a stage that only its upstream has opened, when the upstream closes it', async () => {
    const world = new World(2)
    const grant = world.grant()
    const link = world.connect(peerId(1), peerId(2))
    link.listen({ onFrame: () => undefined, onClose: () => undefined })
    link.sendFrame({ type: 'open', sessionId: grant.sessionId, epoch: 0, length: 1_000, grant: await world.sign(grant) })
    await world.settle()
    expect(world.openSlots()).toBe(1)
    link.sendFrame({ type: 'close', sessionId: grant.sessionId })
    await world.settle()
    expect(world.openSlots()).toBe(0)
  })

  it('frees a stage whose driver never came', async () => {
    const world = new World(2)
    const grant = world.grant()
    const link = world.connect(peerId(1), peerId(2))
    link.listen({ onFrame: () => undefined, onClose: () => undefined })
    link.sendFrame({ type: 'open', sessionId: grant.sessionId, epoch: 0, length: 1_000, grant: await world.sign(grant) })
    await world.settle()
    expect(world.openSlots()).toBe(1)
    world.clock.advance(SESSION_IDLE_MS)
    await world.settle()
    expect(world.openSlots()).toBe(0)
  })
})

describe('a last stage that lies', () => {
  /** Opens a chain of one whose results pass through `change` on their way. */
  async function lie(change: (frame: ResultsFrame) => Frame): Promise<SessionError> {
    const world = new World(1)
    const chain = await world.open(world.grant())
    world.tamper = (frame) => (frame.type === 'results' && frame.resultCount > 0 ? change(frame) : frame)
    const answer = generate(request(world, chain, () => undefined)).catch((error: unknown) => error)
    const error = await world.run(answer)
    chain.close()
    await world.settle()
    expect(world.openSlots()).toBe(0)
    return error as SessionError
  }

  const edit = (frame: ResultsFrame, write: (view: DataView) => void): ResultsFrame => {
    const payload = frame.payload.slice()
    write(new DataView(payload.buffer))
    return { ...frame, payload }
  }

  const lies: readonly [string, (frame: ResultsFrame) => Frame, RegExp][] = [
    ['an id beyond the vocabulary', (frame) => edit(frame, (view) => view.setUint32(4, 50, true)), /vocabulary/],
    ['a logit that is NaN', (frame) => edit(frame, (view) => view.setFloat32(8, Number.NaN, true)), /NaN/],
    ['candidates out of order', (frame) => edit(frame, (view) => view.setFloat32(8, -1e9, true)), /out of order|logSumExp/],
    ['a logsumexp below the best logit', (frame) => edit(frame, (view) => view.setFloat32(0, -50, true)), /below the best logit/],
    ['an infinite logsumexp', (frame) => edit(frame, (view) => view.setFloat32(0, Number.POSITIVE_INFINITY, true)), /logSumExp/],
    ['a position that was not next', (frame) => ({ ...frame, firstPosition: frame.firstPosition + 1 }), /expected from/],
    ['an epoch that does not exist', (frame) => ({ ...frame, epoch: 3 }), /epoch 3/],
    ['fewer results than asked for', (frame) => ({ ...frame, resultCount: 0, topK: 0, payload: new Uint8Array(0) }), /missing/],
  ]
  for (const [name, change, message] of lies) {
    it(`[F15][S16] with ${name} fails the session as protocol, and never crashes`, async () => {
      expect(await lie(change)).toMatchObject({ reason: 'protocol', stageIndex: 0, message: expect.stringMatching(message) })
    })
  }

  it('is believed when it tells the truth: the same way without a change', async () => {
    const result: unknown = await lie((frame) => frame).catch((error: unknown) => error)
    expect(result).toMatchObject({ finishReason: 'length' })
  })
})

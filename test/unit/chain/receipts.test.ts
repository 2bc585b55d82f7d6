/** What stages and driver of a chain sign, and how long a stage serves a driver that signs nothing. */

import { describe, expect, it } from 'vitest'
import { type Grant, type Receipt, signReceipt } from '../../../src/protocol/index.ts'
import type { Chain, LapResults, RepairRequest } from '../../../src/session/index.ts'
import { required } from '../../../src/shared/index.ts'
import { listening } from './answers.ts'
import { DRIVER, peerId, World } from './world.ts'

const LONG = { change: { maxPositions: 3_000 } }
/** What a stage serves beyond the driver's last receipt. */
const SERVED = 1_280

interface Talk {
  /** Rows of a prompt, all sent at once; the candidates of the last one are wanted. */
  prompt(rowCount: number): Promise<void>
  /** Positions whose results came. */
  readonly came: () => number
}

function talkOver(world: World, chain: Chain): Talk {
  let submitted = 0
  let came = 0
  const onResults = ({ firstPosition, rowCount }: LapResults) => {
    came = firstPosition + rowCount
  }
  chain.listen(listening({ onResults }))
  return {
    came: () => came,
    async prompt(rowCount) {
      const submits: Promise<void>[] = []
      for (const end = submitted + rowCount; submitted < end; ) {
        const ids = new Uint32Array(Math.min(500, end - submitted)).map((_, index) => (submitted + index) % 49)
        submits.push(chain.submit({ firstPosition: submitted, ids, kind: 'prompt', resultCount: submitted + ids.length === end ? 1 : 0 }))
        submitted += ids.length
      }
      for (const submit of submits) submit.catch(() => undefined)
      await world.settle()
    },
  }
}

/** Puts peer 4 where the lost one was. */
const replaceBy4 = (world: World, grant: Grant) => async (wanted: RepairRequest) => {
  const stages = grant.stages.map((stage) => (wanted.lostPeerIds.includes(stage.peerId) ? { ...stage, peerId: peerId(4) } : stage))
  const repaired = { ...grant, stages, revision: 1 }
  return { grant: repaired, signedGrant: await world.sign(repaired) }
}

const of = (world: World, peer: ReturnType<typeof peerId>, revision = 0) =>
  world.receipts.filter((receipt) => receipt.peerId === peer && receipt.revision === revision)
const computedBy = (world: World, index: number) =>
  required(world.stages[index], `stage ${index}`)
    .engine.passes.flat()
    .reduce((sum, count) => sum + count, 0)

describe('receipts of a chain', () => {
  it('[V32] bring the driver’s head of the ledger to every stage, once their signature is checked', async () => {
    const world = new World(2)
    world.driverHead = { size: 9, root: 'b'.repeat(64), atMs: 5, publicKey: 'k', signature: 's' }
    const chain = await world.open(world.grant(LONG))
    await talkOver(world, chain).prompt(600)
    const heard = world.heads.map(([peer, { size }]) => [peer, size])
    expect(new Set(heard.map(([peer]) => peer))).toEqual(new Set([peerId(1), peerId(2)]))
    expect(new Set(heard.map(([, size]) => size))).toEqual(new Set([9]))
    chain.close()
  })

  it('[V9] are signed at every 256th position and at the end, by everybody, with the hashes of their neighbors', async () => {
    const world = new World(3)
    const chain = await world.open(world.grant(LONG))
    await talkOver(world, chain).prompt(600)
    chain.close()
    await world.settle()
    const ring = [DRIVER, peerId(1), peerId(2), peerId(3)]
    for (const [place, peer] of ring.entries()) {
      const said = of(world, peer)
      expect(said.map(({ received, final }) => [received.endPosition, final])).toEqual([
        [256, false],
        [512, false],
        [600, true],
      ])
      const next = of(world, required(ring[(place + 1) % 4], 'the next peer'))
      expect(said.map(({ sent }) => sent)).toEqual(next.map(({ received }) => received))
    }
    expect(of(world, peerId(2)).at(-1)?.party).toMatchObject({ index: 1, computed: { prompt: 600, decode: 0, results: 1 } })
    expect(new Set(ring.map((peer) => of(world, peer).at(-1)?.sent.hash)).size).toBe(4)
    expect(world.receiptFaults()).toEqual([])
  })

  it('[V9] are signed last by a stage that a repair leaves out, and begin anew for the others', async () => {
    const world = new World(4)
    const grant = world.grant({ stageCount: 3, ...LONG })
    const chain = await world.runInTime(world.opening(grant, replaceBy4(world, grant)))
    const talk = talkOver(world, chain)
    await talk.prompt(100)
    world.tellDraining(peerId(2))
    await world.settle()
    await talk.prompt(50)
    chain.close()
    await world.settle()
    expect(of(world, peerId(2)).at(-1)).toMatchObject({ final: true, received: { endPosition: 100 } })
    expect(of(world, peerId(4), 1).at(-1)).toMatchObject({ final: true, received: { firstPosition: 0, endPosition: 150 } })
    expect(of(world, peerId(3), 1).at(-1)).toMatchObject({ received: { firstPosition: 100, prompt: 50 } })
    const driver = required(of(world, DRIVER, 1).at(-1), "the driver's last receipt")
    expect(driver).toMatchObject({ sent: { firstPosition: 100, prompt: 50 }, party: { resent: { prompt: 0 } } })
    expect(world.receiptFaults()).toEqual([])
  })

  it('[V3] [V13] prove what waited at a stage while the chain was repaired', async () => {
    const world = new World(4)
    const grant = world.grant({ stageCount: 3, ...LONG })
    const chain = await world.runInTime(world.opening(grant, replaceBy4(world, grant)))
    const { engine } = required(world.stages[1], 'stage 1')
    let release: () => void = () => undefined
    engine.gate = new Promise((resolve) => {
      release = resolve
    })
    await talkOver(world, chain).prompt(100)
    world.tellDraining(peerId(3))
    await world.settle()
    release()
    await world.settle()
    chain.close()
    await world.settle()
    const [before, after] = [of(world, peerId(2)).at(-1), of(world, peerId(2), 1).at(-1)]
    expect(before).toMatchObject({ final: true, received: { prompt: 100 }, party: { computed: { prompt: 0 } } })
    expect(after).toMatchObject({ final: true, received: { firstPosition: 100, prompt: 0 }, party: { computed: { prompt: 100 } } })
    expect(world.receiptFaults()).toEqual([])
    expect(world.paidRows(peerId(2))).toBe(100)
  })

  it('[V3] [V14] name the rows that the driver sends a new first stage again', async () => {
    const world = new World(4)
    const grant = world.grant({ stageCount: 3, ...LONG })
    const chain = await world.runInTime(world.opening(grant, replaceBy4(world, grant)))
    const talk = talkOver(world, chain)
    await talk.prompt(100)
    world.tellDraining(peerId(1))
    await world.settle()
    await talk.prompt(50)
    chain.close()
    await world.settle()
    const driver = required(of(world, DRIVER, 1).at(-1), "the driver's last receipt")
    expect(driver).toMatchObject({ sent: { firstPosition: 0, prompt: 150 }, party: { resent: { prompt: 100, results: 1 } } })
    expect(world.receiptFaults()).toEqual([])
  })
})

describe('a stage', () => {
  it('[V25] tells the coordinator what its driver acknowledged last, when its part ends', async () => {
    const world = new World(2)
    const chain = await world.open(world.grant(LONG))
    const talk = talkOver(world, chain)
    await talk.prompt(600)
    expect(world.forwarded).toEqual([])
    const acknowledged = required(of(world, DRIVER).at(-1), 'the last receipt')
    expect(acknowledged).toMatchObject({ final: false, received: { endPosition: 512 } })
    chain.close()
    await world.settle()
    expect(world.forwarded).toEqual([acknowledged, acknowledged])
  })

  it('[V25] tells of each segment what was acknowledged in it, and nothing where nothing was', async () => {
    const world = new World(4)
    const grant = world.grant({ stageCount: 3, ...LONG })
    const chain = await world.runInTime(world.opening(grant, replaceBy4(world, grant)))
    const talk = talkOver(world, chain)
    await talk.prompt(300)
    world.tellDraining(peerId(2))
    await world.settle()
    await talk.prompt(50)
    chain.close()
    await world.settle()
    const told = world.forwarded.map(({ revision, received }) => [revision, received.endPosition])
    expect(told).toEqual([...Array(3).fill([0, 256]), ...Array(3).fill([1, 300])])
    const quiet = new World(1)
    const short = await quiet.open(quiet.grant())
    await talkOver(quiet, short).prompt(200)
    short.close()
    await quiet.settle()
    expect(quiet.forwarded).toEqual([])
  })

  it('[V10] computes 1,280 positions beyond what the driver has acknowledged, and no more', async () => {
    const world = new World(2, { driverSigns: false })
    const chain = await world.open(world.grant(LONG))
    const talk = talkOver(world, chain)
    await talk.prompt(2_000)
    expect([talk.came(), computedBy(world, 0), computedBy(world, 1)]).toEqual([SERVED, SERVED, SERVED])
    chain.close()
  })

  it('[V10] goes on when the receipt comes', async () => {
    const world = new World(2)
    let isHeld = true
    const held: Receipt[] = []
    world.tamper = (frame) => {
      // In its place something that says nothing.
      if (frame.type !== 'receipt' || !isHeld) return frame
      held.push(...world.receipts.slice(-1))
      return { type: 'ping', sessionId: frame.sessionId, sequence: 0, through: true }
    }
    const chain = await world.open(world.grant(LONG))
    const talk = talkOver(world, chain)
    await talk.prompt(1_400)
    expect(talk.came()).toBe(SERVED)
    expect(held).not.toHaveLength(0)
    isHeld = false
    const receipt = required(of(world, DRIVER).at(-1), 'the last receipt')
    expect(receipt.received.endPosition).toBe(SERVED)
    for (const { from, atFrom } of world.links) {
      const signed = await signReceipt(receipt, { sign: async () => new Uint8Array(64) })
      if (from === DRIVER) atFrom.sendFrame({ type: 'receipt', sessionId: receipt.sessionId, receipt: signed, publicKey: 'BBBB' })
    }
    await world.settle()
    expect(talk.came()).toBe(1_400)
    await talk.prompt(1_500)
    expect(talk.came()).toBe(2_900)
    chain.close()
  })

  it('[V10] goes on for no receipt that the driver has not signed, and ends the session', async () => {
    const world = new World(1)
    world.tamper = (frame) => {
      if (frame.type === 'receipt') world.forged.add(frame.receipt.body)
      return frame
    }
    const chain = await world.open(world.grant(LONG))
    const failures: string[] = []
    chain.listen(listening({ onFailed: ({ message }) => failures.push(message) }))
    chain.submit({ firstPosition: 0, ids: new Uint32Array(300), kind: 'prompt', resultCount: 1 }).catch(() => undefined)
    await world.settle()
    expect(failures).toMatchObject([expect.stringMatching(/receipt is not signed by its key/)])
    expect(world.forwarded).toEqual([])
    chain.close()
  })

  it('[V19] that is new in a long session is told at once how far the results have come', async () => {
    const world = new World(4)
    const grant = world.grant({ stageCount: 3, ...LONG })
    const chain = await world.runInTime(world.opening(grant, replaceBy4(world, grant)))
    const talk = talkOver(world, chain)
    await talk.prompt(2_500)
    world.kill(peerId(2))
    const more = talk.prompt(100)
    for (let step = 0; step < 100 && talk.came() < 2_600; step++) {
      world.clock.advance(50)
      await world.settle()
    }
    await more
    expect(talk.came()).toBe(2_600)
    expect(computedBy(world, 3)).toBe(2_600)
    expect(of(world, DRIVER, 1)[0]).toMatchObject({ final: false, received: { firstPosition: 2_500, endPosition: 2_500 } })
    chain.close()
    await world.settle()
    expect(world.receiptFaults()).toEqual([])
  })

  it.each([
    ['of another session', (receipt: Receipt) => ({ ...receipt, sessionId: 'e'.repeat(32) as Receipt['sessionId'] })],
    ['of a stage', (receipt: Receipt, stage: Receipt) => ({ ...stage, sequence: receipt.sequence })],
    ['with fields that no receipt has', (receipt: Receipt) => ({ ...receipt, epoch: -1 })],
  ])('[V19] [S16] fails a session whose driver sends a receipt %s', async (_, bend) => {
    const world = new World(1)
    const grant = world.grant()
    const chain = await world.open(grant)
    await talkOver(world, chain).prompt(256)
    const bent = bend(required(of(world, DRIVER)[0], "the driver's receipt"), required(of(world, peerId(1))[0], "the stage's receipt"))
    const receipt = await signReceipt(bent, { sign: async () => new Uint8Array(64) })
    const driver = required(
      world.links.find(({ from }) => from === DRIVER),
      "the driver's link",
    )
    driver.atFrom.sendFrame({ type: 'receipt', sessionId: grant.sessionId, receipt, publicKey: 'BBBB' })
    await world.settle()
    expect(driver.atTo.sent.at(-1)).toMatchObject({ type: 'failed', reason: 'protocol', message: expect.stringContaining('receipt') })
    chain.close()
  })

  it('[V19] takes receipts from its driver alone', async () => {
    const world = new World(2)
    const grant = world.grant()
    const chain = await world.open(grant)
    const receipt = { body: 'AA', signature: 'AA' }
    const between = required(
      world.links.find(({ from, to }) => from === peerId(1) && to === peerId(2)),
      'the link between the stages',
    )
    between.atFrom.sendFrame({ type: 'receipt', sessionId: grant.sessionId, receipt, publicKey: 'BBBB' })
    await world.settle()
    const said = world.links.flatMap(({ atTo }) => atTo.sent).filter(({ type }) => type === 'failed')
    expect(said).toMatchObject([{ reason: 'protocol', message: expect.stringContaining('a receipt comes from the driver only') }])
    chain.close()
  })
})

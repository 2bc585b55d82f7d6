/** What a stage keeps for audits after its part, and what another one makes of it: real stages, a real driver, an engine of sums. */

import { describe, expect, it } from 'vitest'
import { areCommitted, wantedOf } from '../../../src/coordinator/audits/handedOver.ts'
import { type AuditRows, auditRowBytes, decodeAuditRows, type Grant, type Receipt } from '../../../src/protocol/index.ts'
import { type PeerId, required, TabswarmError, toErrorBody } from '../../../src/shared/index.ts'
import { listening } from './answers.ts'
import { FakeEngine, fakeConfig } from './fakeEngine.ts'
import { MANIFEST, peerId, sha256, World } from './world.ts'

const POSITIONS = 100

/** A prompt and what follows over three stages of their own, closed by the driver. */
async function answered(world: World, positions = POSITIONS): Promise<Grant> {
  const grant = world.grant({ stageCount: 3 })
  const chain = await world.open(grant)
  let came = 0
  const onResults = ({ firstPosition, rowCount }: { readonly firstPosition: number; readonly rowCount: number }) => {
    came = firstPosition + rowCount
  }
  chain.listen(listening({ onResults }))
  const ids = new Uint32Array(positions - 20).map((_, index) => index % 49)
  chain.submit({ firstPosition: 0, ids, kind: 'prompt', resultCount: 1 }).catch(() => undefined)
  await world.settle()
  for (let position = ids.length; position < positions; position++) {
    chain.submit({ firstPosition: position, ids: Uint32Array.of(position % 49), kind: 'decode', resultCount: 1 }).catch(() => undefined)
    await world.settle()
  }
  chain.close()
  await world.settle()
  expect(came).toBe(positions)
  return grant
}

const stageOf = (world: World, peer: PeerId) =>
  required(
    world.stages.find(({ id }) => id === peer),
    'a stage',
  )
const lastOf = (world: World, peer: PeerId): Receipt =>
  required(
    world.receipts.findLast((receipt) => receipt.peerId === peer),
    'a receipt',
  )

/** What the stage of that index hands over, and what it was asked for. */
function handedOver(world: World, grant: Grant, index: number) {
  const { peerId: peer, firstLayer, endLayer } = required(grant.stages[index], 'a stage')
  const span = { firstLayer, endLayer }
  const challenged = { ...span, firstPosition: 40, endPosition: 90, commitments: [lastOf(world, peer)] }
  const wanted = required(wantedOf(challenged) ?? undefined, 'rows that receipts bind')
  const { sessionId, rowEncoding, topK } = grant
  const asked = { sessionId, span, inputEnd: wanted.inputEnd, outputFirst: wanted.output.first, outputEnd: wanted.output.end }
  const bytes = stageOf(world, peer).host.encodeLog(asked)
  const sizes = auditRowBytes({ ...fakeConfig, ...span, rowEncoding, topK })
  const shape = {
    input: { rowCount: wanted.inputEnd, rowBytes: sizes.input },
    output: { rowCount: wanted.output.end - wanted.output.first, rowBytes: sizes.output },
  }
  const decoded = bytes === null ? null : decodeAuditRows(bytes, shape)
  if (decoded !== null && !decoded.ok) throw new Error(decoded.error)
  return { span, wanted, rows: decoded?.value ?? null }
}

/** What an auditor gets of it, for the output from position 40 on. */
function taskOf({ input, output }: AuditRows): AuditRows {
  const rows = output.rows.slice(40).map((row) => ({ ...row, bytes: new Uint8Array(0) }))
  return { input, output: { rowBytes: 0, rows } }
}

describe('rows of an audit', () => {
  it('[V15] each stage of a session that has ended hands over what its receipts say, until it is released or 60 s are over', async () => {
    const world = new World(4)
    const grant = await answered(world)
    for (const index of [0, 1, 2]) {
      const { rows, wanted } = handedOver(world, grant, index)
      expect(rows?.input.rows.map(({ kind }) => kind)).toEqual([...Array(80).fill('prompt'), ...Array(20).fill('decode')])
      expect(await areCommitted(required(rows ?? undefined, 'rows'), wanted, sha256)).toBe(true)
    }
    const { host } = stageOf(world, peerId(1))
    expect(host.logBytes.rows).toBeGreaterThan(0)
    host.release(grant.sessionId)
    await world.settle()
    expect(handedOver(world, grant, 0).rows).toBeNull()
    expect(host.logBytes.rows).toBe(0)
    expect(handedOver(world, grant, 1).rows).not.toBeNull()
    world.clock.advance(60_000)
    await world.settle()
    expect(handedOver(world, grant, 1).rows).toBeNull()
    expect(world.stages.map(({ host: each }) => each.logBytes.rows)).toEqual([0, 0, 0, 0])
  })

  it('[V15] rows that are not those of the receipts do not hash to them: an output, an input, a kind', async () => {
    const world = new World(3)
    const grant = await answered(world)
    const { rows, wanted } = handedOver(world, grant, 1)
    const { input, output } = required(rows ?? undefined, 'rows')
    const bent = (table: typeof input, index: number, change: Partial<(typeof input.rows)[number]>) => {
      const row = required(table.rows[index], 'a row')
      return { ...table, rows: table.rows.with(index, { ...row, ...change }) }
    }
    const other = Uint8Array.from(required(input.rows[7], 'a row').bytes).fill(1)
    expect(await areCommitted({ input, output: bent(output, 7, { bytes: other }) }, wanted, sha256)).toBe(false)
    expect(await areCommitted({ input: bent(input, 99, { bytes: other }), output }, wanted, sha256)).toBe(false)
    expect(await areCommitted({ input: bent(input, 85, { kind: 'prompt' }), output }, wanted, sha256)).toBe(false)
    expect(await areCommitted({ input, output }, wanted, sha256)).toBe(true)
  })

  it('[V15] kept rows are the first to go where memory is short, and a session takes no harm', async () => {
    const bytes = POSITIONS * 16
    const world = new World(3, { logBytesMax: 5 * bytes })
    const first = await answered(world)
    expect(handedOver(world, first, 1).rows).not.toBeNull()
    for (let more = 0; more < 2; more++) await answered(world)
    expect(handedOver(world, first, 1).rows).toBeNull()
    expect(stageOf(world, peerId(2)).host.logBytes.rows).toBeLessThanOrEqual(5 * bytes)
  })

  it('[V22] another peer with these layers gives the same rows, bit by bit, and leaves nothing behind', async () => {
    const world = new World(4)
    const grant = await answered(world)
    const { rowEncoding, topK } = grant
    const { host, engine } = stageOf(world, peerId(4))
    for (const index of [0, 1, 2]) {
      const handed = handedOver(world, grant, index)
      const rows = required(handed.rows ?? undefined, 'rows')
      const order = { manifestHash: MANIFEST, span: handed.span, inputEnd: POSITIONS, outputFirst: 40, rowEncoding, topK }
      const output = await world.run(host.audit(order, taskOf(rows)))
      expect(output.rows).toEqual(rows.output.rows.slice(40))
    }
    expect(engine.usage().openSlots).toBe(0)
    expect(Math.max(...engine.passes.map((pass) => pass.reduce((sum, count) => sum + count, 0)))).toBeLessThanOrEqual(16)
  })

  it('[V22] ends with the device that it was computed on, and keeps no other from its place', async () => {
    const world = new World(4)
    const grant = await answered(world)
    const { rowEncoding, topK } = grant
    const { host, engine } = stageOf(world, peerId(4))
    const handed = handedOver(world, grant, 1)
    const rows = required(handed.rows ?? undefined, 'rows')
    const order = { manifestHash: MANIFEST, span: handed.span, inputEnd: POSITIONS, outputFirst: 40, rowEncoding, topK }
    let letGo: () => void = () => undefined
    engine.gate = new Promise((resolve) => {
      letGo = resolve
    })
    const audits = [host.audit(order, taskOf(rows)), host.audit(order, taskOf(rows))].map((audit) => audit.catch(toErrorBody))
    await world.settle()
    engine.loseDevice('the driver crashed')
    engine.dispose()
    engine.failNext = new TabswarmError('device-lost', 'the GPU device was lost')
    await world.settle()
    letGo()
    await world.settle()
    host.replaceEngine(new FakeEngine())
    expect(await world.run(Promise.all(audits))).toMatchObject([{ reason: 'not-serving' }, { reason: 'not-serving' }])
  })

  it('[V22] refuses layers that it has not, has no room for, or is busy with; and gives its room to a session', async () => {
    const world = new World(4, { positionsMax: 1_100 })
    const grant = await answered(world)
    const handed = handedOver(world, grant, 1)
    const rows = taskOf(required(handed.rows ?? undefined, 'rows'))
    const { rowEncoding, topK } = grant
    const order = { manifestHash: MANIFEST, span: handed.span, inputEnd: POSITIONS, outputFirst: 40, rowEncoding, topK }
    const { host, engine } = stageOf(world, peerId(1))
    await expect(host.audit({ ...order, span: { firstLayer: 4, endLayer: 11 } }, rows)).rejects.toMatchObject({ reason: 'not-serving' })
    await expect(host.audit({ ...order, inputEnd: 1_101 }, rows)).rejects.toMatchObject({ reason: 'no-room' })
    let open: () => void = () => undefined
    engine.gate = new Promise((resolve) => {
      open = resolve
    })
    const waiting = [host.audit(order, rows), host.audit(order, rows)].map((audit) => audit.catch(({ reason }) => reason))
    await expect(host.audit(order, rows)).rejects.toMatchObject({ reason: 'busy' })
    // A session takes 1,000 of 1,100 positions; the first audit is in a pass.
    const chain = await world.open(world.grant({ stageCount: 1 }))
    open()
    const [first, second] = await world.run(Promise.all(waiting))
    expect(first).toMatchObject({ rows: expect.any(Array) })
    expect(second).toBe('gave-way')
    chain.close()
    await world.settle()
    expect(world.openSlots()).toBe(0)
    await expect(world.run(host.audit(order, rows))).resolves.toBeDefined()
  })

  it('[V26] computes layers that it does not serve on an engine of their own, which gives no session its room', async () => {
    const world = new World(4, { positionsMax: 1_000 })
    const grant = await answered(world)
    const handed = handedOver(world, grant, 1)
    const rows = required(handed.rows ?? undefined, 'rows')
    const { rowEncoding, topK } = grant
    const order = { manifestHash: MANIFEST, span: handed.span, inputEnd: POSITIONS, outputFirst: 40, rowEncoding, topK }
    const { host, engine } = stageOf(world, peerId(4))
    const own = { engine: new FakeEngine(), served: { manifestHash: MANIFEST, span: handed.span, config: fakeConfig } }
    const before = engine.passes.length
    host.serve({ ...own.served, span: { firstLayer: 0, endLayer: 2 } })
    await expect(host.audit(order, taskOf(rows))).rejects.toMatchObject({ reason: 'not-serving' })
    let open: () => void = () => undefined
    own.engine.gate = new Promise((resolve) => {
      open = resolve
    })
    const audits = [host.audit(order, taskOf(rows), own), host.audit(order, taskOf(rows), own)]
    await expect(host.audit(order, taskOf(rows), own)).rejects.toMatchObject({ reason: 'busy' })
    host.serve({ ...own.served, span: { firstLayer: 0, endLayer: 10 } })
    const stages = [{ peerId: peerId(4), firstLayer: 0, endLayer: 10 }]
    const chain = await world.open(world.grant({ change: { stages } }))
    open()
    for (const audit of audits) expect((await world.run(audit)).rows).toEqual(rows.output.rows.slice(40))
    expect([engine.passes.length, own.engine.usage().openSlots]).toEqual([before, 0])
    chain.close()
  })

  it('[V26] an audit that is given up in a pass ends after it: its engine is not in use any more', async () => {
    const world = new World(4)
    const grant = await answered(world)
    const handed = handedOver(world, grant, 1)
    const { rowEncoding, topK } = grant
    const order = { manifestHash: MANIFEST, span: handed.span, inputEnd: POSITIONS, outputFirst: 40, rowEncoding, topK }
    const { host } = stageOf(world, peerId(4))
    const own = { engine: new FakeEngine(), served: { manifestHash: MANIFEST, span: handed.span, config: fakeConfig } }
    let open: () => void = () => undefined
    own.engine.gate = new Promise((resolve) => {
      open = resolve
    })
    let isOver = false
    const audit = host.audit(order, taskOf(required(handed.rows ?? undefined, 'rows')), own).catch(({ reason }) => {
      isOver = true
      return reason
    })
    await world.settle()
    const drained = host.drain()
    await world.settle()
    expect(isOver).toBe(false)
    open()
    expect(await world.run(audit)).toBe('not-serving')
    await world.run(drained)
    expect(own.engine.usage().openSlots).toBe(0)
  })
})

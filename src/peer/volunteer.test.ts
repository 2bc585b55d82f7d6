import { describe, expect, it } from 'vitest'
import { detectedEngine as detected } from '../../test/support/detectedEngine.ts'
import type { Manifest } from '../model/index.ts'
import type { Assignment, ClientMessage } from '../protocol/index.ts'
import { type ManifestHash, ManualClock, type ModelId, type PeerId } from '../shared/index.ts'
import type { Outcome } from './outcome.ts'
import type { VolunteerState } from './types.ts'
import { DRAIN_MS, Volunteer } from './volunteer.ts'
import type { DetectedEngine, ServeRequest, StageWork } from './workerApi.ts'

function assignment(assignmentId: number, firstLayer: number, endLayer: number): Assignment {
  return {
    type: 'assign',
    assignmentId,
    modelId: 'test-model' as ModelId,
    manifestHash: '0'.repeat(64) as ManifestHash,
    span: { firstLayer, endLayer },
    kvPositions: 128,
    memoryBytesMax: 1e6,
  }
}

/** A volunteer whose engine and coordinator are played by the test. */
function setUp(
  options: { detect?: () => Promise<Outcome<DetectedEngine>>; serve?: (request: ServeRequest) => Promise<Outcome<null>> } = {},
) {
  const sent: ClientMessage[] = []
  const states: VolunteerState[] = []
  /** What its owner hears beside the states. */
  const told: string[] = []
  const clock = new ManualClock()
  const volunteer = new Volunteer(
    {
      send: (message) => sent.push(message),
      detect: options.detect ?? (async () => ({ ok: true, value: detected })),
      load: async () => ({ sessions: 5, kvPositionsFree: 64 }),
      serve: options.serve ?? (async () => ({ ok: true, value: null })),
      manifest: async () => ({ config: { layerCount: 30 } }) as unknown as Manifest,
      modelUrl: (modelId) => `/models/${modelId}/file`,
      roundTrips: async () => [{ peerId: 'b'.repeat(32) as PeerId, rttMs: 12 }],
      clock,
      onState: (state) => states.push(state),
      onPasses: (served, { count }) => told.push(`passes ${served}: ${count}`),
      onDeviceLost: () => told.push('device lost'),
      onDrained: () => told.push('drained'),
    },
    { pledgeBytes: 5e8, pledgeBytesWasm: 9e8 },
  )
  return { volunteer, sent, states, told, clock, kinds: () => states.map((state) => state.kind) }
}

describe('Volunteer', () => {
  it('sends nothing before it has found a GPU and the coordinator is there, then pledges what it measured', async () => {
    const { volunteer, sent, kinds } = setUp()
    await volunteer.start()
    expect(sent).toEqual([])
    volunteer.handleOnline()
    expect(sent).toMatchObject([{ type: 'pledge', memoryBytes: 5e8, macsPerSecond: 1e9, adapter: 'Test adapter' }])
    expect(kinds()).toEqual(['starting', 'waiting', 'waiting'])
  })

  it('pledges for the engine that it found: weights take more bytes without a GPU', async () => {
    const { volunteer, sent } = setUp({ detect: async () => ({ ok: true, value: { ...detected, engine: 'wasm' } }) })
    await volunteer.start()
    volunteer.handleOnline()
    expect(sent).toMatchObject([{ type: 'pledge', memoryBytes: 9e8, engine: 'wasm' }])
  })

  it('stays serving when word of the load comes after its end: they travel over different ports', async () => {
    const { volunteer, states, clock, sent } = setUp()
    await volunteer.start()
    volunteer.handleOnline()
    const order = assignment(3, 0, 30)
    await volunteer.handleAssign(order)
    expect(states.at(-1)?.kind).toBe('serving')
    clock.advance(10_000)
    const before = sent.length
    volunteer.handleProgress({ bytesLoaded: 100, bytesTotal: 100, bytesFromCache: 0 }, order)
    expect(states.at(-1)?.kind).toBe('serving')
    expect(sent).toHaveLength(before)
  })

  it('says what is wrong when there is no GPU, and pledges nothing', async () => {
    const error = { reason: 'no-webgpu', message: 'use another browser' }
    const { volunteer, sent, states } = setUp({ detect: async () => ({ ok: false, error }) })
    volunteer.handleOnline()
    await volunteer.start()
    expect(states.at(-1)).toEqual({ kind: 'failed', error })
    expect(sent).toEqual([])
  })

  it('loads, tells its progress sparsely, and serves', async () => {
    const order = assignment(7, 0, 15)
    const { volunteer, sent, states, clock } = setUp({
      serve: async () => {
        for (let bytesLoaded = 0; bytesLoaded <= 100; bytesLoaded += 10) {
          volunteer.handleProgress({ bytesLoaded, bytesTotal: 100, bytesFromCache: 0 }, order)
          clock.advance(100)
        }
        return { ok: true, value: null }
      },
    })
    volunteer.handleOnline()
    await volunteer.start()
    await volunteer.handleAssign(order)
    expect(states.at(-1)).toMatchObject({ kind: 'serving', span: { firstLayer: 0, endLayer: 15 }, layerCount: 30, alone: false })
    expect(sent.at(-1)).toMatchObject({ type: 'serving', assignmentId: 7 })
    expect(sent.filter((message) => message.type === 'progress')).toHaveLength(3)
  })

  it('drops the end of a load that a newer order has overtaken', async () => {
    let finishFirst: (outcome: Outcome<null>) => void = () => undefined
    let loads = 0
    const { volunteer, sent } = setUp({
      serve: () =>
        ++loads === 1
          ? new Promise((resolve) => {
              finishFirst = resolve
            })
          : Promise.resolve({ ok: true, value: null }),
    })
    volunteer.handleOnline()
    await volunteer.start()
    const first = volunteer.handleAssign(assignment(1, 0, 30))
    await Promise.resolve()
    await Promise.resolve()
    await volunteer.handleAssign(assignment(2, 0, 15))
    finishFirst({ ok: false, error: { reason: 'superseded', message: '' } })
    await first
    expect(sent.filter((message) => message.type === 'serving')).toMatchObject([{ assignmentId: 2 }])
    expect(sent.some((message) => message.type === 'assignment-failed')).toBe(false)
  })

  it('tells the coordinator when a load fails, with the reason', async () => {
    const error = { reason: 'wrong-hash', message: 'damaged file' }
    const { volunteer, sent, states } = setUp({ serve: async () => ({ ok: false, error }) })
    volunteer.handleOnline()
    await volunteer.start()
    await volunteer.handleAssign(assignment(3, 0, 15))
    expect(sent.at(-1)).toMatchObject({ type: 'assignment-failed', assignmentId: 3, reason: 'wrong-hash' })
    expect(states.at(-1)).toEqual({ kind: 'failed', error })
  })

  it('is away while the device is lost, and serves the same order when it is back', async () => {
    const { volunteer, sent, states, kinds } = setUp()
    volunteer.handleOnline()
    await volunteer.start()
    await volunteer.handleAssign(assignment(7, 0, 30))
    volunteer.handleDeviceLost('hung')
    expect(sent.at(-1)).toEqual({ type: 'away', reason: 'recovering' })
    expect(states.at(-1)).toMatchObject({ kind: 'recovering', reason: 'hung' })
    volunteer.handleProgress({ bytesLoaded: 1, bytesTotal: 2, bytesFromCache: 1 }, assignment(7, 0, 30))
    expect(sent.at(-1)).toMatchObject({ type: 'progress', assignmentId: 7 })
    volunteer.handleRecovered({ ok: true, value: detected })
    expect(sent.at(-1)).toMatchObject({ type: 'serving', assignmentId: 7, span: { firstLayer: 0, endLayer: 30 } })
    expect(kinds().slice(-3)).toEqual(['serving', 'recovering', 'serving'])
    expect(sent.filter((message) => message.type === 'pledge')).toHaveLength(1)
  })

  it('pledges anew when another device came back, and leaves when none does', async () => {
    const { volunteer, sent, states } = setUp()
    volunteer.handleOnline()
    await volunteer.start()
    await volunteer.handleAssign(assignment(7, 0, 30))
    volunteer.handleDeviceLost('hung')
    volunteer.handleRecovered({ ok: true, value: { ...detected, numericClass: 'another' } })
    expect(sent.at(-1)).toMatchObject({ type: 'pledge' })
    volunteer.handleDeviceLost('hung')
    volunteer.handleRecovered({ ok: false, error: { reason: 'device-lost', message: 'it does not come back' } })
    expect(sent.at(-1)).toEqual({ type: 'away', reason: 'device-lost' })
    expect(states.at(-1)).toMatchObject({ kind: 'failed', error: { reason: 'device-lost' } })
  })

  it('pledges anew after a reconnect, since the coordinator may have forgotten it', async () => {
    const { volunteer, sent } = setUp()
    volunteer.handleOnline()
    await volunteer.start()
    await volunteer.handleAssign(assignment(1, 0, 30))
    volunteer.handleOffline()
    volunteer.handleOnline()
    expect(sent.filter((message) => message.type === 'pledge')).toHaveLength(2)
  })

  it('leaves at Stop and is silent from then on', async () => {
    const { volunteer, sent, states } = setUp()
    volunteer.handleOnline()
    await volunteer.start()
    volunteer.stop()
    expect(sent.at(-1)).toEqual({ type: 'leave' })
    const count = sent.length
    volunteer.handleOnline()
    await volunteer.handleAssign(assignment(9, 0, 30))
    volunteer.handleDeviceLost('late')
    expect(sent).toHaveLength(count)
    expect(states.at(-1)).toEqual({ kind: 'off' })
  })

  const working = (sessionsOpen: number): StageWork => ({
    sessionsOpen,
    sessionsServed: 1,
    positions: 9,
    lastComputeMs: 5,
    oneRowPasses: { count: 9, layers: 135, heads: 0, ms: 45 },
    bytesSent: 0,
    gpuBytes: 0,
  })

  async function serving() {
    const world = setUp()
    world.volunteer.handleOnline()
    await world.volunteer.start()
    await world.volunteer.handleAssign(assignment(7, 0, 15))
    return world
  }

  it('[C18] drains what is open, takes no other order, and is drained when nothing is open any more', async () => {
    const { volunteer, sent, states, told } = await serving()
    volunteer.handleWork(working(2))
    volunteer.drain('battery')
    volunteer.drain('busy')
    expect(sent.filter(({ type }) => type === 'drain')).toEqual([{ type: 'drain', reason: 'battery' }])
    expect(states.at(-1)).toMatchObject({ kind: 'draining', reason: 'battery', sessionsOpen: 2 })
    await volunteer.handleAssign(assignment(8, 0, 30))
    expect(sent.some((message) => message.type === 'serving' && message.assignmentId === 8)).toBe(false)
    volunteer.handleWork(working(1))
    expect(states.at(-1)).toMatchObject({ kind: 'draining', sessionsOpen: 1 })
    expect(told).not.toContain('drained')
    volunteer.handleWork(working(0))
    expect(told.filter((word) => word === 'drained')).toHaveLength(1)
  })

  it('[C18] is drained after half a minute, whatever is open', async () => {
    const { volunteer, told, clock } = await serving()
    volunteer.handleWork(working(1))
    volunteer.drain('user')
    clock.advance(DRAIN_MS - 1)
    expect(told).not.toContain('drained')
    clock.advance(1)
    expect(told).toContain('drained')
  })

  it('is drained at once where nothing is open, where it loads, and where the coordinator or the GPU is lost meanwhile', async () => {
    const idle = await serving()
    idle.volunteer.drain('battery')
    expect(idle.told).toEqual(['drained'])
    expect(idle.sent.some(({ type }) => type === 'drain')).toBe(false)
    const loading = setUp({ serve: () => new Promise(() => undefined) })
    loading.volunteer.handleOnline()
    await loading.volunteer.start()
    void loading.volunteer.handleAssign(assignment(7, 0, 15))
    loading.volunteer.drain('battery')
    expect(loading.told).toEqual(['drained'])
    const cut = await serving()
    cut.volunteer.handleWork(working(1))
    cut.volunteer.drain('battery')
    cut.volunteer.handleOffline()
    cut.volunteer.handleOnline()
    expect(cut.told.at(-1)).toBe('drained')
    expect(cut.sent.filter(({ type }) => type === 'pledge')).toHaveLength(1)
    const lost = await serving()
    lost.volunteer.handleWork(working(1))
    lost.volunteer.drain('battery')
    lost.volunteer.handleDeviceLost('hung')
    expect(lost.told.slice(-2)).toEqual(['device lost', 'drained'])
  })

  it('is never drained after Stop', async () => {
    const { volunteer, told, clock, sent } = await serving()
    volunteer.handleWork(working(1))
    volunteer.drain('battery')
    volunteer.stop()
    clock.advance(DRAIN_MS)
    expect(told).not.toContain('drained')
    expect(sent.at(-1)).toEqual({ type: 'leave' })
  })

  it('[C27] answers pings by what its worker says as long as it serves, and else by what is known here', async () => {
    const { volunteer } = await serving()
    volunteer.handleWork(working(1))
    expect(await volunteer.load()).toEqual({ sessions: 5, kvPositionsFree: 64 })
    volunteer.handleDeviceLost('hung')
    expect(await volunteer.load()).toEqual({ sessions: 1, kvPositionsFree: 0 })
  })

  it('tells the passes of the span that it serves', async () => {
    const { volunteer, told } = await serving()
    volunteer.handleWork(working(1))
    expect(told).toEqual(['passes test-model 0–15: 9'])
  })

  it('[C16] tells what its passes took since it told last, under the order that it serves, at most every 2 s', async () => {
    const { volunteer, sent, clock } = setUp()
    await volunteer.start()
    volunteer.handleOnline()
    await volunteer.handleAssign(assignment(7, 3, 6))
    const work = (count: number): StageWork => ({
      sessionsOpen: 1,
      sessionsServed: 0,
      positions: count,
      lastComputeMs: 5,
      oneRowPasses: { count, layers: 3 * count, heads: 0, ms: 5 * count },
      bytesSent: 0,
      gpuBytes: 0,
    })
    const measured = async () => {
      await Promise.resolve()
      await Promise.resolve()
      return sent.filter(({ type }) => type === 'measured')
    }
    volunteer.handleWork(work(4))
    volunteer.handleWork(work(9))
    const links = [{ peerId: 'b'.repeat(32), rttMs: 12 }]
    expect(await measured()).toEqual([{ type: 'measured', assignmentId: 7, passes: { count: 4, layers: 12, heads: 0, ms: 20 }, links }])
    clock.advance(2_000)
    volunteer.handleWork(work(10))
    expect((await measured())[1]).toMatchObject({ passes: { count: 6, layers: 18, ms: 30 } })
    clock.advance(2_000)
    // The engine was lost, and the new one's host counts anew.
    volunteer.handleWork(work(2))
    expect((await measured())[2]).toMatchObject({ passes: { count: 2, layers: 6, ms: 10 } })
  })
})

/** What the engine worker does when its GPU goes: it comes back with the same span out of the cache, or says why it does not. */

import { describe, expect, it } from 'vitest'
import { detectedEngine as detected } from '../../test/support/detectedEngine.ts'
import { randomModel } from '../../test/support/randomModel.ts'
import { FakeEngine } from '../../test/unit/chain/fakeEngine.ts'
import { type AuditOrder, encodeAuditRows } from '../protocol/index.ts'
import { type ManifestHash, ManualClock, type ModelId, type PeerId, required, TabswarmError } from '../shared/index.ts'
import { type Engine, KV_BLOCK_POSITIONS, type LoadRequest } from '../worker/index.ts'
import { EngineHost } from './engineHost.ts'
import type { Outcome } from './outcome.ts'
import type { DetectedEngine, ServeRequest, WorkerEvents } from './workerApi.ts'

/** Remembers what it was asked to load. */
class LoadingEngine extends FakeEngine {
  readonly loads: LoadRequest[] = []
  failLoad: TabswarmError | null = null
  /** Loads end only when they are told to stop. */
  hangs = false
  disposed = false

  override async load(request: LoadRequest): Promise<void> {
    this.loads.push(request)
    if (this.failLoad !== null) throw this.failLoad
    if (!this.hangs) return
    await new Promise((_, reject) => request.signal.addEventListener('abort', () => reject(new TabswarmError('superseded', 'stopped'))))
  }

  override dispose(): void {
    this.disposed = true
    super.dispose()
  }
}

class RoomyEngine extends LoadingEngine {
  override usage() {
    return { ...super.usage(), kvBlocksFree: 2 }
  }
}

const { manifest } = randomModel({ seed: 1 })
const request: ServeRequest = {
  manifest,
  manifestHash: 'a'.repeat(64) as ManifestHash,
  modelUrl: 'http://localhost/model',
  span: { firstLayer: 1, endLayer: 3 },
  kvPositions: 64,
  memoryBytesMax: 1e9,
}

type Fetch = (url: string, init?: RequestInit) => Promise<Response>

async function serving(open: (attempt: number) => Promise<Engine>, fetch: Fetch = async () => new Response()) {
  const clock = new ManualClock()
  const events: unknown[] = []
  let attempt = 0
  const host = new EngineHost({
    openEngine: async () => ({ engine: await open(attempt++), detected }),
    clock,
    cache: { get: async () => null, put: async () => undefined, remove: async () => undefined },
    fetch,
    verify: async () => true,
    sha256: async () => new Uint8Array(32),
  })
  const workerEvents: WorkerEvents = {
    dial: async () => ({ ok: true, value: null }),
    sign: async () => new Uint8Array(64),
    onReceipt: () => undefined,
    onHead: () => undefined,
    onProgress: () => undefined,
    onWork: () => undefined,
    onDeviceLost: (message) => events.push(['lost', message]),
    onRecovered: (outcome: Outcome<DetectedEngine>) => events.push(['recovered', outcome.ok ? outcome.value : outcome.error.reason]),
  }
  await host.detect('auto')
  await host.host({ peerId: 'p'.repeat(52) as PeerId, coordinatorKey: new Uint8Array(32) }, workerEvents)
  expect(await host.serve(request)).toEqual({ ok: true, value: null })
  /** Lets promises settle and every wait end. */
  const settle = async () => {
    for (let step = 0; step < 20; step++) {
      for (let turn = 0; turn < 30; turn++) await Promise.resolve()
      clock.advance(1_000)
    }
  }
  return { host, events, settle }
}

describe('EngineHost', () => {
  it('[C27] says what its stage and its engine hold', async () => {
    const { host } = await serving(async () => new RoomyEngine())
    expect(await host.load()).toEqual({ sessions: 0, kvPositionsFree: 2 * KV_BLOCK_POSITIONS })
    await host.stop()
    expect(await host.load()).toEqual({ sessions: 0, kvPositionsFree: 0 })
  })
})

describe('EngineHost, asked to audit what it does not serve', () => {
  const { rowEncoding, topK, ...stretch } = { rowEncoding: 'f32', topK: 4, inputEnd: 1, outputFirst: 0 } as const
  const asked = {
    rowEncoding,
    topK,
    ...stretch,
    span: { firstLayer: 0, endLayer: 1 },
    memoryBytesMax: 1e6,
    path: '/audits/x',
    token: 'token',
  }
  const names = { modelId: manifest.id as ModelId, manifestHash: request.manifestHash }
  const order: AuditOrder = { type: 'audit', ...names, ...asked }
  const task = encodeAuditRows({
    input: { rowBytes: 4, rows: [{ kind: 'prompt', given: true, bytes: new Uint8Array(4) }] },
    output: { rowBytes: 0, rows: [{ kind: 'prompt', given: true, bytes: new Uint8Array(0) }] },
  })

  it('[V26] loads it on another engine, and gives that up before it loads what it is told to serve', async () => {
    const engines = [new LoadingEngine(), new LoadingEngine()]
    const [main, spare] = [required(engines[0], 'an engine'), required(engines[1], 'another')]
    spare.hangs = true
    const methods: string[] = []
    const { host, settle } = await serving(
      async (attempt) => engines[attempt] ?? new LoadingEngine(),
      async (_url, init) => {
        methods.push(init?.method ?? 'GET')
        return new Response(init?.method === 'GET' ? task : null)
      },
    )
    const audited = host.audit(order, 'http://localhost/audits/x', { manifest, modelUrl: request.modelUrl })
    await settle()
    expect(spare.loads).toMatchObject([{ span: order.span, memoryBytesMax: 1e6, kvPositions: 1 }])
    const disposedAtLoad: boolean[] = []
    const load = main.load.bind(main)
    main.load = (wanted) => {
      disposedAtLoad.push(spare.disposed)
      return load(wanted)
    }
    expect(await host.serve({ ...request, span: { firstLayer: 0, endLayer: 4 } })).toEqual({ ok: true, value: null })
    await audited
    expect([disposedAtLoad, methods, main.disposed]).toEqual([[true], ['GET', 'DELETE'], false])
  })

  it('[V26] refuses what it cannot have: no manifest, no load', async () => {
    const methods: string[] = []
    const opened: number[] = []
    const { host } = await serving(
      async (attempt) => {
        opened.push(attempt)
        return new LoadingEngine()
      },
      async (_url, init) => {
        methods.push(init?.method ?? 'GET')
        return new Response(init?.method === 'GET' ? task : null)
      },
    )
    await host.audit(order, 'http://localhost/audits/x', null)
    expect([methods, opened]).toEqual([['GET', 'DELETE'], [0]])
  })
})

describe('EngineHost, when the device is lost', () => {
  it('opens another, loads the same span on it, and says so', async () => {
    const engines = [new LoadingEngine(), new LoadingEngine()]
    const { events, settle } = await serving(async (attempt) => engines[attempt] ?? new LoadingEngine())
    engines[0]?.loseDevice('the driver crashed')
    await settle()
    expect(events).toEqual([
      ['lost', 'the driver crashed'],
      ['recovered', detected],
    ])
    expect(engines[0]?.disposed).toBe(true)
    expect(engines[1]?.loads).toMatchObject([{ span: request.span, kvPositions: 64 }])
  })

  it('tries again where no device is there at first, and where the new one is lost while it loads', async () => {
    const last = new LoadingEngine()
    const dying = new LoadingEngine()
    dying.failLoad = new TabswarmError('device-lost', 'again')
    const first = new LoadingEngine()
    const { events, settle } = await serving(async (attempt) => {
      if (attempt === 1) throw new TabswarmError('no-adapter', 'none yet')
      return attempt === 0 ? first : attempt === 2 ? dying : last
    })
    first.loseDevice('reset')
    await settle()
    expect(events.at(-1)).toEqual(['recovered', detected])
    expect([dying.disposed, last.disposed, last.loads.length]).toEqual([true, false, 1])
  })

  it('carries out on the new device an order that came meanwhile, and does not load the old layers first', async () => {
    const engines = [new LoadingEngine(), new LoadingEngine()]
    const { host, events, settle } = await serving(async (attempt) => engines[attempt] ?? new LoadingEngine())
    const other = { ...request, span: { firstLayer: 0, endLayer: 2 } }
    required(engines[0], 'the first engine').loseDevice('the driver crashed')
    await Promise.resolve()
    const served = host.serve(other)
    await settle()
    expect(await served).toEqual({ ok: true, value: null })
    expect(engines[0]?.loads).toHaveLength(1)
    expect(engines[1]?.loads).toMatchObject([{ span: other.span }])
    expect(events.at(-1)).toEqual(['recovered', detected])
  })

  it('leaves the old layers half loaded for an order that comes while they load again', async () => {
    const engines = [new LoadingEngine(), new LoadingEngine()]
    const { host, events, settle } = await serving(async (attempt) => engines[attempt] ?? new LoadingEngine())
    const [first, second] = [required(engines[0], 'the first engine'), required(engines[1], 'the second engine')]
    second.hangs = true
    first.loseDevice('the driver crashed')
    await settle()
    expect(second.loads).toMatchObject([{ span: request.span }])
    second.hangs = false
    const served = host.serve({ ...request, span: { firstLayer: 0, endLayer: 2 } })
    await settle()
    expect(await served).toEqual({ ok: true, value: null })
    expect(second.loads).toMatchObject([{ span: request.span }, { span: { firstLayer: 0, endLayer: 2 } }])
    expect(events.at(-1)).toEqual(['recovered', detected])
  })

  it('carries out again an order whose device is lost while it loads', async () => {
    const engines = [new LoadingEngine(), new LoadingEngine()]
    const { host, events, settle } = await serving(async (attempt) => engines[attempt] ?? new LoadingEngine())
    const other = { ...request, span: { firstLayer: 0, endLayer: 2 } }
    const first = required(engines[0], 'the first engine')
    first.hangs = true
    const served = host.serve(other)
    await settle()
    first.loseDevice('the driver crashed')
    await settle()
    expect(await served).toEqual({ ok: true, value: null })
    expect(engines[1]?.loads.at(-1)).toMatchObject({ span: other.span })
    expect(events).toEqual([
      ['lost', 'the driver crashed'],
      ['recovered', detected],
    ])
  })

  it('tells an order that waits why no device came back', async () => {
    const lost = new LoadingEngine()
    const { host, settle } = await serving(async (attempt) => {
      if (attempt > 0) throw new TabswarmError('no-adapter', 'the browser found no GPU')
      return lost
    })
    lost.loseDevice('gone')
    await Promise.resolve()
    const served = host.serve({ ...request, span: { firstLayer: 0, endLayer: 2 } })
    await settle()
    expect(await served).toMatchObject({ ok: false, error: { reason: 'device-lost' } })
  })

  it('gives up with the reason when no device comes back', async () => {
    const first = new LoadingEngine()
    const { host, events, settle } = await serving(async (attempt) => {
      if (attempt > 0) throw new TabswarmError('no-adapter', 'the browser found no GPU')
      return first
    })
    first.loseDevice('gone')
    await settle()
    expect(events).toEqual([
      ['lost', 'gone'],
      ['recovered', 'device-lost'],
    ])
    await host.stop()
  })

  it('gives up a device that is lost again and again', async () => {
    const engines = Array.from({ length: 6 }, () => new LoadingEngine())
    const { events, settle } = await serving(async (attempt) => engines[attempt] ?? new LoadingEngine())
    for (const engine of engines.slice(0, 4)) {
      engine.loseDevice('hung')
      await settle()
    }
    expect(events.filter((event) => Array.isArray(event) && event[0] === 'recovered').map((event) => (event as unknown[])[1])).toEqual([
      detected,
      detected,
      detected,
      'device-lost',
    ])
  })

  it('stops looking when it is stopped', async () => {
    const first = new LoadingEngine()
    let opened = 0
    const { host, events, settle } = await serving(async () => {
      opened++
      return first
    })
    first.loseDevice('gone')
    await Promise.resolve()
    const stopped = host.stop()
    await settle()
    await stopped
    expect(opened).toBe(1)
    expect(events).toEqual([['lost', 'gone']])
  })
})

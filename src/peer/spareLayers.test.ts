/** Layers that are loaded for an audit: loaded once, freed always, never more than two, and gone when the room is needed. */

import { describe, expect, it } from 'vitest'
import { randomModel } from '../../test/support/randomModel.ts'
import { FakeEngine } from '../../test/unit/chain/fakeEngine.ts'
import { type ManifestHash, ManualClock, required, TabswarmError } from '../shared/index.ts'
import type { LoadRequest } from '../worker/index.ts'
import { SpareLayers } from './spareLayers.ts'
import type { ServeRequest } from './workerApi.ts'

class LoadingEngine extends FakeEngine {
  readonly loads: LoadRequest[] = []
  disposed = 0
  /** Loads end only when they are told to stop. */
  hangs = false
  failLoad: TabswarmError | null = null

  override async load(request: LoadRequest): Promise<void> {
    this.loads.push(request)
    if (this.failLoad !== null) throw this.failLoad
    if (!this.hangs) return
    await new Promise((_, reject) => request.signal.addEventListener('abort', () => reject(new TabswarmError('aborted', 'stopped'))))
  }

  override dispose(): void {
    this.disposed++
    super.dispose()
  }
}

const { manifest } = randomModel({ seed: 1 })
const span = { firstLayer: 1, endLayer: 3 }
const hash = 'a'.repeat(64) as ManifestHash
const request: ServeRequest = {
  manifest,
  manifestHash: hash,
  modelUrl: 'http://localhost/model',
  span,
  kvPositions: 64,
  memoryBytesMax: 5e6,
}

function world() {
  const engines: LoadingEngine[] = []
  let prepare: (engine: LoadingEngine) => void = () => undefined
  const layers = new SpareLayers({
    openEngine: async () => {
      const engine = new LoadingEngine()
      prepare(engine)
      engines.push(engine)
      return engine
    },
    tensors: {
      clock: new ManualClock(),
      cache: { get: async () => null, put: async () => undefined, remove: async () => undefined },
      fetch: async () => new Response(),
      sha256: async () => new Uint8Array(32),
    },
  })
  const engineAt = (index: number) => required(engines[index], `engine ${index}`)
  return { layers, engines, engineAt, prepareWith: (change: typeof prepare) => (prepare = change) }
}

/** A use that lasts until it is told to end. */
function held(layers: SpareLayers) {
  let end: () => void = () => undefined
  const over = new Promise<void>((resolve) => {
    end = resolve
  })
  const done = layers.use(request, async ({ served }) => {
    await over
    return served
  })
  return { done, end }
}

const turns = async () => {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve()
}

describe('[V26] layers for an audit', () => {
  it('are loaded within the bytes named, and freed when the audit is over, however it ends', async () => {
    const { layers, engineAt } = world()
    const served = await layers.use(request, async (own) => own.served)
    expect(served).toEqual({ manifestHash: hash, span, config: manifest.config })
    expect(engineAt(0).loads).toMatchObject([{ span, kvPositions: 64, memoryBytesMax: 5e6 }])
    expect(engineAt(0).disposed).toBe(1)
    await expect(layers.use(request, () => Promise.reject(new TabswarmError('no-room', '')))).rejects.toMatchObject({ reason: 'no-room' })
    expect(engineAt(1).disposed).toBe(1)
  })

  it('are freed where they cannot be loaded', async () => {
    const { layers, engineAt, prepareWith } = world()
    prepareWith((engine) => {
      engine.failLoad = new TabswarmError('does-not-fit', 'too large')
    })
    await expect(layers.use(request, async () => 0)).rejects.toMatchObject({ reason: 'does-not-fit' })
    expect(engineAt(0).disposed).toBe(1)
  })

  it('of two audits are loaded one after the other; a third is refused', async () => {
    const { layers, engines, engineAt } = world()
    const [first, second] = [held(layers), held(layers)]
    await expect(held(layers).done).rejects.toMatchObject({ reason: 'busy' })
    await turns()
    expect(engines).toHaveLength(1)
    first.end()
    await first.done
    await turns()
    expect([engineAt(0).disposed, engineAt(1).disposed]).toEqual([1, 0])
    second.end()
    await second.done
    expect(engineAt(1).disposed).toBe(1)
    await expect(layers.use(request, async () => 7)).resolves.toBe(7)
  })

  it('give way to an order: a load stops, who waits is refused, and the memory is free then', async () => {
    const { layers, engines, engineAt, prepareWith } = world()
    prepareWith((engine) => {
      engine.hangs = true
    })
    const waiting = [layers.use(request, async () => 0), layers.use(request, async () => 0)].map((use) => use.catch(({ reason }) => reason))
    await turns()
    await layers.giveUp()
    expect(await Promise.all(waiting)).toEqual(['aborted', 'gave-way'])
    expect([engines.length, engineAt(0).disposed]).toEqual([1, 1])
    prepareWith(() => undefined)
    await expect(layers.use(request, async () => 7)).resolves.toBe(7)
  })
})

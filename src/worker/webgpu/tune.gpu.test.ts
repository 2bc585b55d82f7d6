/** Tuning: what it chooses the adapter can run, is remembered under its name, is measured anew for another; and changes no bit. */

import { beforeAll, describe, expect, it } from 'vitest'
import { loadRequest } from '../../../test/support/engineRuns.ts'
import { randomModel } from '../../../test/support/randomModel.ts'
import { sharedGpu } from '../../../test/support/sharedGpu.ts'
import { formsFor } from '../../kernels/index.ts'
import { nodeClock, readShader } from '../../node/index.ts'
import { createTuner, type TunerOptions, type TuningStore } from './tune.ts'
import { type Tuning, tuningFor } from './tuning.ts'
import { createWebGpuEngine } from './webGpuEngine.ts'

class MemoryStore implements TuningStore {
  readonly kept = new Map<string, unknown>()

  async get(key: string): Promise<unknown> {
    return this.kept.get(key)
  }

  async set(key: string, value: unknown): Promise<void> {
    this.kept.set(key, value)
  }
}

const { signal } = new AbortController()
let options: Omit<TunerOptions, 'store'>
beforeAll(async () => {
  const { device, info } = await sharedGpu()
  options = { device, adapterInfo: info, shaders: readShader, clock: nodeClock, host: 'test 1', kernelVersion: 'k1' }
})

/** A clock that knows whether it was read: if not, nothing was timed. */
function counting(onRead: () => void = () => undefined) {
  let reads = 0
  const nowMs = () => {
    reads++
    onRead()
    return nodeClock.nowMs()
  }
  return { clock: { ...nodeClock, nowMs }, timed: () => reads > 0 }
}

describe('createTuner', () => {
  it('chooses forms that the adapter has, keeps lanes as its class has them, and remembers', async () => {
    const store = new MemoryStore()
    const usual = tuningFor(options.adapterInfo)
    const tuning = await createTuner({ ...options, store })(signal)
    expect(tuning).toMatchObject({ lanes: usual.lanes, promptTile: usual.promptTile })
    const subgroups = options.device.features.has('subgroups')
    const forms = formsFor({ subgroups, subgroupMinSize: options.adapterInfo.subgroupMinSize ?? 0 }, usual.lanes)
    expect(forms).toContainEqual(tuning.matvec.single)
    expect(forms).toContainEqual(tuning.matvec.group)
    expect([...store.kept.values()]).toEqual([{ matvec: tuning.matvec, matmul: tuning.matmul }])

    const again = counting()
    expect(await createTuner({ ...options, store, clock: again.clock })(signal)).toEqual(tuning)
    expect(again.timed()).toBe(false)
  })

  it('times anew for another browser, another kernel version, and what is no choice', async () => {
    const store = new MemoryStore()
    const timesAnew = async (change: Partial<TunerOptions>) => {
      // Stopped as soon as it times: a whole run takes SwiftShader four seconds.
      const stop = new AbortController()
      const { clock, timed } = counting(() => stop.abort())
      const [ended] = await Promise.allSettled([createTuner({ ...options, ...change, store, clock })(stop.signal)])
      expect(ended.status).toBe(timed() ? 'rejected' : 'fulfilled')
      return timed()
    }
    await createTuner({ ...options, host: 'test 2', store })(signal)
    expect(await timesAnew({ host: 'test 2' })).toBe(false)
    expect(await timesAnew({ host: 'test 3' })).toBe(true)
    expect(await timesAnew({ host: 'test 2', kernelVersion: 'k2' })).toBe(true)
    for (const key of store.kept.keys()) {
      const form = { outputs: 3, width: 5, subgroup: 0 }
      store.kept.set(key, { matvec: { single: form, group: form }, matmul: 'tile' })
    }
    expect(await timesAnew({ host: 'test 2' })).toBe(true)
  })

  it('stops when it is told to and remembers nothing; works without a store that works', async () => {
    const store = new MemoryStore()
    const stopped = new AbortController()
    stopped.abort()
    await expect(createTuner({ ...options, store })(stopped.signal)).rejects.toMatchObject({ reason: 'aborted' })
    expect(store.kept.size).toBe(0)
    const broken: TuningStore = { get: () => Promise.reject(new Error('none')), set: () => Promise.reject(new Error('full')) }
    expect(await createTuner({ ...options, store: broken })(signal)).toHaveProperty('matmul')
  })
})

describe('an engine', () => {
  it('gives equal bits with every form that tuning may choose', async () => {
    // One type: that forms agree on each is src/kernels' matter, and the tiles of one take SwiftShader five seconds to compile.
    const model = randomModel({ seed: 5, types: ['Q4_1'], embeddingType: 'Q4_1', config: { layerCount: 1 } })
    const span = { firstLayer: 0, endLayer: 1 }
    const logits = async (choice: Partial<Tuning>) => {
      const { device, info } = await sharedGpu()
      const tuner = async () => ({ ...tuningFor(info, device.features), ...choice })
      const engine = createWebGpuEngine({ device, adapterInfo: info, shaders: readShader, clock: nodeClock, tuner })
      await engine.load(loadRequest(model, span))
      const opened = engine.open({ span, maxPositions: 64 })
      if (!opened.ok) throw new Error('no room')
      const values: Float32Array[] = []
      for (const [kind, ids] of [
        ['prompt', Uint32Array.from({ length: 20 }, (_, i) => i)],
        ['decode', Uint32Array.of(5)],
      ] as const) {
        const firstPosition = engine.length(opened.value)
        const output = { kind: 'logits', resultCount: ids.length } as const
        const { outputs } = await engine.forward([{ slot: opened.value, kind, firstPosition, input: { kind: 'tokens', ids }, output }])
        if (outputs[0]?.kind === 'logits') values.push(outputs[0].values)
      }
      engine.dispose()
      return values
    }
    const { lanes } = tuningFor(options.adapterInfo)
    const subgroups = options.device.features.has('subgroups')
    const [first, ...others] = formsFor({ subgroups, subgroupMinSize: options.adapterInfo.subgroupMinSize ?? 0 }, lanes)
    if (first === undefined) throw new Error('an adapter without a form')
    const expected = await logits({ matvec: { single: first, group: first }, matmul: 'tile' })
    expect(expected).toHaveLength(2)
    for (const form of others) expect(await logits({ matvec: { single: form, group: form }, matmul: 'broadcast' })).toEqual(expected)
    expect(await logits({ promptTile: 4 })).toEqual(expected)
  })
})

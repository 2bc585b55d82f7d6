/**
 * What only a GPU engine has: a device that goes away, passes larger than its scratch buffers, groups that fill and overflow, and the
 * speed probe. What every engine must do: test/support/engineSuite.ts.
 */

import { describe, expect, it } from 'vitest'
import { loadRequest } from '../../../test/support/engineRuns.ts'
import { randomModel } from '../../../test/support/randomModel.ts'
import { sharedGpu } from '../../../test/support/sharedGpu.ts'
import { nodeClock, openNodeGpu, readShader } from '../../node/index.ts'
import type { Candidates, Engine, Segment, Slot } from '../engine.ts'
import { measureMacsPerSecond } from './measureSpeed.ts'
import { PROMPT_ROWS } from './memory.ts'
import { createWebGpuEngine } from './webGpuEngine.ts'

const model = randomModel({ seed: 3, config: { layerCount: 2 } })
const { config } = model.manifest
const span = { firstLayer: 0, endLayer: config.layerCount }
/** Of one tensor type: on a device of its own an engine compiles everything anew. */
const plainModel = randomModel({ seed: 3, types: ['Q4_1'], embeddingType: 'Q4_1', config: { layerCount: 2 } })

async function loadedEngine(kvPositions = 2048) {
  const { device, info } = await sharedGpu()
  const engine = createWebGpuEngine({ device, adapterInfo: info, shaders: readShader, clock: nodeClock, kv: 'f32' })
  await engine.load(loadRequest(model, span, { kvPositions }))
  return engine
}

/** With a device that may be lost. */
async function engineOfItsOwn() {
  const { device, info } = await openNodeGpu()
  const engine = createWebGpuEngine({ device, adapterInfo: info, shaders: readShader, clock: nodeClock })
  await engine.load(loadRequest(plainModel, span))
  return { engine, device }
}

function open(engine: Engine, maxPositions: number): Slot {
  const opened = engine.open({ span, maxPositions })
  if (!opened.ok) throw new Error('no room')
  return opened.value
}

const tokens = (count: number, seed: number) => Uint32Array.from({ length: count }, (_, i) => (i * 31 + seed * 17) % config.vocabularySize)

function segment(engine: Engine, slot: Slot, kind: 'prompt' | 'decode', ids: Uint32Array, resultCount = ids.length): Segment {
  const output = { kind: 'candidates', resultCount, topK: 3 } as const
  return { slot, kind, firstPosition: engine.length(slot), input: { kind: 'tokens', ids }, output }
}

async function results(engine: Engine, segments: readonly Segment[]): Promise<(readonly Candidates[])[]> {
  const { outputs } = await engine.forward(segments)
  return outputs.map((output) => (output.kind === 'candidates' ? output.positions : []))
}

describe('a pass', () => {
  it('gives 40 decode rows and a long prompt in one pass the bits that each gets alone', async () => {
    const engine = await loadedEngine(8192)
    const length = 2 * PROMPT_ROWS + 60
    const long = () => segment(engine, open(engine, length), 'prompt', tokens(length, 1), 3)
    const single = (seed: number) => segment(engine, open(engine, 32), 'decode', tokens(1, seed))
    const together = await results(engine, [...Array.from({ length: 39 }, (_, seed) => single(seed)), long(), single(39)])
    expect(await results(engine, [long()])).toEqual(together.slice(39, 40))
    for (const seed of [0, 8, 38]) expect(await results(engine, [single(seed)])).toEqual(together.slice(seed, seed + 1))
    expect(await results(engine, [single(39)])).toEqual(together.slice(40))
    engine.dispose()
  })

  it('gives more logits than one readback holds, equal to those asked for one by one', async () => {
    const engine = await loadedEngine()
    const rows = 90
    const ask = (slot: Slot, ids: Uint32Array): Segment => ({
      ...segment(engine, slot, 'prompt', ids),
      output: { kind: 'logits', resultCount: ids.length },
    })
    const values = async (asked: Segment) => {
      const output = (await engine.forward([asked])).outputs[0]
      return output?.kind === 'logits' ? output.values : new Float32Array()
    }
    const ids = tokens(rows, 2)
    const all = await values(ask(open(engine, rows), ids))
    expect(all.length).toBe(rows * config.vocabularySize)
    const slot = open(engine, rows)
    for (let row = 0; row < rows; row += 30) {
      const part = await values(ask(slot, ids.subarray(row, row + 30)))
      expect(part).toEqual(all.slice(row * config.vocabularySize, (row + 30) * config.vocabularySize))
    }
    engine.dispose()
  })
})

describe('what a pass costs', () => {
  it('is at most eight dispatches a dense layer in decode', async () => {
    const { device, info } = await sharedGpu()
    const engine = createWebGpuEngine({ device, adapterInfo: info, shaders: readShader, clock: nodeClock })
    await engine.load(loadRequest(plainModel, span))
    const { stats } = await engine.forward([segment(engine, open(engine, 32), 'decode', tokens(1, 1))])
    expect(stats?.dispatchesPerLayer).toBeGreaterThan(0)
    expect(stats?.dispatchesPerLayer).toBeLessThanOrEqual(8)
    engine.dispose()
  })

  it('is one submission and one small readback, for one session as for eight together and for a long prompt', async () => {
    const engine = await loadedEngine(4096)
    const decode = (seed: number) => segment(engine, open(engine, 32), 'decode', tokens(1, seed))
    const one = (await engine.forward([decode(1)])).stats
    const eight = (await engine.forward(Array.from({ length: 8 }, (_, seed) => decode(seed)))).stats
    const long = (await engine.forward([segment(engine, open(engine, 512), 'prompt', tokens(512, 1), 1)])).stats
    expect([one?.submits, eight?.submits, long?.submits]).toEqual([1, 1, 1])
    // Flags, then logsumexp, ids and logits of the 3 best.
    expect([one?.bytesRead, eight?.bytesRead, long?.bytesRead]).toEqual([16 + 28, 16 + 8 * 28, 16 + 28])
    // Sessions share the weights: only the rows' results are dispatches of their own.
    expect(eight?.dispatchesPerLayer).toBe(one?.dispatchesPerLayer)
    expect(eight?.dispatches).toBe((one?.dispatches ?? 0) + 7 + 7)
    engine.dispose()
  })
})

describe('numbers at the edge', () => {
  it.each(['f32', 'f16'] as const)('keeps a residual of a million finite, with %s keys and values, on both paths', async (kv) => {
    const { device, info } = await sharedGpu()
    const engine = createWebGpuEngine({ device, adapterInfo: info, shaders: readShader, clock: nodeClock, kv })
    await engine.load(loadRequest(model, span))
    const middle = { firstLayer: 1, endLayer: 2 }
    const opened = engine.open({ span: middle, maxPositions: 64 })
    if (!opened.ok) throw new Error('no room')
    for (const kind of ['prompt', 'decode'] as const) {
      const values = Float32Array.from({ length: 3 * config.width }, (_, i) => (i % 2 === 0 ? 1e6 : -1e6))
      const { outputs } = await engine.forward([
        {
          slot: opened.value,
          kind,
          firstPosition: engine.length(opened.value),
          input: { kind: 'rows', encoding: 'f32', rowCount: 3, bytes: new Uint8Array(values.buffer) },
          output: { kind: 'candidates', resultCount: 3, topK: 3 },
        },
      ])
      const found = outputs[0]?.kind === 'candidates' ? outputs[0].positions : []
      expect(found).toHaveLength(3)
      expect(found.every(({ logSumExp, logits }) => Number.isFinite(logSumExp) && logits.every(Number.isFinite))).toBe(true)
    }
    engine.dispose()
  })
})

describe('variants compiled ahead', () => {
  it('give the bits that variants compiled when needed give', async () => {
    const ask = async (compileAhead: boolean) => {
      const { device, info } = await openNodeGpu()
      const engine = createWebGpuEngine({ device, adapterInfo: info, shaders: readShader, clock: nodeClock, compileAhead })
      await engine.load(loadRequest(plainModel, span))
      const found = await results(
        engine,
        Array.from({ length: 3 }, (_, seed) => segment(engine, open(engine, 32), 'decode', tokens(1, seed))),
      )
      engine.dispose()
      return found
    }
    expect(await ask(true)).toEqual(await ask(false))
  })
})

describe('a lost device', () => {
  it('ends every pending call, every later one, and says so once', async () => {
    const { engine, device } = await engineOfItsOwn()
    const slot = open(engine, 64)
    const pending = [
      engine.forward([segment(engine, slot, 'prompt', tokens(20, 1))]),
      engine.forward([segment(engine, slot, 'decode', tokens(1, 1))]),
    ]
    const ended = Promise.allSettled(pending)
    // Let the first pass begin before its device goes.
    await Promise.resolve()
    device.destroy()
    expect((await engine.lost).message).not.toBe('')
    for (const result of await ended) expect(result).toMatchObject({ status: 'rejected', reason: { reason: 'device-lost' } })
    await expect(engine.forward([segment(engine, slot, 'prompt', tokens(1, 1))])).rejects.toMatchObject({ reason: 'device-lost' })
    await expect(engine.load(loadRequest(plainModel, span))).rejects.toMatchObject({ reason: 'device-lost' })
    engine.close(slot)
    engine.unload()
    expect(engine.usage()).toMatchObject({ weightBytes: 0, kvBytes: 0, scratchBytes: 0, openSlots: 0 })
  })

  it('is not reported when the engine itself lets it go', async () => {
    const { engine, device } = await engineOfItsOwn()
    engine.dispose()
    await device.lost
    const first = await Promise.race([engine.lost.then(() => 'lost'), new Promise((resolve) => setTimeout(() => resolve('silent'), 20))])
    expect(first).toBe('silent')
  })
})

describe('measureMacsPerSecond', () => {
  it('finds a speed that a processor or a GPU can have', async () => {
    const { device } = await sharedGpu()
    const speed = await measureMacsPerSecond(device, readShader, nodeClock)
    expect(speed).toBeGreaterThan(1e6)
    expect(speed).toBeLessThan(1e15)
  })
})

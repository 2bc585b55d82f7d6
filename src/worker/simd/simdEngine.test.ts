import { expect, it } from 'vitest'
import { loadRequest } from '../../../test/support/engineRuns.ts'
import { engineSuite } from '../../../test/support/engineSuite.ts'
import { randomModel } from '../../../test/support/randomModel.ts'
import { createTestSimdEngine } from '../../../test/support/simdEngine.ts'
import { openSimdHost } from '../../node/index.ts'
import { createCpuEngine } from '../cpu/cpuEngine.ts'
import type { Engine, Segment } from '../engine.ts'
import { createSimdProcessor } from './simdProcessor.ts'

engineSuite('SIMD engine', () => createTestSimdEngine(1))
engineSuite('SIMD engine with 3 threads', () => createTestSimdEngine(3))

const model = randomModel({ seed: 5 })
const span = { firstLayer: 0, endLayer: model.manifest.config.layerCount }

it('ends a pass with not-loaded when the span is unloaded under it, whenever that is, and loads again', async () => {
  const host = await openSimdHost(2)
  const pause = () => new Promise<void>((resolve) => setImmediate(resolve))
  const engine = createCpuEngine({ processor: createSimdProcessor(host), nowMs: () => 0, pause })
  for (let turns = 0; turns < 60; turns += 4) {
    await engine.load(loadRequest(model, span))
    const opened = engine.open({ span, maxPositions: 32 })
    if (!opened.ok) throw new Error('no room')
    const segment: Segment = {
      slot: opened.value,
      kind: 'prompt',
      firstPosition: 0,
      input: { kind: 'tokens', ids: Uint32Array.of(1, 2, 3) },
      output: { kind: 'candidates', resultCount: 1, topK: 1 },
    }
    const passed = engine.forward([segment]).then(
      () => 'done',
      (error: { reason?: string }) => error.reason,
    )
    for (let turn = 0; turn < turns; turn++) await Promise.resolve()
    engine.unload()
    expect(['not-loaded', 'done']).toContain(await passed)
    if (turns === 0) expect(await passed).toBe('not-loaded')
  }
  await engine.load(loadRequest(model, span))
  expect(engine.usage().openSlots).toBe(0)
  engine.dispose()
})

it('says does-not-fit, in words, where WebAssembly cannot address the span', async () => {
  const engine = await createTestSimdEngine()
  const request = loadRequest(model, span, { kvPositions: 2 ** 28, memoryBytesMax: Number.MAX_SAFE_INTEGER })
  await expect(engine.load(request)).rejects.toMatchObject({
    reason: 'does-not-fit',
    message: expect.stringContaining('take fewer layers'),
  })
  engine.dispose()
})

it('stops downloading when the span is unloaded, and loads nothing after its end', async () => {
  const engine = await createTestSimdEngine()
  let tensors = 0
  const request = loadRequest(model, span, {
    loadTensor: (tensor, signal) => {
      if (++tensors === 3) engine.unload()
      return model.loadTensor(tensor, signal)
    },
  })
  await expect(engine.load(request)).rejects.toMatchObject({ reason: 'aborted' })
  expect(tensors).toBe(3)
  engine.dispose()
  await expect(engine.load(loadRequest(model, span))).rejects.toMatchObject({ reason: 'aborted' })
})

it('refuses tensors of another length than the manifest says', async () => {
  const engine = await createTestSimdEngine()
  const loadTensor: typeof model.loadTensor = async (tensor, signal) => {
    const bytes = await model.loadTensor(tensor, signal)
    return Uint8Array.of(...bytes, 0)
  }
  await expect(engine.load(loadRequest(model, span, { loadTensor }))).rejects.toThrow(/bytes/)
  engine.dispose()
})

it.each([1e19, 1e25, 3e38])('answers rows with a value of %d as the twin does', async (value) => {
  const behind = { firstLayer: 1, endLayer: span.endLayer }
  const rows = Float32Array.from({ length: model.manifest.config.width }, (_, i) => (i === 5 ? value : Math.sin(i)))
  const answer = async (engine: Engine) => {
    await engine.load(loadRequest(model, behind))
    const opened = engine.open({ span: behind, maxPositions: 32 })
    if (!opened.ok) throw new Error('no room')
    const input = { kind: 'rows', encoding: 'f32', rowCount: 1, bytes: new Uint8Array(rows.buffer) } as const
    const output = { kind: 'candidates', resultCount: 1, topK: 3 } as const
    const { outputs } = await engine.forward([{ slot: opened.value, kind: 'prompt', firstPosition: 0, input, output }])
    engine.dispose()
    return outputs[0]?.kind === 'candidates' ? outputs[0].positions.map(({ ids }) => ids) : null
  }
  expect(await answer(await createTestSimdEngine())).toEqual(await answer(createCpuEngine({ nowMs: () => 0 })))
})

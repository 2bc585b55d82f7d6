import { expect, it } from 'vitest'
import { loadRequest } from '../../../test/support/engineRuns.ts'
import { engineSuite } from '../../../test/support/engineSuite.ts'
import { randomModel } from '../../../test/support/randomModel.ts'
import { createTestSimdEngine } from '../../../test/support/simdEngine.ts'
import { openSimdHost } from '../../node/index.ts'
import { createCpuEngine } from '../cpu/cpuEngine.ts'
import type { Segment } from '../engine.ts'
import { createSimdProcessor } from './simdProcessor.ts'

engineSuite('SIMD engine', () => createTestSimdEngine(1))
engineSuite('SIMD engine with 3 threads', () => createTestSimdEngine(3))

const model = randomModel({ seed: 5 })
const span = { firstLayer: 0, endLayer: model.manifest.config.layerCount }

it('ends a pass with not-loaded when the span is unloaded under it, whenever that is, and loads again', async () => {
  const host = await openSimdHost(2)
  const pause = () => new Promise<void>((resolve) => setImmediate(resolve))
  const engine = createCpuEngine({ processor: createSimdProcessor(host, 'test'), nowMs: () => 0, pause })
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

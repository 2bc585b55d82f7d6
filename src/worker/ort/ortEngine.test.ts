import * as runtime from 'onnxruntime-web'
import { expect, it } from 'vitest'
import { engineSuite, loadRequest } from '../../../test/support/engineSuite.ts'
import { createTestOrtEngine } from '../../../test/support/ortEngine.ts'
import { randomModel } from '../../../test/support/randomModel.ts'
import type { Segment } from '../engine.ts'
import { createOrtEngine } from './ortEngine.ts'

engineSuite('WASM engine', createTestOrtEngine)

it('ends a pass with not-loaded when the span is unloaded under it, whenever that is, and loads again', async () => {
  const model = randomModel({ seed: 5 })
  const span = { firstLayer: 0, endLayer: model.manifest.config.layerCount }
  for (let turns = 0; turns < 60; turns += 4) {
    const pause = () => new Promise<void>((resolve) => setImmediate(resolve))
    const engine = createOrtEngine({ runtime, description: 'test', nowMs: () => 0, pause })
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
    await engine.load(loadRequest(model, span))
    expect(engine.usage().openSlots).toBe(0)
    engine.dispose()
  }
})

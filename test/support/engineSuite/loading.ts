/** Loads: memory to the byte, the span's tensors alone, and nothing held after a failure. */

import { expect, it } from 'vitest'
import { spanBytes } from '../../../src/model/index.ts'
import type { Engine, LoadRequest, Segment, Slot } from '../../../src/worker/index.ts'
import {
  config,
  cutSpans,
  expectReason,
  loadRequest,
  model,
  openSlot,
  plainRun,
  rejection,
  runSpans,
  tokens,
  whole,
} from '../engineRuns.ts'

export function loading(createEngine: () => Promise<Engine>): void {
  const totalBytes = (engine: Engine) => {
    const { weightBytes, kvBytes, scratchBytes } = engine.usage()
    return weightBytes + kvBytes + scratchBytes
  }

  it('counts memory to the byte: fits in what it uses, refuses one byte less, frees all', async () => {
    const engine = await createEngine()
    await engine.load(loadRequest(model, whole))
    const needed = totalBytes(engine)
    expect(needed).toBeGreaterThan(0)
    engine.unload()
    expect(totalBytes(engine)).toBe(0)
    await expectReason(engine.load(loadRequest(model, whole, { memoryBytesMax: needed - 1 })), 'does-not-fit')
    expect(totalBytes(engine)).toBe(0)
    await engine.load(loadRequest(model, whole, { memoryBytesMax: needed }))
    expect(totalBytes(engine)).toBe(needed)
    engine.dispose()
  })

  it('refuses work while nothing is loaded', async () => {
    const engine = await createEngine()
    const segment: Segment = {
      slot: 0,
      kind: 'prompt',
      firstPosition: 0,
      input: { kind: 'tokens', ids: tokens(1) },
      output: { kind: 'candidates', resultCount: 1, topK: 1 },
    }
    await expectReason(engine.forward([segment]), 'not-loaded')
    await engine.load(loadRequest(model, whole))
    engine.unload()
    await expectReason(engine.forward([segment]), 'not-loaded')
    engine.dispose()
  })

  it('loads only the tensors of its span, and reports progress up to their bytes', async () => {
    const engine = await createEngine()
    const span = { firstLayer: 1, endLayer: 2 }
    const loaded: string[] = []
    const progress: number[] = []
    let total = 0
    await engine.load(
      loadRequest(model, span, {
        loadTensor: (tensor, signal) => {
          loaded.push(tensor.name)
          return model.loadTensor(tensor, signal)
        },
        onProgress: (bytesLoaded, bytesTotal) => {
          progress.push(bytesLoaded)
          total = bytesTotal
        },
      }),
    )
    expect(loaded.every((name) => name.startsWith('blk.1.'))).toBe(true)
    expect(new Set(loaded).size).toBe(9)
    expect(total).toBe(spanBytes(model.manifest, span))
    expect(progress).toEqual([...progress].sort((a, b) => a - b))
    expect(progress.at(-1)).toBe(total)
    engine.dispose()
  })

  it('passes on what the source fails with, and holds nothing afterwards', async () => {
    const engine = await createEngine()
    const failure = new Error('the source broke')
    let count = 0
    const loadTensor: LoadRequest['loadTensor'] = async (tensor, signal) => {
      if (count++ === 5) throw failure
      return model.loadTensor(tensor, signal)
    }
    expect(await rejection(engine.load(loadRequest(model, whole, { loadTensor })))).toBe(failure)
    expect(totalBytes(engine)).toBe(0)
    await engine.load(loadRequest(model, whole))
    expect(totalBytes(engine)).toBeGreaterThan(0)
    engine.dispose()
  })

  it('stops loading when it is told to, and holds nothing afterwards', async () => {
    const engine = await createEngine()
    const abort = new AbortController()
    const loadTensor: LoadRequest['loadTensor'] = (tensor, signal) => {
      abort.abort()
      return model.loadTensor(tensor, signal)
    }
    await expectReason(engine.load(loadRequest(model, whole, { loadTensor, signal: abort.signal })), 'aborted')
    expect(totalBytes(engine)).toBe(0)
    engine.dispose()
  })

  it('gives equal bits when other engines hold the other layers', async () => {
    const single = await createEngine()
    await single.load(loadRequest(model, whole))
    const expected = await plainRun(single, tokens(17))
    single.dispose()
    const spans = cutSpans(config.layerCount, 2)
    const engines = await Promise.all(spans.map(() => createEngine()))
    const stages: { engine: Engine; slot: Slot }[] = []
    for (const [index, span] of spans.entries()) {
      const engine = engines[index]
      if (engine === undefined) throw new Error('an engine is missing')
      await engine.load(loadRequest(model, span))
      stages.push({ engine, slot: openSlot(engine, span) })
    }
    expect(await runSpans(stages, tokens(17), 'prompt')).toEqual(expected)
    for (const engine of engines) engine.dispose()
  })
}

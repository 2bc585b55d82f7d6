/** A draft model from the user's word to its end, over the worker's own code and an engine of a few lines. */

import type { Remote } from 'comlink'
import { describe, expect, it } from 'vitest'
import { detectedEngine as detected } from '../../test/support/detectedEngine.ts'
import { randomModel } from '../../test/support/randomModel.ts'
import { FakeEngine, fakeConfig } from '../../test/unit/chain/fakeEngine.ts'
import type { Manifest, Tokenizer } from '../model/index.ts'
import { GREEDY } from '../session/index.ts'
import { type ManifestHash, ManualClock, type ModelId, required, TabswarmError } from '../shared/index.ts'
import type { LoadRequest } from '../worker/index.ts'
import { DraftHost } from './draftHost.ts'
import { DraftModel, type DraftModelPorts } from './draftModel.ts'
import type { DraftWorkerApi } from './draftWorkerApi.ts'
import type { ModelText } from './modelLibrary.ts'
import type { DraftModelState } from './types.ts'

const modelId = 'small' as ModelId
const offer = { modelId, manifestHash: 'a'.repeat(64) as ManifestHash, name: 'Small', fileBytes: 1_000 }

function modelText(name: string, texts: readonly string[]): ModelText {
  const manifest: Manifest = { ...randomModel({ seed: 1 }).manifest, name, config: fakeConfig }
  const tokenizer = { vocabularySize: texts.length, tokenText: (id: number) => texts[id] ?? '' } as Tokenizer
  return { manifest, tokenizer, stripLeadingSpace: false, template: () => ({ render: () => '' }) }
}

const big = modelText('Big', ['a', 'b'])
const request = { target: big, maxPositions: 100, sampling: GREEDY, topK: 8 }

interface SetUp {
  readonly text?: ModelText
  readonly engine?: FakeEngine
}

/** With everything that was seen. */
function setUp({ text = modelText('Small', ['a', 'b']), engine = new FakeEngine() }: SetUp = {}) {
  const states: DraftModelState[] = []
  const seen = { started: 0, terminated: 0, stored: 0 }
  const clock = new ManualClock()
  const api = new DraftHost({
    openEngine: async () => ({ engine, detected }),
    clock,
    cache: { get: async () => null, put: async () => undefined, remove: async () => undefined },
    fetch: async () => new Response(),
    sha256: async () => new Uint8Array(32),
  })
  const ports: DraftModelPorts = {
    library: { text: async () => text, modelUrl: (id) => `https://here/models/${id}/file` },
    startWorker() {
      seen.started++
      return { api: api as DraftWorkerApi as Remote<DraftWorkerApi>, terminate: () => void seen.terminated++ }
    },
    target: async () => big,
    clock,
    onState: (state) => states.push(state),
    onStored: () => void seen.stored++,
  }
  return { draftModel: new DraftModel(ports, offer, 'auto'), states, seen, engine, clock }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))
const drafts = { limit: 31, countWorth: () => 3, signal: new AbortController().signal }

describe('a draft model', () => {
  it('is loaded whole, says so, and drafts', async () => {
    const { draftModel, states, seen, engine } = setUp()
    expect(draftModel.begin(request)).toBeNull()
    await settled()
    expect(states).toEqual([
      { kind: 'loading', modelId, bytesLoaded: 0, bytesTotal: 1_000, bytesFromCache: 0 },
      { kind: 'ready', modelId, engine: 'webgpu', adapter: 'Test adapter', memoryBytes: 0 },
    ])
    expect(seen).toEqual({ started: 1, terminated: 0, stored: 1 })
    const { drafter, report } = required(draftModel.begin(request), 'its part in an answer')
    drafter.append([1, 2, 3])
    await settled()
    expect((await drafter.draft(drafts)).length).toBeGreaterThan(0)
    expect(report()).toEqual({ modelId, problem: null })
    expect(engine.usage().openSlots).toBe(1)
    drafter.close()
    await settled()
    expect(engine.usage().openSlots).toBe(0)
  })

  it('is refused by name, before a worker is started, where its vocabulary is another', async () => {
    const { states, seen } = setUp({ text: modelText('Small', ['a', 'c']) })
    await settled()
    expect(states.at(-1)).toMatchObject({
      kind: 'failed',
      error: { reason: 'other-vocabulary', message: expect.stringMatching(/^Small cannot draft for Big/) },
    })
    expect(seen.started).toBe(0)
  })

  it('drafts nothing for an answer of a model with another vocabulary, and says why', async () => {
    const { draftModel } = setUp()
    await settled()
    const { drafter, report } = required(draftModel.begin({ ...request, target: modelText('Other', ['x']) }), 'its part in an answer')
    drafter.append([1, 2, 3])
    await settled()
    expect(drafter.draft(drafts)).toEqual([])
    expect(report().problem).toMatchObject({ reason: 'other-vocabulary', message: expect.stringMatching(/Other/) })
  })

  it('says why it does not fit, and ends its worker', async () => {
    class FullEngine extends FakeEngine {
      override load(_request: LoadRequest): Promise<void> {
        return Promise.reject(new TabswarmError('does-not-fit', 'the GPU has too little memory'))
      }
    }
    const { states, seen } = setUp({ engine: new FullEngine() })
    await settled()
    expect(states.at(-1)).toMatchObject({ kind: 'failed', error: { reason: 'does-not-fit' } })
    expect(seen.terminated).toBe(1)
  })

  it('is dropped with its reason when the GPU goes; the answer under way keeps going without it', async () => {
    const { draftModel, states, seen, engine } = setUp()
    await settled()
    const { drafter, report } = required(draftModel.begin(request), 'its part in an answer')
    drafter.append([1, 2, 3])
    await settled()
    engine.failNext = new TabswarmError('device-lost', 'the driver crashed')
    expect(await drafter.draft(drafts)).toEqual([])
    expect(report().problem).toEqual({ reason: 'device-lost', message: 'the driver crashed' })
    engine.loseDevice('the driver crashed')
    await settled()
    expect(states.at(-1)).toMatchObject({
      kind: 'failed',
      error: { reason: 'device-lost', message: expect.stringMatching(/load the model again/) },
    })
    expect(seen.terminated).toBe(1)
    expect(draftModel.begin(request)).toBeNull()
  })

  it('leaves out the answer that it has no memory for, and serves the next', async () => {
    const { draftModel } = setUp({ engine: new FakeEngine(150) })
    await settled()
    const [first, second] = [draftModel.begin(request), draftModel.begin(request)].map((each) => required(each, 'its part in an answer'))
    for (const each of [first, second]) each?.drafter.append([1, 2])
    await settled()
    expect(first?.report().problem).toBeNull()
    expect(second?.report().problem).toMatchObject({ reason: 'no-room' })
    first?.drafter.close()
    await settled()
    const third = required(draftModel.begin(request), 'its part in an answer')
    third.drafter.append([1, 2])
    await settled()
    expect(third.report().problem).toBeNull()
  })

  it('gives everything back at once when it is unloaded, also while it loads', async () => {
    for (const turns of [0, 1]) {
      const { draftModel, states, seen } = setUp()
      for (let turn = 0; turn < turns; turn++) await settled()
      draftModel.stop()
      await settled()
      expect(states.at(-1)).toEqual({ kind: 'off' })
      expect(seen.started).toBe(seen.terminated)
      expect(draftModel.begin(request)).toBeNull()
    }
  })
})

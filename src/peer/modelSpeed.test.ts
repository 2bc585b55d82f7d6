import type { Remote } from 'comlink'
import { describe, expect, it } from 'vitest'
import { modelConfig } from '../../test/support/modelConfig.ts'
import type { Manifest } from '../model/index.ts'
import type { ManifestHash, ModelId } from '../shared/index.ts'
import { type ModelSpeedPorts, measureModelSpeed, planFor } from './modelSpeed.ts'
import type { DetectedEngine, EngineWorkerApi, MeasureRequest } from './workerApi.ts'

const MODEL_ID = 'smollm2' as ModelId
const config = modelConfig({
  layerCount: 30,
  width: 576,
  headCount: 9,
  kvHeadCount: 3,
  headSize: 64,
  feedForwardWidth: 1536,
  vocabularySize: 49_152,
  contextLength: 8192,
})
const detected: DetectedEngine = {
  engine: 'webgpu',
  adapter: 'Apple M3',
  software: false,
  numericClass: 'webgpu apple',
  kernelVersion: 'wgsl-1',
  macsPerSecond: 40e9,
}
const speed = { prefill: [], decode: [] }

/** A worker that detects at once and measures when the test says so. */
function setUp(answers: { readonly detect?: Awaited<ReturnType<EngineWorkerApi['detect']>> } = {}) {
  const seen = { requests: [] as MeasureRequest[], terminated: 0, stored: 0 }
  let finish: () => void = () => undefined
  const api: Pick<EngineWorkerApi, 'detect' | 'measure'> = {
    detect: async () => answers.detect ?? { ok: true, value: detected },
    measure: (request) => {
      seen.requests.push(request)
      return new Promise((resolve) => {
        finish = () => resolve({ ok: true, value: speed })
      })
    },
  }
  const ports: ModelSpeedPorts = {
    library: { manifest: async () => ({ id: MODEL_ID, config }) as Manifest, modelUrl: (id) => `https://here/models/${id}/file` },
    startWorker: () => ({ api: api as Remote<EngineWorkerApi>, terminate: () => void seen.terminated++ }),
    manifestHash: async () => 'a'.repeat(64) as ManifestHash,
    onStored: () => void seen.stored++,
  }
  return { ports, seen, finish: () => finish() }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

describe('whole-model speed of a tab', () => {
  it('loads and times the model in a worker of its own, and ends it', async () => {
    const { ports, seen, finish } = setUp()
    const { result } = measureModelSpeed(ports, MODEL_ID, () => undefined)
    await settled()
    expect(seen.requests).toMatchObject([{ modelUrl: 'https://here/models/smollm2/file', plan: { prefillTokens: [64, 512] } }])
    expect(seen.terminated).toBe(0)
    finish()
    expect(await result).toEqual({ modelId: MODEL_ID, engine: 'webgpu', adapter: 'Apple M3', software: false, speed })
    expect(seen).toMatchObject({ terminated: 1, stored: 1 })
  })

  it('ends the worker at Stop, whatever it does', async () => {
    const { ports, seen } = setUp()
    const { result, stop } = measureModelSpeed(ports, MODEL_ID, () => undefined)
    await settled()
    stop()
    await expect(result).rejects.toMatchObject({ reason: 'cancelled' })
    expect(seen.terminated).toBe(1)
  })

  it('passes the reason on where there is no engine', async () => {
    const { ports, seen } = setUp({ detect: { ok: false, error: { reason: 'no-webgpu', message: 'use a current Chrome' } } })
    await expect(measureModelSpeed(ports, MODEL_ID, () => undefined).result).rejects.toMatchObject({ reason: 'no-webgpu' })
    expect(seen).toMatchObject({ terminated: 1, requests: [] })
  })

  it('leaves out long prompts on a slow device and beyond the context, and keeps the short one', () => {
    expect(planFor(config, 40e9).prefillTokens).toEqual([64, 512])
    expect(planFor(config, 0.4e9).prefillTokens).toEqual([64])
    expect(planFor({ ...config, contextLength: 256 }, 40e9).prefillTokens).toEqual([64])
  })
})

/**
 * Model speed: how many tokens a second this tab alone computes of a whole model. Its own worker for as long as it takes, so that Stop
 * gives the GPU back at once whatever is under way; what a contribution of the same tab does goes on beside it.
 */

import { proxy } from 'comlink'
import { layerMultiplyAccumulates, type ModelConfig } from '../model/index.ts'
import { type ManifestHash, type ModelId, TabswarmError } from '../shared/index.ts'
import type { SpeedPlan } from '../worker/index.ts'
import type { EngineWorker } from './hosting.ts'
import type { ModelLibrary } from './modelLibrary.ts'
import { unwrap } from './outcome.ts'
import type { MeasureOptions, ModelMeasurement, ModelSpeed, ModelSpeedProgress } from './types.ts'
import type { DetectedEngine } from './workerApi.ts'

export interface ModelSpeedPorts {
  readonly library: Pick<ModelLibrary, 'manifest' | 'modelUrl'>
  readonly startWorker: () => EngineWorker
  /** What the coordinator announced; rejects where it does not serve the model. */
  readonly manifestHash: (modelId: ModelId) => Promise<ManifestHash>
  /** Weights were kept, or might have been. */
  readonly onStored: () => void
}

const PLAN: SpeedPlan = { prefillTokens: [64, 512], decodeSessions: [1, 8], measureMs: 3_000, runsMin: 3, runsMax: 21 }
/** A prompt that takes longer at the measured pace of decode is left out, but for the shortest. Reading is faster, so this is generous. */
const PROMPT_SECONDS_MAX = 5

export function measureModelSpeed(
  ports: ModelSpeedPorts,
  modelId: ModelId,
  onProgress: (progress: ModelSpeedProgress) => void,
  options: MeasureOptions = {},
): ModelMeasurement {
  const worker = ports.startWorker()
  let stop: () => void = () => undefined
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(new TabswarmError('cancelled', 'the measurement was stopped'))
  })
  const result = Promise.race([measure(ports, worker, modelId, onProgress, options), stopped]).finally(() => {
    worker.terminate()
    ports.onStored()
  })
  return { result, stop }
}

async function measure(
  { library, manifestHash }: ModelSpeedPorts,
  { api }: EngineWorker,
  modelId: ModelId,
  onProgress: (progress: ModelSpeedProgress) => void,
  options: MeasureOptions,
): Promise<ModelSpeed> {
  onProgress({ kind: 'starting' })
  const manifest = await library.manifest(modelId, await manifestHash(modelId))
  const detected: DetectedEngine = unwrap(await api.detect(options.engine ?? 'auto', options.threads))
  const plan = options.plan ?? planFor(manifest.config, detected.macsPerSecond)
  const speed = unwrap(await api.measure({ manifest, modelUrl: library.modelUrl(modelId), plan }, proxy(onProgress)))
  return { modelId, engine: detected.engine, adapter: detected.adapter, software: detected.software, speed }
}

/** Exported for tests. */
export function planFor(config: ModelConfig, macsPerSecond: number): SpeedPlan {
  const secondsAToken = (config.layerCount * layerMultiplyAccumulates(config)) / macsPerSecond
  const prefillTokens = PLAN.prefillTokens
    .filter((tokens) => tokens <= config.contextLength)
    .filter((tokens, index) => index === 0 || tokens * secondsAToken <= PROMPT_SECONDS_MAX)
  return { ...PLAN, prefillTokens }
}

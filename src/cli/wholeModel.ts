/** What commands that compute in this process begin with: the model, in a process with the adapter's driver, and all its layers loaded. */

import type { ResolvedModel } from '../node/index.ts'
import type { Engine } from '../worker/index.ts'
import { type EngineAdapter, enterAdapter } from './engine.ts'
import { progressPrinter } from './output.ts'

/** Null where a child process with the adapter's driver has done the command: its exit code is this process's, nothing is left to do. */
export async function enterWithModel(adapter: EngineAdapter, name: string): Promise<ResolvedModel | null> {
  const exitCode = await enterAdapter(adapter)
  if (exitCode !== null) {
    process.exitCode = exitCode
    return null
  }
  const { resolveModel } = await import('../node/index.ts')
  return resolveModel(name, progressPrinter('model'))
}

/** Every layer, whatever memory that takes, and a KV cache of `kvPositions`. Rejects with an EngineError. */
export async function loadWholeModel(engine: Engine, { hashedManifest, source }: ResolvedModel, kvPositions: number): Promise<void> {
  const { createTensorLoader } = await import('../model/index.ts')
  const { nodeSha256 } = await import('../node/index.ts')
  const { manifest } = hashedManifest
  await engine.load({
    manifest,
    span: { firstLayer: 0, endLayer: manifest.config.layerCount },
    loadTensor: createTensorLoader({ source, sha256: nodeSha256 }),
    memoryBytesMax: Number.MAX_SAFE_INTEGER,
    kvPositions,
    onProgress: () => undefined,
    signal: new AbortController().signal,
  })
}

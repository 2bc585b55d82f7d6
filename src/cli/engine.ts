/** The engine in this process, for the commands that compute without a browser: `model run` and `bench engine`. */

import type { Engine } from '../worker/index.ts'
import { UsageError } from './output.ts'

/** `cpu` is the plain JavaScript twin, `wasm` what tabs without a GPU compute with; the others choose Dawn's driver. */
export const ENGINE_ADAPTERS = ['default', 'swiftshader', 'lavapipe', 'wasm', 'cpu'] as const
export type EngineAdapter = (typeof ENGINE_ADAPTERS)[number]

export function parseAdapter(text: string): EngineAdapter {
  const known = ENGINE_ADAPTERS.find((name) => name === text)
  if (known === undefined) throw new UsageError(`--adapter must be one of ${ENGINE_ADAPTERS.join(', ')}, not "${text}"`)
  return known
}

export function parseKvType(text: string): 'f32' | 'f16' {
  if (text === 'f32' || text === 'f16') return text
  throw new UsageError(`--kv must be f32 or f16, not "${text}"`)
}

/** Resolves with the exit code of the child that has the adapter's driver, or null where this process can go on itself. */
export async function enterAdapter(adapter: EngineAdapter): Promise<number | null> {
  if (adapter === 'cpu' || adapter === 'wasm') return null
  const { reexecWithGpu } = await import('../node/index.ts')
  return reexecWithGpu(adapter)
}

/** To be called in a process that `enterAdapter` has let in. Without `kv` the engine chooses what the adapter does best. */
export async function openEngine(adapter: EngineAdapter, kv?: 'f32' | 'f16'): Promise<Engine> {
  const { createCpuEngine, createWebGpuEngine } = await import('../worker/index.ts')
  const { nodeClock, openNodeGpu, readShader } = await import('../node/index.ts')
  if (adapter === 'cpu' || adapter === 'wasm') {
    if (kv === 'f16') throw new UsageError(`--adapter ${adapter} keeps keys and values in f32; leave --kv f16 out`)
    return adapter === 'cpu' ? createCpuEngine({ nowMs: () => nodeClock.nowMs() }) : openWasmEngine()
  }
  const { device, info } = await openNodeGpu()
  return createWebGpuEngine({ device, adapterInfo: info, shaders: readShader, clock: nodeClock, ...(kv === undefined ? {} : { kv }) })
}

/** What a tab without a GPU computes with. */
async function openWasmEngine(): Promise<Engine> {
  const { availableParallelism } = await import('node:os')
  const { createCpuEngine, createSimdProcessor, threadCount } = await import('../worker/index.ts')
  const { nodeClock, openSimdHost } = await import('../node/index.ts')
  const host = await openSimdHost(threadCount({ cores: availableParallelism(), isolated: true }))
  return createCpuEngine({ processor: createSimdProcessor(host), nowMs: () => nodeClock.nowMs() })
}

/**
 * Which engine a tab computes with. A hardware GPU is taken as it is: no processor comes near, and probing one would cost its owner
 * time for nothing. A software adapter and the WebAssembly engine are both measured, and the faster one serves.
 */

import { TabswarmError } from '../shared/index.ts'
import type { Engine } from './engine.ts'

/** `auto`: what is fastest here. */
export type EngineChoice = 'webgpu' | 'wasm' | 'auto'
export const engineChoices: readonly EngineChoice[] = ['webgpu', 'wasm', 'auto']

/** A ready engine and what a short probe of it said. */
export interface OpenedEngine {
  readonly engine: Engine
  /** What a person should read. */
  readonly adapter: string
  /** A processor computes: a software adapter, or WebAssembly. */
  readonly software: boolean
  /** In the decode mat-vec. */
  readonly macsPerSecond: number
}

export interface EngineOpeners {
  /** Rejects with `no-webgpu` or `no-adapter` where there is none. */
  readonly webgpu: () => Promise<OpenedEngine>
  readonly wasm: () => Promise<OpenedEngine>
}

/** Reasons for which a tab goes on without a GPU. */
const WITHOUT_GPU: readonly string[] = ['no-webgpu', 'no-adapter']

/** Opens what was chosen; of two that were opened the slower is disposed of. Rejects with what the openers reject with. */
export async function chooseEngine(choice: EngineChoice, open: EngineOpeners): Promise<OpenedEngine> {
  if (choice !== 'auto') return open[choice]()
  const gpu = await orNull(open.webgpu(), (error) => error instanceof TabswarmError && WITHOUT_GPU.includes(error.reason))
  if (gpu === null) return open.wasm()
  if (!gpu.software) return gpu
  // The software adapter computes, whatever became of the other.
  const wasm = await orNull(open.wasm(), () => true)
  if (wasm === null) return gpu
  const [faster, slower] = wasm.macsPerSecond > gpu.macsPerSecond ? [wasm, gpu] : [gpu, wasm]
  slower.engine.dispose()
  return faster
}

async function orNull<Value>(opening: Promise<Value>, isExpected: (error: unknown) => boolean): Promise<Value | null> {
  try {
    return await opening
  } catch (error) {
    if (isExpected(error)) return null
    throw error
  }
}

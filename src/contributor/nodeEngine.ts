/** openNodeEngine: the engines as a machine without a browser opens them: Dawn on its GPU, or WebAssembly on its processors. */

import { availableParallelism } from 'node:os'
import { nodeClock, openNodeGpu, openSimdHost, readShader } from '../node/index.ts'
import {
  chooseEngine,
  createCpuEngine,
  createSimdProcessor,
  createWebGpuEngine,
  type EngineChoice,
  KERNEL_VERSION,
  measureMacsPerSecond,
  measureSimdMacsPerSecond,
  type OpenedEngine,
  threadCount,
} from '../worker/index.ts'

/** A message waits no longer than this for a pass. */
const PAUSE_EVERY_MS = 4

/** Rejects with a TabswarmError. */
export async function openNodeEngine(choice: EngineChoice, threads?: number) {
  const { engine, adapter, software, macsPerSecond } = await chooseEngine(choice, { webgpu: openGpu, wasm: () => openWasm(threads) })
  const { engine: name, numericClass } = engine.info
  return { engine, detected: { engine: name, adapter, software, numericClass, kernelVersion: KERNEL_VERSION, macsPerSecond } }
}

async function openGpu(): Promise<OpenedEngine> {
  const { device, info, description, software } = await openNodeGpu()
  const engine = createWebGpuEngine({ device, adapterInfo: info, shaders: readShader, clock: nodeClock, compileAhead: true })
  return { engine, adapter: description, software, macsPerSecond: await measureMacsPerSecond(device, readShader, nodeClock) }
}

async function openWasm(asked?: number): Promise<OpenedEngine> {
  const nowMs = () => nodeClock.nowMs()
  const host = await openSimdHost(asked ?? threadCount({ cores: availableParallelism(), isolated: true }))
  const macsPerSecond = measureSimdMacsPerSecond(host, nowMs)
  const engine = createCpuEngine({ processor: createSimdProcessor(host), nowMs, pause: taskPause() })
  return { engine, adapter: engine.info.adapter, software: true, macsPerSecond }
}

/** Lets waiting messages be handled. */
function taskPause(): () => Promise<void> {
  let lastMs = 0
  return async () => {
    if (nodeClock.nowMs() - lastMs < PAUSE_EVERY_MS) return
    await new Promise((resolve) => setImmediate(resolve))
    lastMs = nodeClock.nowMs()
  }
}

/** The engines as a browser's worker opens them, with its GPU, its threads and its clock. For the workers' composition roots alone. */

import { type Clock, TabswarmError } from '../shared/index.ts'
import {
  chooseEngine,
  createCpuEngine,
  createSimdProcessor,
  createTuner,
  createWebGpuEngine,
  type EngineChoice,
  KERNEL_VERSION,
  measureMacsPerSecond,
  measureSimdMacsPerSecond,
  type OpenedEngine,
  openDevice,
  openTuningStore,
  threadCount,
} from './index.ts'
import { bundledShader } from './shaderBundle.ts'

/** Time origins of page and worker differ; milliseconds since the epoch don't. */
export const clock: Clock = {
  nowMs: () => performance.timeOrigin + performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
}

async function openWebGpu(): Promise<OpenedEngine> {
  // Absent in browsers without WebGPU, and in insecure contexts.
  const gpu: GPU | undefined = navigator.gpu
  if (gpu === undefined) {
    const remedy = 'use a current Chrome, Edge, Firefox or Safari'
    const message = self.isSecureContext
      ? `this browser offers no WebGPU; ${remedy}, and check that hardware acceleration is on`
      : 'browsers offer WebGPU on secure addresses only; open this page over https, or on localhost'
    throw new TabswarmError(self.isSecureContext ? 'no-webgpu' : 'insecure-context', message)
  }
  const opened = await openDevice(gpu)
  if (opened === null)
    throw new TabswarmError(
      'no-adapter',
      'the browser found no GPU that it may use; update the graphics driver, or switch hardware acceleration on',
    )
  const { device, adapter, description, software } = opened
  const adapterInfo = adapter.info
  const ports = { device, adapterInfo, shaders: bundledShader, clock }
  const tuner = createTuner({ ...ports, store: openTuningStore(), host: navigator.userAgent, kernelVersion: KERNEL_VERSION })
  // The page's `?tune=off` comes as part of this worker's name: it is known before any message.
  const engine = createWebGpuEngine({ ...ports, compileAhead: true, ...(!self.name.includes('tune=off') && { tuner }) })
  const macsPerSecond = await measureMacsPerSecond(device, bundledShader, clock)
  return { engine, adapter: description, software, macsPerSecond }
}

async function openWasm(asked?: number): Promise<OpenedEngine> {
  const { openSimdHost } = await import('./simd/openSimdHost.ts')
  const host = await openSimdHost(asked ?? threadCount({ cores: navigator.hardwareConcurrency, isolated: self.crossOriginIsolated }))
  const nowMs = () => clock.nowMs()
  const macsPerSecond = measureSimdMacsPerSecond(host, nowMs)
  const engine = createCpuEngine({ processor: createSimdProcessor(host), nowMs, pause: taskPause() })
  return { engine, adapter: engine.info.adapter, software: true, macsPerSecond }
}

/** A message waits no longer than this for a pass. */
const PAUSE_EVERY_MS = 4

/** Lets waiting messages be handled; a timer would wait four milliseconds. */
function taskPause(): () => Promise<void> {
  const { port1, port2 } = new MessageChannel()
  const waiting: (() => void)[] = []
  port1.onmessage = () => waiting.shift()?.()
  let lastMs = 0
  return async () => {
    if (clock.nowMs() - lastMs < PAUSE_EVERY_MS) return
    await new Promise<void>((resolve) => {
      waiting.push(resolve)
      port2.postMessage(null)
    })
    lastMs = clock.nowMs()
  }
}

/** Rejects with a TabswarmError. */
export async function openEngine(choice: EngineChoice, threads?: number) {
  const { engine, adapter, software, macsPerSecond } = await chooseEngine(choice, {
    webgpu: openWebGpu,
    wasm: () => openWasm(threads),
  })
  const { engine: name, numericClass } = engine.info
  // One version for the whole page: what a tab of another version computes is not mixed with this, whatever its engine.
  return { engine, detected: { engine: name, adapter, software, numericClass, kernelVersion: KERNEL_VERSION, macsPerSecond } }
}

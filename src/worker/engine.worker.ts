/** The Web Worker's composition root: real GPU, clock, cache and network for one EngineHost, offered to the page through comlink. */

import { expose } from 'comlink'
import { sha256Of, signatureVerifier } from '../network/index.ts'
import { EngineHost } from '../peer/index.ts'
import { type Clock, TabswarmError } from '../shared/index.ts'
import { createWebGpuEngine, KERNEL_VERSION, measureMacsPerSecond, openDevice, openWeightCache } from './index.ts'
import { bundledShader } from './shaderBundle.ts'

/** Time origins of page and worker differ; milliseconds since the epoch don't. */
const clock: Clock = {
  nowMs: () => performance.timeOrigin + performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
}

async function openEngine() {
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
  const engine = createWebGpuEngine({ device, adapterInfo: adapter.info, shaders: bundledShader, clock })
  const macsPerSecond = await measureMacsPerSecond(device, bundledShader, clock)
  const { numericClass } = engine.info
  return {
    engine,
    detected: { engine: 'webgpu' as const, adapter: description, software, numericClass, kernelVersion: KERNEL_VERSION, macsPerSecond },
  }
}

expose(
  new EngineHost({
    openEngine,
    clock,
    cache: openWeightCache(navigator.storage),
    fetch: (url, init) => fetch(url, init),
    verify: signatureVerifier(crypto.subtle),
    sha256: sha256Of(crypto.subtle),
  }),
)

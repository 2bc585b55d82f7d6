/** The SIMD kernels in Node: for engines in the terminal and in tests. */

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { SimdHelper, SimdHost } from '../../worker/index.ts'
import { compileSimdKernels } from './simdKernels.ts'

/** With `threads` threads in all, the caller's among them; the engine's `dispose` ends the others. Resolves when all are there. */
export async function openSimdHost(threads: number): Promise<SimdHost> {
  const shared = threads > 1
  const module = await WebAssembly.compile(await compileSimdKernels({ shared }))
  return { module, shared, helpers: await Promise.all(Array.from({ length: threads - 1 }, startHelper)) }
}

/** A worker needs no TypeScript for this: it has no loader of its own. */
const HELPER = `
const { parentPort } = require('node:worker_threads')
parentPort.on('message', ({ module, memory, thread }) => {
  new WebAssembly.Instance(module, { env: { memory } }).exports.serve(thread)
})`

async function startHelper(): Promise<SimdHelper> {
  const worker = new Worker(HELPER, { eval: true })
  await once(worker, 'online')
  worker.unref()
  return {
    start: (module, memory, thread) => worker.postMessage({ module, memory, thread }),
    terminate: () => void worker.terminate(),
  }
}

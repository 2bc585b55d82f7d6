/** The SIMD kernels in a browser's worker. The build puts them into this very file: it is asked for when a tab turns out to have no GPU. */

import { sharedKernels, unsharedKernels } from 'virtual:simd-kernels'
import { fromBase64Url, required } from '../../shared/index.ts'
import type { SimdHelper, SimdHost } from './machine.ts'

/** With `threads` threads in all, the caller's among them; more than one needs an isolated page. */
export async function openSimdHost(threads: number): Promise<SimdHost> {
  const shared = threads > 1
  const module = await WebAssembly.compile(required(fromBase64Url(shared ? sharedKernels : unsharedKernels), 'kernels'))
  return { module, shared, helpers: Array.from({ length: threads - 1 }, startHelper) }
}

function startHelper(): SimdHelper {
  const worker = new Worker(new URL('./helper.worker.ts', import.meta.url), { type: 'module' })
  return {
    start: (module, memory, thread) => worker.postMessage({ module, memory, thread }),
    terminate: () => worker.terminate(),
  }
}

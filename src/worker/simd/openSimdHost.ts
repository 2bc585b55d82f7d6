/** The SIMD kernels in a browser's worker. The build puts them into this very file: it is asked for when a tab turns out to have no GPU. */

import { sharedKernels, unsharedKernels } from 'virtual:simd-kernels'
import { fromBase64Url, required, TabswarmError } from '../../shared/index.ts'
import type { SimdHelper, SimdHost } from './machine.ts'

/**
 * With `threads` threads in all, the caller's among them; more than one needs an isolated page. Resolves when all are there, so that a speed
 * measured then is theirs together. Rejects with `no-simd` where the browser is too old.
 */
export async function openSimdHost(threads: number): Promise<SimdHost> {
  const shared = threads > 1
  const binary = required(fromBase64Url(shared ? sharedKernels : unsharedKernels), 'kernels')
  const module = await WebAssembly.compile(binary).catch((cause: unknown) => {
    const message = 'WebAssembly of this browser has no SIMD; use a current Chrome, Edge, Firefox or Safari'
    throw new TabswarmError('no-simd', message, { cause })
  })
  const helpers = await Promise.all(Array.from({ length: threads - 1 }, startHelper))
  return { module, shared, helpers: helpers.filter((helper) => helper !== null) }
}

/** Null where the browser gives no more threads: the others compute without it. */
async function startHelper(): Promise<SimdHelper | null> {
  const worker = new Worker(new URL('./helper.worker.ts', import.meta.url), { type: 'module' })
  const isThere = await new Promise<boolean>((resolve) => {
    worker.onmessage = () => resolve(true)
    worker.onerror = () => resolve(false)
  })
  if (!isThere) return null
  return {
    start: (module, memory, thread) => worker.postMessage({ module, memory, thread }),
    terminate: () => worker.terminate(),
  }
}

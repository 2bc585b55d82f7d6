/**
 * ONNX Runtime's WebAssembly build in a browser's worker, from this very origin: Vite emits its files as assets, and they are asked for
 * when a tab turns out to compute without a GPU, not before.
 */

import ortModuleUrl from 'onnxruntime-web/ort-wasm-simd-threaded.mjs?url'
import ortBinaryUrl from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url'
import type { OrtRuntime } from './ort/runtime.ts'

/** Downloads and starts it; once a worker, since its number of threads is fixed then. */
export async function startWasmRuntime(threads: number): Promise<OrtRuntime> {
  const { env, InferenceSession, Tensor } = await import('onnxruntime-web/wasm')
  env.wasm.wasmPaths = { mjs: ortModuleUrl, wasm: ortBinaryUrl }
  env.wasm.numThreads = threads
  return { InferenceSession, Tensor }
}

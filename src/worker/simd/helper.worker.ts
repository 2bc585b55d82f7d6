/** A thread beside the engine's: says that it is there, then runs the kernels over each memory that it is given, until the machine there is released. */

import type { SimdExports } from './machine.ts'

interface Start {
  readonly module: WebAssembly.Module
  readonly memory: WebAssembly.Memory
  readonly thread: number
}

self.onmessage = ({ data: { module, memory, thread } }: MessageEvent<Start>) => {
  const { serve } = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as SimdExports
  serve(thread)
}

self.postMessage('ready')

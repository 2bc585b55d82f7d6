/** A thread beside the engine's: says that it is there, then runs the kernels over each memory that it is given, until the machine there is released. */

import { instantiateKernels } from './machine.ts'

interface Start {
  readonly module: WebAssembly.Module
  readonly memory: WebAssembly.Memory
  readonly thread: number
}

self.onmessage = ({ data: { module, memory, thread } }: MessageEvent<Start>) => {
  instantiateKernels(module, memory).serve(thread)
}

self.postMessage('ready')

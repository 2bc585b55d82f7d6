/** node/wasm: the SIMD kernels in Node, without all else that only Node has. */

export { openSimdHost } from './simdHost.ts'
export { compileSimdKernels } from './simdKernels.ts'

/** worker: the engine of a span, see engine.ts. */

export { bestCandidates } from './cpu/candidates.ts'
export { type CpuEngineOptions, createCpuEngine } from './cpu/cpuEngine.ts'
export type {
  Candidates,
  Engine,
  EngineErrorReason,
  EngineInfo,
  EngineUsage,
  ForwardResult,
  LoadRequest,
  Segment,
  SegmentOutput,
  Slot,
} from './engine.ts'
export { EngineError } from './errors.ts'
export { KV_BLOCK_POSITIONS, kvBlockCount } from './kvBlocks.ts'
export { measureMacsPerSecond } from './webgpu/measureSpeed.ts'
export { type OpenedDevice, openDevice } from './webgpu/openDevice.ts'
export { createWebGpuEngine, KERNEL_VERSION, type WebGpuEngineOptions } from './webgpu/webGpuEngine.ts'
export { deleteWeightCache, measureWeightCache, openWeightCache, type WeightCache, type WeightStorage } from './weightCache.ts'

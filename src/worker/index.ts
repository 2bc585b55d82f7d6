/** worker: the engine of a span, see engine.ts. */

export { chooseEngine, type EngineChoice, engineChoices, type OpenedEngine } from './chooseEngine.ts'
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
  PassStats,
  Segment,
  SegmentOutput,
  Slot,
} from './engine.ts'
export { type EngineSpeed, measureEngineSpeed, type Speed, type SpeedPlan, type SpeedStep, speedPositions } from './engineSpeed.ts'
export { EngineError } from './errors.ts'
export { KV_BLOCK_POSITIONS, kvBlockCount } from './kvBlocks.ts'
export type { SimdHelper, SimdHost } from './simd/machine.ts'
export { measureSimdMacsPerSecond } from './simd/measureSpeed.ts'
export { createSimdProcessor } from './simd/simdProcessor.ts'
export { threadCount } from './simd/threads.ts'
export { openTuningStore, resetTuning } from './tuningStore.ts'
export { measureMacsPerSecond } from './webgpu/measureSpeed.ts'
export { type OpenDeviceOptions, type OpenedDevice, openDevice } from './webgpu/openDevice.ts'
export { createTuner, type Tuner, type TunerOptions, type TuningStore } from './webgpu/tune.ts'
export { tuningFor } from './webgpu/tuning.ts'
export { createWebGpuEngine, KERNEL_VERSION, type WebGpuEngineOptions } from './webgpu/webGpuEngine.ts'
export { deleteWeightCache, measureWeightCache, openWeightCache, type WeightCache, type WeightStorage } from './weightCache.ts'

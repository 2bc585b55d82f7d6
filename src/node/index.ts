/** node: what only Node has. Drivers, browsers, certificates, the model cache, the built web app. Import it late: it is heavy. */

export { type Certificate, lanAddresses, ownCertificate, readCertificate } from './certificate.ts'
export { launchChromium } from './chromium.ts'
export { openNodeGpu } from './gpu.ts'
export {
  ADAPTER_VARIABLE,
  environmentFor,
  type GpuAdapterName,
  type GpuEnvironment,
  probeEnvironment,
  reexecWithGpu,
} from './gpuEnvironment.ts'
export { type CatalogueEntry, catalogue, catalogueEntry } from './modelCatalogue.ts'
export { nodeClock, nodeSha256 } from './modelFile.ts'
export { isPulled, modelPath, type PullOptions, pullModel } from './modelStore.ts'
export { type Neighbor, openNeighbor } from './neighbor.ts'
export { openOnnxRuntime } from './onnxRuntime.ts'
export { type OpenedModel, openModel, type ResolvedModel, resolveModel } from './resolveModel.ts'
export { readShader } from './shaderFiles.ts'
export {
  latencyOf,
  openRequesterTab,
  openVolunteerTab,
  type RequesterTab,
  type TabOptions,
  type TimedAnswer,
  type VolunteerTab,
} from './tabs.ts'
export { openSimdHost } from './wasm/index.ts'
export { ensureWebApp } from './webApp.ts'

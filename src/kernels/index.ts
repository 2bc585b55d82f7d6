/** kernels: the WGSL kernels, one module each, and the device that compiles them. Knows tensors, no models and no peers. */

export {
  type AttentionBuffers,
  type AttentionOptions,
  type AttentionShape,
  attention,
  type BoundAttention,
  bindAttention,
  partialsBytes,
  splitCount,
} from './attention.ts'
export { candidates, candidatesWords, readCandidates, readNamed, TOP_K_LIMIT } from './candidates.ts'
export { embedding } from './embedding.ts'
export { expertCombine, expertMatvec, ROUTE_WORDS, routeExperts } from './experts.ts'
export { gatedActivation } from './gatedActivation.ts'
export { type Dispatch, defineKernel, foldGrid, type Kernel, KernelDevice, type WorkBinding } from './kernel.ts'
export {
  type BoundMatmul,
  bindMatmul,
  type MatmulBuffers,
  type MatmulForm,
  type MatmulShape,
  matmulRowsPadded,
  matmulTile,
} from './matmul.ts'
export {
  type BoundMatvec,
  bindMatvec,
  bindMatvecLazily,
  type GroupRows,
  groupRows,
  type MatvecBuffers,
  type MatvecShape,
  type MatvecVariant,
  matvec,
} from './matvec.ts'
export { defaultForm, formsFor, type MatvecForm, type MatvecTuning, type SubgroupInfo } from './matvecForm.ts'
export { packRows, unpackRows } from './packRows.ts'
export { rmsNorm } from './rmsNorm.ts'
export { KV_BLOCK, type KvType, kvBlockBytes, type RopeTable, ropeFrequencies, ropeKv, writeRopeAngles } from './ropeKv.ts'
export type { ShaderLibrary } from './shaderText.ts'
export { softCap } from './softCap.ts'
export { matrixBytes, PANEL_OUTPUTS, panelCount, panelWords, toPanels, weightLayout } from './weightLayout.ts'
export { GROUP_ROWS_MAX, ROW_WORDS, WORK_STRIDE_BYTES, type Work, writeWork } from './work.ts'

/** model: the GGUF file and everything read from it; knows no peers. */

export type {
  HashedManifest,
  LoadTensor,
  Manifest,
  ManifestTensor,
  ModelConfig,
  Span,
  TensorInfo,
  TensorType,
  WeightSource,
} from './types.ts'

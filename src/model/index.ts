/** model: the GGUF file and everything read from it; knows no peers. */

export {
  type ArchitectureTraits,
  architectureTraits,
  attentionWidths,
  type LayerRope,
  type LayerTraits,
  layerTraits,
} from './architecture.ts'
export type { ChatMessage, ToolCall, ToolDefinition } from './chatMessage.ts'
export { type ChatTemplate, createChatTemplate, encodePrompt } from './chatTemplate.ts'
export { readModel } from './config.ts'
export { ModelError, type ModelErrorReason } from './errors.ts'
export { Metadata, type MetadataValue } from './gguf/metadata.ts'
export { type GgufFile, type GgufTensor, readGguf } from './gguf/readGguf.ts'
export {
  buildManifest,
  canonicalJson,
  hashManifest,
  MANIFEST_BYTES_MAX,
  modelIdFromFileName,
  parseManifest,
  parseManifestJson,
} from './manifest.ts'
export {
  blockBytes,
  blockSize,
  dequantize,
  dequantizeInto,
  type Groups,
  groupedFormat,
  halfToFloat,
  readGroups,
  tensorTypes,
  unpackedBytes,
} from './quants.ts'
export {
  coversSpan,
  headMultiplyAccumulates,
  isFirstSpan,
  isLastSpan,
  layerMultiplyAccumulates,
  layerParts,
  sameSpan,
  spanBytes,
  spanParts,
} from './spans.ts'
export { EMBEDDING, HEAD, layerTensors, ROPE_DIVISORS } from './tensors.ts'
export { checkSameVocabulary } from './tokenizer/sameVocabulary.ts'
export { createTokenizer, type Tokenizer } from './tokenizer/tokenizer.ts'
export type {
  Architecture,
  HashedManifest,
  LoadTensor,
  Manifest,
  ManifestTensor,
  ModelConfig,
  ModelFile,
  Span,
  TensorInfo,
  TensorType,
  WeightSource,
} from './types.ts'
export type { FetchLike } from './weights/http.ts'
export { httpWeightSource, openHttpModelFile } from './weights/httpSource.ts'
export { createTensorLoader, type TensorCache } from './weights/tensorLoader.ts'

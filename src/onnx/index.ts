/** onnx: ONNX model files, written by us for ONNX Runtime to read. Knows no models of ours and no runtime. */

export {
  type OnnxAttribute,
  type OnnxExternalData,
  type OnnxInitializer,
  type OnnxModel,
  type OnnxNode,
  type OnnxType,
  type OnnxValue,
  onnxModel,
} from './model.ts'

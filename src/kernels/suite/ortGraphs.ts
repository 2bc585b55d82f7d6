/**
 * The graphs that ONNX Runtime is timed on: a case's own numbers in its forms (MatMulNBits, MatMul, GroupQueryAttention). `calls` equal
 * nodes a graph, so that one run is as many calls as one of our samples; of the last only the first row of outputs is read back.
 */

import { halfToFloat } from '../../model/index.ts'
import { type OnnxInitializer, type OnnxNode, onnxModel } from '../../onnx/index.ts'
import type { AttentionData, ProjectionData } from './caseData.ts'
import type { SuiteFormat } from './types.ts'

/** 0: ONNX Runtime computes in the activations' type (f32), as our kernels do. 4 would let it round activations to int8. */
export const ACCURACY_LEVEL = 0

const BLOCK = 32
/** Weights in f32, and what protobuf's writer copies of them, must fit beside everything else. */
const FLOAT_BYTES_MAX = 256 * 2 ** 20

export interface OrtGraph {
  readonly operator: string
  readonly accuracyLevel: number | null
  readonly model: Uint8Array<ArrayBuffer>
  /** Its outputs stay on the GPU, but for `first`: the first row of the last call. */
  readonly outputsKept: readonly string[]
}

/** Name of the output that is read back. */
export const READ_BACK = 'first'

/** A graph, or why ONNX Runtime has none for this format. */
export function projectionGraph(format: SuiteFormat, data: ProjectionData, calls: number): OrtGraph | { readonly reason: string } {
  const { inputs, outputs } = data
  if (format === 'f32') {
    if (data.weights.byteLength > FLOAT_BYTES_MAX)
      return { reason: `${megabytes(data.weights.byteLength)} MB of float32 weights are too much for one ONNX file` }
    const weights: OnnxInitializer = { name: 'w', type: 'f32', dims: [inputs, outputs], data: transposed(data) }
    return graphOf(data, calls, { opType: 'MatMul', inputs: ['x', 'w'], outputs: [] }, [weights], null)
  }
  const packed = format === 'q4_0' || format === 'q4_1' ? packNibbles(format, data) : format === 'q8_0' ? packBytes(data) : null
  if (packed === null)
    return { reason: `ONNX Runtime has no operator for weights in ${format.toUpperCase()} that computes with f32 activations` }
  const attributes = {
    K: { int: inputs },
    N: { int: outputs },
    bits: { int: format === 'q8_0' ? 8 : 4 },
    block_size: { int: BLOCK },
    accuracy_level: { int: ACCURACY_LEVEL },
  }
  const names = ['x', ...packed.map(({ name }) => name)]
  const node = { opType: 'MatMulNBits', domain: 'com.microsoft', inputs: names, outputs: [], attributes }
  return graphOf(data, calls, node, packed, ACCURACY_LEVEL)
}

function graphOf(
  { rows, inputs, outputs }: ProjectionData,
  calls: number,
  node: OnnxNode,
  initializers: readonly OnnxInitializer[],
  accuracyLevel: number | null,
): OrtGraph {
  const names = Array.from({ length: calls }, (_, call) => (call === calls - 1 && rows === 1 ? READ_BACK : `y${call}`))
  const nodes: OnnxNode[] = names.map((name) => ({ ...node, outputs: [name] }))
  const bounds: OnnxInitializer[] = []
  if (rows > 1) {
    nodes.push({ opType: 'Slice', inputs: [names.at(-1) ?? '', 'from', 'to', 'axes'], outputs: [READ_BACK] })
    for (const [name, value] of [
      ['from', 0n],
      ['to', 1n],
      ['axes', 0n],
    ] as const)
      bounds.push({ name, type: 'i64', dims: [1], data: BigInt64Array.of(value) })
  }
  const kept = names.filter((name) => name !== READ_BACK)
  const value = (name: string, dims: readonly number[]) => ({ name, type: 'f32' as const, dims })
  const model = onnxModel({
    nodes,
    initializers: [...initializers, ...bounds],
    inputs: [value('x', [rows, inputs])],
    outputs: [...kept.map((name) => value(name, [rows, outputs])), value(READ_BACK, [1, outputs])],
  })
  return { operator: node.opType, accuracyLevel, model, outputsKept: kept }
}

/** [inputs, outputs], as MatMul reads its second operand. */
function transposed({ weights, inputs, outputs }: ProjectionData): Float32Array<ArrayBuffer> {
  const source = new Float32Array(weights.buffer, weights.byteOffset, inputs * outputs)
  const result = new Float32Array(inputs * outputs)
  for (let output = 0; output < outputs; output++) {
    for (let input = 0; input < inputs; input++) result[input * outputs + output] = source[output * inputs + input] ?? 0
  }
  return result
}

/**
 * MatMulNBits' 4-bit form: byte j of a block holds elements 2j and 2j + 1 (GGML: j and j + 16), a scale a block, and for Q4_1 the zero
 * point z of x = (q − z) · scale, which the case's minima are whole multiples for. Q4_0's z is 8, the operator's default.
 */
function packNibbles(format: 'q4_0' | 'q4_1', { weights, inputs, outputs }: ProjectionData): OnnxInitializer[] {
  const blocksOfRow = inputs / BLOCK
  const blocks = outputs * blocksOfRow
  const [blockBytes, headerBytes] = format === 'q4_1' ? [20, 4] : [18, 2]
  const view = new DataView(weights.buffer, weights.byteOffset, weights.byteLength)
  const packed = new Uint8Array(16 * blocks)
  const scales = new Float32Array(blocks)
  const zeroPointBytes = Math.ceil(blocksOfRow / 2)
  const zeroPoints = new Uint8Array(outputs * zeroPointBytes)
  for (let block = 0; block < blocks; block++) {
    const at = block * blockBytes
    const scale = halfToFloat(view.getUint16(at, true))
    scales[block] = scale
    if (format === 'q4_1') {
      const column = block % blocksOfRow
      const index = Math.floor(block / blocksOfRow) * zeroPointBytes + (column >> 1)
      const zeroPoint = Math.round(-halfToFloat(view.getUint16(at + 2, true)) / scale)
      zeroPoints[index] = (zeroPoints[index] ?? 0) | (zeroPoint << (4 * (column & 1)))
    }
    for (let pair = 0; pair < 8; pair++) {
      const a = weights[at + headerBytes + 2 * pair] ?? 0
      const b = weights[at + headerBytes + 2 * pair + 1] ?? 0
      packed[16 * block + pair] = (a & 15) | ((b & 15) << 4)
      packed[16 * block + 8 + pair] = (a >> 4) | (b & 0xf0)
    }
  }
  const initializers: OnnxInitializer[] = [
    { name: 'b', type: 'u8', dims: [outputs, blocksOfRow, 16], data: packed },
    { name: 's', type: 'f32', dims: [blocks], data: scales },
  ]
  return format === 'q4_1' ? [...initializers, { name: 'z', type: 'u8', dims: [zeroPoints.length], data: zeroPoints }] : initializers
}

/** The 8-bit form: unsigned bytes around the default zero point of 128. */
function packBytes({ weights, inputs, outputs }: ProjectionData): OnnxInitializer[] {
  const blocksOfRow = inputs / BLOCK
  const blocks = outputs * blocksOfRow
  const view = new DataView(weights.buffer, weights.byteOffset, weights.byteLength)
  const packed = new Uint8Array(BLOCK * blocks)
  const scales = new Float32Array(blocks)
  for (let block = 0; block < blocks; block++) {
    const at = 34 * block
    scales[block] = halfToFloat(view.getUint16(at, true))
    for (let column = 0; column < BLOCK; column++) packed[BLOCK * block + column] = view.getInt8(at + 2 + column) + 128
  }
  return [
    { name: 'b', type: 'u8', dims: [outputs, blocksOfRow, BLOCK], data: packed },
    { name: 's', type: 'f32', dims: [blocks], data: scales },
  ]
}

/** GroupQueryAttention of one new position over a cache that already has room for it; no rotation, as our case has none. */
export function attentionGraph(kvType: 'f32' | 'f16', { positions, heads, kvHeads, headSize }: AttentionData): OrtGraph {
  const value = (name: string, dims: readonly number[]) => ({ name, type: kvType, dims })
  const cache = [1, kvHeads, positions, headSize]
  const model = onnxModel({
    nodes: [
      {
        opType: 'GroupQueryAttention',
        domain: 'com.microsoft',
        inputs: ['query', 'key', 'value', 'past_key', 'past_value', 'lengths', 'total'],
        outputs: [READ_BACK, 'present_key', 'present_value'],
        attributes: { num_heads: { int: heads }, kv_num_heads: { int: kvHeads } },
      },
    ],
    initializers: [],
    inputs: [
      value('query', [1, 1, heads * headSize]),
      value('key', [1, 1, kvHeads * headSize]),
      value('value', [1, 1, kvHeads * headSize]),
      value('past_key', cache),
      value('past_value', cache),
      { name: 'lengths', type: 'i32', dims: [1] },
      { name: 'total', type: 'i32', dims: [1] },
    ],
    outputs: [value(READ_BACK, [1, 1, heads * headSize]), value('present_key', cache), value('present_value', cache)],
  })
  return { operator: 'GroupQueryAttention', accuracyLevel: null, model, outputsKept: ['present_key', 'present_value'] }
}

/** What is given to it comes back on the GPU: how a tensor gets there without the host's own device. */
export function identityGraph(type: 'f32' | 'f16', dimensionCount: number): Uint8Array<ArrayBuffer> {
  const dims = Array.from({ length: dimensionCount }, (_, index) => `d${index}`)
  return onnxModel({
    nodes: [{ opType: 'Identity', inputs: ['x'], outputs: ['y'] }],
    initializers: [],
    inputs: [{ name: 'x', type, dims }],
    outputs: [{ name: 'y', type, dims }],
  })
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0)
}

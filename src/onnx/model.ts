/**
 * An ONNX model file from a description of its graph: what ONNX Runtime is given, both as a baseline of the kernel suite and as
 * an engine. Field numbers are those of onnx.proto3; the encoding of the wire is pbf's. Checks of the graph are ONNX Runtime's.
 */

import { PbfWriter } from 'pbf'
import { assert } from '../shared/index.ts'

export type OnnxType = 'f32' | 'u8' | 'i8' | 'i32' | 'i64' | 'bool' | 'f16'

/** Where a tensor's bytes lie when they are not in the model: a file that the session is given beside it (`externalData`). */
export interface OnnxExternalData {
  readonly location: string
  readonly byteOffset: number
  readonly byteLength: number
}

/** A constant of the graph; `data` is little-endian and row-major, of exactly as many bytes as `dims` and `type` say. */
export interface OnnxInitializer {
  readonly name: string
  readonly type: OnnxType
  readonly dims: readonly number[]
  readonly data: ArrayBufferView | OnnxExternalData
}

/** An input or output of the graph; a dimension that varies has a name. */
export interface OnnxValue {
  readonly name: string
  readonly type: OnnxType
  readonly dims: readonly (number | string)[]
}

export type OnnxAttribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly string: string }
  | { readonly ints: readonly number[] }

export interface OnnxNode {
  readonly opType: string
  /** `com.microsoft` for ONNX Runtime's own operators; '' (the default) for ONNX's. */
  readonly domain?: string
  readonly name?: string
  /** '' stands for an optional input that is left out. */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>
}

export interface OnnxModel {
  /** In an order in which each finds its inputs made. */
  readonly nodes: readonly OnnxNode[]
  readonly initializers: readonly OnnxInitializer[]
  readonly inputs: readonly OnnxValue[]
  readonly outputs: readonly OnnxValue[]
  /** Version of each domain's operators. */
  readonly opsets?: Readonly<Record<string, number>>
}

/** Version 8 of the format came with opset 15 and is read by every ONNX Runtime since 1.10. */
const IR_VERSION = 8
const OPSETS = { '': 17, 'com.microsoft': 1 }

const DATA_TYPES: Readonly<Record<OnnxType, { readonly id: number; readonly bytes: number }>> = {
  f32: { id: 1, bytes: 4 },
  u8: { id: 2, bytes: 1 },
  i8: { id: 3, bytes: 1 },
  i32: { id: 6, bytes: 4 },
  i64: { id: 7, bytes: 8 },
  bool: { id: 9, bytes: 1 },
  f16: { id: 10, bytes: 2 },
}

/** The file's bytes. */
export function onnxModel(model: OnnxModel): Uint8Array<ArrayBuffer> {
  const writer = new PbfWriter()
  writer.writeVarintField(1, IR_VERSION)
  writer.writeStringField(2, 'tabswarm')
  writer.writeMessage(7, writeGraph, model)
  for (const [domain, version] of Object.entries(model.opsets ?? OPSETS)) {
    writer.writeMessage(8, writeOpset, { domain, version })
  }
  return writer.finish().slice()
}

function writeOpset({ domain, version }: { domain: string; version: number }, writer: PbfWriter): void {
  writer.writeStringField(1, domain)
  writer.writeVarintField(2, version)
}

function writeGraph({ nodes, initializers, inputs, outputs }: OnnxModel, writer: PbfWriter): void {
  for (const node of nodes) writer.writeMessage(1, writeNode, node)
  writer.writeStringField(2, 'graph')
  for (const initializer of initializers) writer.writeMessage(5, writeInitializer, initializer)
  for (const value of inputs) writer.writeMessage(11, writeValue, value)
  for (const value of outputs) writer.writeMessage(12, writeValue, value)
}

function writeNode(node: OnnxNode, writer: PbfWriter): void {
  for (const name of node.inputs) writer.writeStringField(1, name)
  for (const name of node.outputs) writer.writeStringField(2, name)
  if (node.name !== undefined) writer.writeStringField(3, node.name)
  writer.writeStringField(4, node.opType)
  for (const entry of Object.entries(node.attributes ?? {})) writer.writeMessage(5, writeAttribute, entry)
  if (node.domain !== undefined) writer.writeStringField(7, node.domain)
}

function writeAttribute([name, value]: [string, OnnxAttribute], writer: PbfWriter): void {
  writer.writeStringField(1, name)
  if ('float' in value) {
    writer.writeFloatField(2, value.float)
    writer.writeVarintField(20, 1)
  } else if ('int' in value) {
    writer.writeVarintField(3, value.int)
    writer.writeVarintField(20, 2)
  } else if ('string' in value) {
    writer.writeStringField(4, value.string)
    writer.writeVarintField(20, 3)
  } else {
    for (const each of value.ints) writer.writeVarintField(8, each)
    writer.writeVarintField(20, 7)
  }
}

function writeInitializer({ name, type, dims, data }: OnnxInitializer, writer: PbfWriter): void {
  const bytes = dims.reduce((product, size) => product * size, DATA_TYPES[type].bytes)
  assert(data.byteLength === bytes, `initializer ${name} has ${data.byteLength} bytes; [${dims.join(', ')}] of ${type} take ${bytes}`)
  for (const size of dims) writer.writeVarintField(1, size)
  writer.writeVarintField(2, DATA_TYPES[type].id)
  writer.writeStringField(8, name)
  if (!('location' in data)) {
    writer.writeBytesField(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    return
  }
  const entries = { location: data.location, offset: String(data.byteOffset), length: String(data.byteLength) }
  for (const entry of Object.entries(entries)) writer.writeMessage(13, writeStringEntry, entry)
  writer.writeVarintField(14, 1)
}

function writeStringEntry([key, value]: [string, string], writer: PbfWriter): void {
  writer.writeStringField(1, key)
  writer.writeStringField(2, value)
}

function writeValue({ name, type, dims }: OnnxValue, writer: PbfWriter): void {
  writer.writeStringField(1, name)
  writer.writeMessage(2, writeType, { type, dims })
}

function writeType(value: Pick<OnnxValue, 'type' | 'dims'>, writer: PbfWriter): void {
  writer.writeMessage(1, writeTensorType, value)
}

function writeTensorType({ type, dims }: Pick<OnnxValue, 'type' | 'dims'>, writer: PbfWriter): void {
  writer.writeVarintField(1, DATA_TYPES[type].id)
  writer.writeMessage(2, writeShape, dims)
}

function writeShape(dims: readonly (number | string)[], writer: PbfWriter): void {
  for (const size of dims) writer.writeMessage(1, writeDimension, size)
}

function writeDimension(size: number | string, writer: PbfWriter): void {
  if (typeof size === 'number') writer.writeVarintField(1, size)
  else writer.writeStringField(2, size)
}

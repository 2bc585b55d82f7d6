/**
 * The header of a GGUF file (versions 2 and 3, little-endian) from its first bytes: magic, counts, metadata, tensor table.
 * Every length is bounded before it is believed. Throws NeedMoreBytes when the window is short, else ModelError.
 * Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */

import { ModelError } from '../errors.ts'
import { Cursor } from './cursor.ts'
import { type GgmlType, ggmlType, removedTypeName } from './ggmlTypes.ts'
import * as limits from './limits.ts'
import type { MetadataArray, MetadataValue, NumberArray, ScalarType } from './metadata.ts'

/** As the table says it: the offset still counts from the start of the data part. */
export interface TensorEntry {
  readonly name: string
  readonly type: GgmlType
  readonly shape: readonly number[]
  readonly dataOffset: number
}

export interface Header {
  readonly version: number
  readonly byteLength: number
  readonly metadata: ReadonlyMap<string, MetadataValue>
  readonly tensors: readonly TensorEntry[]
}

/** @param fileBytes length of the whole file: no table may promise more than is there. */
export function parseHeader(window: Uint8Array, fileBytes: number): Header {
  const cursor = new Cursor(window)
  const version = parseMagic(cursor)
  const tensorCount = cursor.size(limits.TENSORS_MAX, 'the number of tensors')
  const keyCount = cursor.size(limits.KEYS_MAX, 'the number of metadata keys')
  const bounds: Bounds = { fileBytes, objectsLeft: limits.ARRAY_OBJECTS_MAX }
  const metadata = new Map<string, MetadataValue>()
  for (let index = 0; index < keyCount; index++) {
    const key = parseKey(cursor)
    if (metadata.has(key)) throw malformed(`has the metadata key ${quote(key)} twice`)
    metadata.set(key, parseValue(cursor, cursor.uint32(), key, bounds))
  }
  const tensors: TensorEntry[] = []
  const names = new Set<string>()
  for (let index = 0; index < tensorCount; index++) {
    const tensor = parseTensor(cursor)
    if (names.has(tensor.name)) throw malformed(`has the tensor ${quote(tensor.name)} twice`)
    names.add(tensor.name)
    tensors.push(tensor)
  }
  return { version, byteLength: cursor.offset, metadata, tensors }
}

function parseMagic(cursor: Cursor): number {
  if (cursor.uint32() !== 0x46554747)
    throw new ModelError('not-gguf', 'this is not a GGUF file: it does not begin with "GGUF"; give a .gguf file')
  const version = cursor.uint32()
  if (version === 2 || version === 3) return version
  if ((version & 0xffff) === 0 && version !== 0)
    throw new ModelError('unsupported', 'this GGUF file is big-endian; convert the model again on a little-endian machine')
  throw new ModelError(
    'unsupported',
    `this GGUF file has version ${version}; versions 2 and 3 are read: convert the model with a current converter`,
  )
}

function parseKey(cursor: Cursor): string {
  const key = cursor.text(cursor.size(limits.KEY_BYTES_MAX, 'the length of a metadata key'))
  if (key === '' || key.includes('\ufffd')) throw malformed('has a metadata key that is empty or not UTF-8')
  return key
}

const scalarTypes: readonly (ScalarType | 'array')[] = [
  'uint8',
  'int8',
  'uint16',
  'int16',
  'uint32',
  'int32',
  'float32',
  'bool',
  'string',
  'array',
  'uint64',
  'int64',
  'float64',
]

function valueType(id: number, key: string): ScalarType | 'array' {
  const type = scalarTypes[id]
  if (type === undefined) throw malformed(`gives ${quote(key)} the unknown value type ${id}`)
  return type
}

/** What arrays may still take. */
interface Bounds {
  readonly fileBytes: number
  objectsLeft: number
}

function parseValue(cursor: Cursor, typeId: number, key: string, bounds: Bounds): MetadataValue {
  const type = valueType(typeId, key)
  switch (type) {
    case 'string':
      return parseString(cursor)
    case 'bool':
      return parseBool(cursor, key)
    case 'array':
      return parseArray(cursor, key, bounds, 1)
    default:
      return cursor[type]()
  }
}

function parseString(cursor: Cursor): string {
  return cursor.text(cursor.size(limits.STRING_BYTES_MAX, 'the length of a string'))
}

function parseBool(cursor: Cursor, key: string): boolean {
  const byte = cursor.uint8()
  if (byte > 1) throw malformed(`gives ${quote(key)} a boolean of ${byte}`)
  return byte === 1
}

/** The fewest bytes that one element can take, to refuse a count that the file cannot hold before anything is allocated. */
const elementBytesMin: Record<ScalarType | 'array', number> = {
  uint8: 1,
  int8: 1,
  uint16: 2,
  int16: 2,
  uint32: 4,
  int32: 4,
  float32: 4,
  bool: 1,
  string: 8,
  array: 12,
  uint64: 8,
  int64: 8,
  float64: 8,
}

const numberArrays: Record<Exclude<ScalarType, 'string' | 'bool'>, new (buffer: ArrayBuffer) => NumberArray> = {
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  uint32: Uint32Array,
  int32: Int32Array,
  float32: Float32Array,
  uint64: BigUint64Array,
  int64: BigInt64Array,
  float64: Float64Array,
}

function parseArray(cursor: Cursor, key: string, bounds: Bounds, depth: number): MetadataArray {
  if (depth > limits.ARRAY_DEPTH_MAX) throw malformed(`nests arrays in ${quote(key)} deeper than ${limits.ARRAY_DEPTH_MAX}`)
  const elementType = valueType(cursor.uint32(), key)
  const count = cursor.size(limits.ARRAY_LENGTH_MAX, `the length of ${quote(key)}`)
  const bytesMin = count * elementBytesMin[elementType]
  if (cursor.offset + bytesMin > bounds.fileBytes)
    throw new ModelError('truncated', `the file ends inside ${quote(key)}, an array of ${count} elements; download it again`)
  if (elementType === 'string' || elementType === 'bool' || elementType === 'array') takeObjects(bounds, count, key)
  switch (elementType) {
    case 'string':
      return { elementType, values: fill(count, () => parseString(cursor)) }
    case 'bool':
      return { elementType, values: fill(count, () => parseBool(cursor, key)) }
    case 'array':
      return { elementType, values: fill(count, () => parseArray(cursor, key, bounds, depth + 1)) }
    default:
      return { elementType, values: new numberArrays[elementType](cursor.copy(bytesMin)) }
  }
}

function takeObjects(bounds: Bounds, count: number, key: string): void {
  bounds.objectsLeft -= count
  if (bounds.objectsLeft < 0)
    throw new ModelError(
      'too-large',
      `the metadata's arrays hold more than ${limits.ARRAY_OBJECTS_MAX} strings, booleans and arrays (in ${quote(key)}); the file is broken`,
    )
}

/** Grows with what is really there, so that a false count costs no memory. */
function fill<T>(count: number, next: () => T): T[] {
  const values: T[] = []
  for (let index = 0; index < count; index++) values.push(next())
  return values
}

function parseTensor(cursor: Cursor): TensorEntry {
  const name = cursor.text(cursor.size(limits.TENSOR_NAME_BYTES_MAX, 'the length of a tensor name'))
  if (name === '' || name.includes('\ufffd')) throw malformed('has a tensor name that is empty or not UTF-8')
  const dimensionCount = cursor.uint32()
  if (dimensionCount < 1 || dimensionCount > limits.DIMENSIONS_MAX)
    throw malformed(`gives ${quote(name)} ${dimensionCount} dimensions; 1 to ${limits.DIMENSIONS_MAX} are possible`)
  const shape: number[] = []
  let elements = 1
  for (let axis = 0; axis < dimensionCount; axis++) {
    const size = cursor.size(limits.ELEMENTS_MAX, `a dimension of ${quote(name)}`)
    elements *= size
    if (size === 0) throw malformed(`gives ${quote(name)} a dimension of 0`)
    if (elements > limits.ELEMENTS_MAX)
      throw new ModelError('too-large', `the tensor ${quote(name)} has more than 2^47 elements; the file is broken`)
    shape.push(size)
  }
  return {
    name,
    type: tensorType(cursor.uint32(), name),
    shape,
    dataOffset: cursor.size(Number.MAX_SAFE_INTEGER, `the offset of ${quote(name)}`),
  }
}

function tensorType(id: number, name: string): GgmlType {
  const type = ggmlType(id)
  if (type !== undefined) return type
  const old = removedTypeName(id)
  if (old !== undefined)
    throw new ModelError('unsupported', `the tensor ${quote(name)} has the type ${old}, which GGML has removed; convert the model again`)
  throw malformed(`gives ${quote(name)} the unknown tensor type ${id}`)
}

export function malformed(what: string): ModelError {
  return new ModelError('malformed', `the GGUF file ${what}; it is broken: download or convert it again`)
}

/** Names out of a file may be long and hold anything; errors show a printable start of them. */
export function quote(name: string): string {
  const shown = name.length > 80 ? `${name.slice(0, 80)}…` : name
  return JSON.stringify(shown)
}

/**
 * The key-value part of a GGUF file, read through getters that check the type: every reader of metadata gets either the
 * value it expects, nothing, or a ModelError that names the key.
 */

import { ModelError } from '../errors.ts'

export type ScalarType =
  | 'uint8'
  | 'int8'
  | 'uint16'
  | 'int16'
  | 'uint32'
  | 'int32'
  | 'float32'
  | 'bool'
  | 'string'
  | 'uint64'
  | 'int64'
  | 'float64'

export type NumberArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigUint64Array
  | BigInt64Array

export type MetadataArray =
  | { readonly elementType: Exclude<ScalarType, 'string' | 'bool'>; readonly values: NumberArray }
  | { readonly elementType: 'string'; readonly values: readonly string[] }
  | { readonly elementType: 'bool'; readonly values: readonly boolean[] }
  | { readonly elementType: 'array'; readonly values: readonly MetadataArray[] }

/** 64-bit integers are numbers where a double holds them exactly, else bigints. */
export type MetadataValue = string | number | bigint | boolean | MetadataArray

export class Metadata {
  readonly #values: ReadonlyMap<string, MetadataValue>

  constructor(values: ReadonlyMap<string, MetadataValue>) {
    this.#values = values
  }

  keys(): string[] {
    return [...this.#values.keys()]
  }

  get(key: string): MetadataValue | undefined {
    return this.#values.get(key)
  }

  string(key: string): string | undefined {
    const value = this.#values.get(key)
    if (value === undefined || typeof value === 'string') return value
    throw wrongType(key, 'a string')
  }

  boolean(key: string): boolean | undefined {
    const value = this.#values.get(key)
    if (value === undefined || typeof value === 'boolean') return value
    throw wrongType(key, 'a boolean')
  }

  /** A finite number of any width. */
  number(key: string): number | undefined {
    const value = this.#values.get(key)
    if (value === undefined || (typeof value === 'number' && Number.isFinite(value))) return value
    throw wrongType(key, 'a finite number')
  }

  /** A whole number within [min, max]. */
  integer(key: string, min: number, max: number): number | undefined {
    const value = this.number(key)
    if (value === undefined || (Number.isSafeInteger(value) && value >= min && value <= max)) return value
    throw new ModelError('malformed', `the file's ${key} is ${value}, not a whole number from ${min} to ${max}; get the file again`)
  }

  strings(key: string): readonly string[] | undefined {
    const value = this.#values.get(key)
    if (value === undefined) return undefined
    if (typeof value === 'object' && value.elementType === 'string') return value.values
    throw wrongType(key, 'an array of strings')
  }

  numbers(key: string): Exclude<NumberArray, BigUint64Array | BigInt64Array> | undefined {
    const value = this.#values.get(key)
    if (value === undefined) return undefined
    if (typeof value === 'object' && value.elementType !== 'string' && value.elementType !== 'bool' && value.elementType !== 'array') {
      const { values } = value
      if (!(values instanceof BigUint64Array || values instanceof BigInt64Array)) return values
    }
    throw wrongType(key, 'an array of numbers')
  }
}

function wrongType(key: string, expected: string): ModelError {
  return new ModelError('malformed', `the file's ${key} is not ${expected}; get the file again, or convert it with a current converter`)
}

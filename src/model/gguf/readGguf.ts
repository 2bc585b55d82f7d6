/**
 * Opens a GGUF file through ranges: reads a first window, and a longer one as long as the header goes on. Then the tensor
 * table is checked against the file: alignment, sizes, bounds, no overlaps. Nothing of the weights is read.
 */

import { ModelError, throwIfAborted } from '../errors.ts'
import type { ModelFile } from '../types.ts'
import { NeedMoreBytes } from './cursor.ts'
import { ALIGNMENT_MAX, HEADER_BYTES_MAX, WINDOW_BYTES_FIRST } from './limits.ts'
import { Metadata } from './metadata.ts'
import { type Header, malformed, parseHeader, quote, type TensorEntry } from './parseHeader.ts'

/** A tensor of any GGML type; `type` is its name. See TensorInfo for those that can be computed with. */
export interface GgufTensor {
  readonly name: string
  readonly type: string
  /** GGML's order: `shape[0]` is the contiguous axis. */
  readonly shape: readonly number[]
  /** From the start of the file. */
  readonly byteOffset: number
  readonly byteLength: number
}

export interface GgufFile {
  readonly version: number
  readonly fileBytes: number
  /** Magic, metadata and tensor table, without the padding after them. */
  readonly headerBytes: Uint8Array
  readonly metadata: Metadata
  readonly tensors: readonly GgufTensor[]
}

/** Reads the header of `file`. Rejects with a ModelError. */
export async function readGguf(file: ModelFile, signal: AbortSignal): Promise<GgufFile> {
  const lengthMax = Math.min(file.byteLength, HEADER_BYTES_MAX)
  let window: Uint8Array = new Uint8Array(0)
  let wanted = WINDOW_BYTES_FIRST
  for (;;) {
    throwIfAborted(signal, 'reading the model file')
    window = await extend(file, window, Math.min(wanted, lengthMax), signal)
    try {
      return check(parseHeader(window, file.byteLength), window, file.byteLength)
    } catch (error) {
      if (!(error instanceof NeedMoreBytes)) throw error
      if (window.byteLength === file.byteLength) throw truncated(file.byteLength)
      if (window.byteLength === HEADER_BYTES_MAX)
        throw new ModelError(
          'too-large',
          `the file's header is longer than ${HEADER_BYTES_MAX} bytes; it is broken or not meant for this program`,
        )
      // Parsing starts over, so the window doubles: the work stays within twice the header.
      wanted = Math.max(error.byteLength, 2 * window.byteLength)
    }
  }
}

async function extend(file: ModelFile, window: Uint8Array, byteLength: number, signal: AbortSignal): Promise<Uint8Array> {
  if (byteLength <= window.byteLength) return window
  const added = await file.read({ byteOffset: window.byteLength, byteLength: byteLength - window.byteLength }, signal)
  const longer = new Uint8Array(byteLength)
  longer.set(window)
  longer.set(added, window.byteLength)
  return longer
}

function truncated(fileBytes: number): ModelError {
  return new ModelError('truncated', `the GGUF file ends inside its header, after ${fileBytes} bytes; download it again`)
}

function check(header: Header, window: Uint8Array, fileBytes: number): GgufFile {
  const metadata = new Metadata(header.metadata)
  const alignment = metadata.integer('general.alignment', 1, ALIGNMENT_MAX) ?? 32
  if ((alignment & (alignment - 1)) !== 0) throw malformed(`asks for an alignment of ${alignment}, which is not a power of two`)
  const dataStart = Math.ceil(header.byteLength / alignment) * alignment
  const tensors = header.tensors.map((entry) => place(entry, dataStart, alignment, fileBytes))
  refuseOverlaps(tensors)
  return { version: header.version, fileBytes, headerBytes: window.slice(0, header.byteLength), metadata, tensors }
}

function place(entry: TensorEntry, dataStart: number, alignment: number, fileBytes: number): GgufTensor {
  const { name, type, shape, dataOffset } = entry
  const columns = shape[0] ?? 1
  if (columns % type.blockElements !== 0)
    throw malformed(`has rows of ${columns} elements in ${quote(name)}, not a multiple of ${type.name}'s block of ${type.blockElements}`)
  const elements = shape.reduce((product, size) => product * size, 1)
  const byteLength = (elements / type.blockElements) * type.blockBytes
  const byteOffset = dataStart + dataOffset
  if (dataOffset % alignment !== 0) throw malformed(`places ${quote(name)} at ${dataOffset}, not a multiple of the alignment ${alignment}`)
  if (byteOffset + byteLength > fileBytes)
    throw new ModelError(
      'truncated',
      `the file has ${fileBytes} bytes, but its tensor ${quote(name)} would end at ${byteOffset + byteLength}; download it again`,
    )
  return { name, type: type.name, shape, byteOffset, byteLength }
}

function refuseOverlaps(tensors: readonly GgufTensor[]): void {
  const ordered = [...tensors].sort((a, b) => a.byteOffset - b.byteOffset)
  for (const [index, tensor] of ordered.entries()) {
    const before = ordered[index - 1]
    if (before !== undefined && before.byteOffset + before.byteLength > tensor.byteOffset)
      throw malformed(`lets the tensors ${quote(before.name)} and ${quote(tensor.name)} overlap`)
  }
}

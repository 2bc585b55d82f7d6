/**
 * Bundle: several frames in one message, as rule F20 lays them out. Rows that a pass computed for many sessions leave together, come together
 * and share the next stage's pass; one by one the first would be computed alone, and the others after it.
 */

import { concatBytes } from '../shared/index.ts'
import { BUNDLE_BYTES_MAX } from './limits.ts'

/** No frame begins so: their magic is 54 53. */
export const BUNDLE_MAGIC = [0x54, 0x42] as const
/** Before each frame: its length, u32. */
const LENGTH_BYTES = 4

/** How many of the first frames go into the next message, at least one. */
export function bundledCount(frames: readonly Uint8Array[]): number {
  let bytes: number = BUNDLE_MAGIC.length
  for (const [index, frame] of frames.entries()) {
    bytes += LENGTH_BYTES + frame.byteLength
    if (bytes > BUNDLE_BYTES_MAX) return Math.max(1, index)
  }
  return frames.length
}

/** The message that carries these frames: one alone as it is, without a copy. */
export function messageOf(frames: readonly Uint8Array[]): Uint8Array {
  const [first] = frames
  if (first !== undefined && frames.length === 1 && !isBundle(first)) return first
  const parts = frames.flatMap((frame) => [lengthOf(frame), frame])
  return concatBytes([Uint8Array.from(BUNDLE_MAGIC), ...parts])
}

/** The frames of a message, each with bytes of its own; null: it says that it is a bundle and is none, or is too long for one. */
export function framesOf(message: Uint8Array): Uint8Array[] | null {
  if (!isBundle(message)) return [message]
  if (message.byteLength > BUNDLE_BYTES_MAX) return null
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength)
  const frames: Uint8Array[] = []
  let at: number = BUNDLE_MAGIC.length
  while (at < message.byteLength) {
    if (at + LENGTH_BYTES > message.byteLength) return null
    const begin = at + LENGTH_BYTES
    const end = begin + view.getUint32(at, true)
    if (end === begin || end > message.byteLength) return null
    frames.push(message.slice(begin, end))
    at = end
  }
  return frames.length === 0 ? null : frames
}

function isBundle(bytes: Uint8Array): boolean {
  return bytes[0] === BUNDLE_MAGIC[0] && bytes[1] === BUNDLE_MAGIC[1]
}

function lengthOf({ byteLength }: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(LENGTH_BYTES)
  new DataView(bytes.buffer).setUint32(0, byteLength, true)
  return bytes
}

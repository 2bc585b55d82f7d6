/**
 * The hash of an activation log and of receipts, position by position, independent of batches and frames. Rule V7 of SPEC.md.
 *
 *   h(p) = SHA-256(h(p−1) ‖ p as u32 little-endian ‖ kind (1 prompt, 2 decode) ‖ the row's bytes),  h(first − 1) = 32 zero bytes
 */

import type { RowKind } from './rows.ts'

/** What is hashed for `position`; `before` is the hash of the one before, 32 bytes. */
export function rowHashInput(before: Uint8Array, position: number, kind: RowKind, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const input = new Uint8Array(37 + bytes.byteLength)
  input.set(before, 0)
  new DataView(input.buffer).setUint32(32, position, true)
  input[36] = kind === 'prompt' ? 1 : 2
  input.set(bytes, 37)
  return input
}

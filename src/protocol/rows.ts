/** Rows of activations on the wire: their kinds and encodings. */

/** Which numeric path computes a row; drafts are decode. The log remembers it, replay repeats it. */
export type RowKind = 'prompt' | 'decode'

/**
 * How a row of f32 [width] (width even) lies on the wire, little-endian.
 * - `f32`: width × f32.
 * - `f16e`: i32 exponent e, then width × f16 mantissas m; value = m × 2^e. e is the least for which no |m| exceeds 2^15;
 *   a row of zeros has e = 0. So nothing overflows, whatever the residual's magnitude.
 */
export type RowEncoding = 'f32' | 'f16e'

/** Bytes of one row. */
export function rowBytes(encoding: RowEncoding, width: number): number {
  return encoding === 'f32' ? 4 * width : 4 + 2 * width
}

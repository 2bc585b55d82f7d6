/** Cases from outside (a command line, a link, a file): what is refused, why, and with which bounds. */

import { TabswarmError } from '../../shared/index.ts'
import { fits, formatType, isSuiteFormat, weightBytes } from './formats.ts'
import type { SuiteCase } from './types.ts'

export type SuiteErrorReason =
  /** A case that no kernel computes; the message says what it must be. */
  | 'bad-case'
  /** A file or link that is none of ours, or holds too much. */
  | 'bad-file'
  /** Beyond what this adapter can hold or bind. */
  | 'does-not-fit'
  /** The result is not what the reference says; it is not timed. */
  | 'wrong-result'
  | 'cancelled'

export class SuiteError extends TabswarmError<SuiteErrorReason> {
  constructor(reason: SuiteErrorReason, message: string, options?: { cause?: unknown }) {
    super(reason, message, options)
    this.name = 'SuiteError'
  }
}

/** Of a matrix: beyond any model's, and small enough that a typing error does not fill the memory. */
export const SHAPE_MAX = 262_144
export const WEIGHT_BYTES_MAX = 2 ** 31
export const ROWS_MAX = 2048
export const POSITIONS_MAX = 131_072
/** Rows of one decode group. */
const MATVEC_ROWS_MAX = 8
/** Head sizes that the attention kernels take: whole 16 bytes of either cache, which are 8 halves. */
const HEAD_SIZE_MAX = 256
const HEAD_SIZE_STEP = 8
/** Cases of one run: all presets, kernels and formats are fewer. */
export const CASES_MAX = 4096

/** Throws `bad-case`. */
export function checkCase(entry: SuiteCase): void {
  const { kernel, format, shape, rows } = entry
  const refuse = (why: string): never => {
    throw new SuiteError('bad-case', `${kernel} ${format} [${shape.join(', ')}], ${rows} rows: ${why}`)
  }
  const whole = (value: number | undefined, max: number) => value !== undefined && Number.isSafeInteger(value) && value >= 1 && value <= max
  if (!isSuiteFormat(format)) refuse(`the format "${format}" is unknown`)
  if (kernel === 'attention_decode') {
    const [positions, heads = 0, kvHeads = 0, headSize = 0] = shape
    if (shape.length !== 4) refuse('the shape of attention_decode is [positions, query heads, KV heads, head size]')
    if (!whole(positions, POSITIONS_MAX)) refuse(`positions go from 1 to ${POSITIONS_MAX}`)
    if (!whole(heads, 1024) || !whole(kvHeads, 1024) || heads % kvHeads !== 0) refuse('query heads must be a multiple of KV heads')
    if (!whole(headSize, HEAD_SIZE_MAX) || headSize % HEAD_SIZE_STEP !== 0)
      refuse(`a head size of ${headSize} is no multiple of ${HEAD_SIZE_STEP} up to ${HEAD_SIZE_MAX}`)
    if (format !== 'f32' && format !== 'f16') refuse('the KV cache is of f32 or f16')
    if (rows !== 1) refuse('decode attention is timed with one row')
    return
  }
  const [outputs = 0, inputs = 0] = shape
  if (shape.length !== 2 || !whole(outputs, SHAPE_MAX) || !whole(inputs, SHAPE_MAX))
    refuse(`the shape is [outputs, inputs], each from 1 to ${SHAPE_MAX}`)
  if (!fits(format, inputs)) refuse(`${inputs} inputs are no whole blocks of ${formatType(format)}`)
  if (weightBytes(format, outputs, inputs) > WEIGHT_BYTES_MAX) refuse('the weights take more than 2 GiB')
  const rowsMax = kernel === 'matvec' ? MATVEC_ROWS_MAX : ROWS_MAX
  if (!whole(rows, rowsMax)) refuse(`rows go from 1 to ${rowsMax}`)
}

/** Floating-point operations and least bytes read and written by one call; a multiply-add is two operations. */
export function caseWork({ kernel, format, shape, rows }: SuiteCase): { readonly flops: number; readonly bytes: number } {
  if (kernel === 'attention_decode') {
    const [positions = 0, heads = 0, kvHeads = 0, headSize = 0] = shape
    const kvBytes = 2 * positions * kvHeads * headSize * (format === 'f16' ? 2 : 4)
    return { flops: 4 * positions * heads * headSize * rows, bytes: kvBytes + 2 * 4 * rows * heads * headSize }
  }
  const [outputs = 0, inputs = 0] = shape
  return { flops: 2 * outputs * inputs * rows, bytes: weightBytes(format, outputs, inputs) + 4 * rows * (outputs + inputs) }
}

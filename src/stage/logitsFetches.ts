/**
 * LogitsFetches: all logits of the position that a last stage has computed last, for a driver whose choice its candidates leave open. The stage computes that row
 * once more from what came in, so that nothing large is kept: only the last rows' input. It passes by log, receipts and windows. Rules S24 … S26 of
 * protocol/SPEC.md.
 */

import { FETCHABLE_ROWS, type FetchFrame, FRAME_BYTES_MAX, HEADER_BYTES, type LogitsFrame, type RowKind } from '../protocol/index.ts'
import { required } from '../shared/index.ts'
import type { Segment } from '../worker/engine.ts'
import type { TakenRows } from './rowQueue.ts'

/** Answers that a repair may lose, and a driver ask for again. */
const FETCHES_SPARE = 16

/** A row to be computed again. */
export interface FetchedRow {
  readonly position: number
  readonly kind: RowKind
  readonly input: Segment['input']
}

/** Behind the first id, as many logits as a frame holds. */
const FRAME_LOGITS_MAX = (FRAME_BYTES_MAX - HEADER_BYTES) / 4 - 1

export class LogitsFetches {
  readonly #rows: FetchedRow[] = []
  /** How many are answered still: one for each row that was computed, and some. */
  #left = FETCHES_SPARE
  #wanted: FetchFrame | null = null

  /** Rows that go into a pass: their inputs are kept, in bytes of their own. */
  took({ firstPosition, rowCount, kind, input }: TakenRows): void {
    while ((this.#rows.at(-1)?.position ?? -1) >= firstPosition) this.#rows.pop()
    for (let row = Math.max(0, rowCount - FETCHABLE_ROWS); row < rowCount; row++)
      this.#rows.push({ position: firstPosition + row, kind, input: rowOf(input, row) })
    this.#rows.splice(0, this.#rows.length - FETCHABLE_ROWS)
  }

  computed(rowCount: number): void {
    this.#left += rowCount
  }

  /** The driver asks, perhaps before the rows or a truncation have come. */
  ask(frame: FetchFrame): void {
    this.#wanted = frame
  }

  /** The driver asks anew over a repaired chain. */
  forget(): void {
    this.#wanted = null
  }

  /** The row that is to be computed again: it was asked for, and is the last of that epoch. Null: none. */
  due(epoch: number, computed: number): FetchedRow | null {
    const wanted = this.#wanted
    if (wanted === null || this.#left === 0 || wanted.epoch !== epoch || wanted.position !== computed - 1) return null
    return this.#rows.find(({ position }) => position === wanted.position) ?? null
  }

  /** Its logits, for the driver that asked: none where it has taken the position back meanwhile. */
  answer(values: Float32Array, epoch: number, computed: number): LogitsFrame[] {
    const wanted = this.#wanted
    if (this.due(epoch, computed) === null || wanted === null) return []
    this.#wanted = null
    this.#left--
    const { sessionId, position } = wanted
    const frames: LogitsFrame[] = []
    for (let first = 0; first < values.length; first += FRAME_LOGITS_MAX) {
      const payload = logitsPayload(first, values.subarray(first, first + FRAME_LOGITS_MAX))
      frames.push({ type: 'logits', sessionId, epoch, position, payload })
    }
    return frames
  }
}

function logitsPayload(first: number, values: Float32Array): Uint8Array {
  const payload = new Uint8Array(4 + 4 * values.length)
  const view = new DataView(payload.buffer)
  view.setUint32(0, first, true)
  for (const [index, value] of values.entries()) view.setFloat32(4 + 4 * index, value, true)
  return payload
}

function rowOf(input: Segment['input'], row: number): Segment['input'] {
  if (input.kind === 'tokens') return { kind: 'tokens', ids: Uint32Array.of(required(input.ids[row], `row ${row}`)) }
  const stride = input.bytes.byteLength / input.rowCount
  return { ...input, rowCount: 1, bytes: input.bytes.slice(row * stride, (row + 1) * stride) }
}

/** RowQueue: rows of one session that came and wait for a pass, in order. A pass may take a part of a frame. */

import type { RowsFrame } from '../protocol/index.ts'
import { assert } from '../shared/index.ts'
import type { Segment } from '../worker/engine.ts'
import type { LoggedRow } from './activationLog.ts'
import { namedPart, type PassRows, wantedOf } from './outputFrames.ts'

export interface TakenRows extends PassRows {
  readonly input: Segment['input']
}

interface Waiting {
  readonly frame: RowsFrame
  /** Rows of the frame that count. */
  readonly rowCount: number
}

export class RowQueue {
  readonly #frames: Waiting[] = []
  /** Rows of the first frame that are taken already. */
  #taken = 0
  #rowCount = 0

  /** Rows that wait. */
  get rowCount(): number {
    return this.#rowCount
  }

  /** Kind of the next row; null when none waits. */
  get nextKind(): RowsFrame['kind'] | null {
    return this.#frames[0]?.frame.kind ?? null
  }

  /** Adds the frame's first `rowCount` rows. */
  push(frame: RowsFrame, rowCount: number): void {
    this.#frames.push({ frame, rowCount })
    this.#rowCount += rowCount
  }

  /** Takes up to `rowsMax` rows of the first frame. */
  take(rowsMax: number): TakenRows {
    const waiting = this.#frames[0]
    assert(waiting !== undefined && rowsMax > 0, `take ${rowsMax} rows of ${this.#rowCount}`)
    const { frame, rowCount } = waiting
    const first = this.#taken
    const end = Math.min(rowCount, first + rowsMax)
    this.#taken = end
    this.#rowCount -= end - first
    if (end === rowCount) {
      this.#frames.shift()
      this.#taken = 0
    }
    const resultCount = wantedOf(frame, first, end)
    const resultEnd = end - (frame.rowCount - frame.resultCount)
    return {
      epoch: frame.epoch,
      kind: frame.kind,
      firstPosition: frame.firstPosition + first,
      rowCount: end - first,
      resultCount,
      named: namedPart(frame.named ?? null, frame.resultCount, resultEnd - resultCount, resultEnd),
      input: inputOf(frame, first, end),
    }
  }

  /** Forgets all but the first `length` rows; returns how many that were. */
  truncate(length: number): number {
    const forgotten = Math.max(0, this.#rowCount - length)
    this.#rowCount -= forgotten
    for (let left = forgotten; left > 0; ) {
      const last = this.#frames.pop()
      assert(last !== undefined, 'rows without a frame')
      const rows = last.rowCount - (this.#frames.length === 0 ? this.#taken : 0)
      if (rows > left) this.#frames.push({ ...last, rowCount: last.rowCount - left })
      else if (this.#frames.length === 0) this.#taken = 0
      left -= Math.min(rows, left)
    }
    return forgotten
  }
}

function inputOf(frame: RowsFrame, first: number, end: number): Segment['input'] {
  const stride = frame.payload.byteLength / frame.rowCount
  const bytes = frame.payload.subarray(first * stride, end * stride)
  if (frame.encoding === 'tokens') return { kind: 'tokens', ids: tokenIds(bytes) }
  return { kind: 'rows', encoding: frame.encoding, rowCount: end - first, bytes }
}

/** The frame's first `rowCount` rows, views of it. */
export function frameRows({ kind, rowCount: all, resultCount, payload }: RowsFrame, rowCount: number): LoggedRow[] {
  const stride = payload.byteLength / all
  const rows: LoggedRow[] = []
  for (let row = 0; row < rowCount; row++)
    rows.push({ kind, wanted: row >= all - resultCount, bytes: payload.subarray(row * stride, (row + 1) * stride), named: null })
  return rows
}

/** u32 little-endian, wherever the bytes lie. */
export function tokenIds(bytes: Uint8Array): Uint32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const ids = new Uint32Array(bytes.byteLength / 4)
  for (let index = 0; index < ids.length; index++) ids[index] = view.getUint32(4 * index, true)
  return ids
}

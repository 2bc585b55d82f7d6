/**
 * KeptLogs: rows of parts that have ended, until the coordinator has said that it needs them no more, LOG_KEPT_MS at most: it may challenge
 * them. They count in the stage's budget, and are the first to go when that is short: then the challenge stays unanswered. Rules V15 and V20 of
 * protocol/SPEC.md.
 */

import { type Span, sameSpan } from '../model/index.ts'
import { type AuditTable, encodeAuditRows, LOG_KEPT_MS, type SendLog } from '../protocol/index.ts'
import type { CancelTimer, Clock, SessionId } from '../shared/index.ts'
import type { ActivationLog, LoggedRow } from './activationLog.ts'

/** Parts of all sessions: a busy stage ends one or two a second, of which most are released after some. */
const LOGS_MAX = 256

export interface EndedPart {
  readonly sessionId: SessionId
  readonly span: Span
  readonly input: ActivationLog
  readonly output: ActivationLog
  /** Bytes of a row of each, where it has any. */
  readonly rowBytes: { readonly input: number; readonly output: number }
}

export type WantedRows = Pick<SendLog, 'sessionId' | 'span' | 'inputEnd' | 'outputFirst' | 'outputEnd'>

export class KeptLogs {
  readonly #clock: Clock
  /** In the order of their ends. */
  readonly #parts = new Map<EndedPart, CancelTimer>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get count(): number {
    return this.#parts.size
  }

  /** Takes both logs over. */
  keep(part: EndedPart): void {
    this.#parts.set(
      part,
      this.#clock.after(LOG_KEPT_MS, () => this.#drop(part)),
    )
    if (this.#parts.size > LOGS_MAX) this.dropOldest()
  }

  /** AuditRows of what is wanted; null where some of it is not there. */
  encode({ sessionId, span, inputEnd, outputFirst, outputEnd }: WantedRows): Uint8Array<ArrayBuffer> | null {
    const part = [...this.#parts.keys()].find((one) => one.sessionId === sessionId && sameSpan(one.span, span))
    if (part === undefined) return null
    const [input, output] = [rowsOf(part.input, 0, inputEnd), rowsOf(part.output, outputFirst, outputEnd)]
    if (input === null || output === null) return null
    return encodeAuditRows({ input: tableOf(input, part.rowBytes.input), output: tableOf(output, part.rowBytes.output) })
  }

  release(sessionId: SessionId): void {
    for (const part of [...this.#parts.keys()]) if (part.sessionId === sessionId) this.#drop(part)
  }

  /** Gives all memory back. */
  drop(): void {
    for (const part of [...this.#parts.keys()]) this.#drop(part)
  }

  /** False where there is none. */
  dropOldest(): boolean {
    const [oldest] = this.#parts.keys()
    if (oldest !== undefined) this.#drop(oldest)
    return oldest !== undefined
  }

  #drop(part: EndedPart): void {
    this.#parts.get(part)?.()
    this.#parts.delete(part)
    part.input.drop()
    part.output.drop()
  }
}

function rowsOf(log: ActivationLog, first: number, end: number): readonly LoggedRow[] | null {
  return first <= end && end <= log.keptLength ? log.rows(first, end) : null
}

function tableOf(rows: readonly LoggedRow[], rowBytes: number): AuditTable {
  return { rowBytes, rows: rows.map(({ kind, bytes }) => ({ kind, given: bytes.byteLength > 0, bytes })) }
}

/** The forms of batches: a batch as clients read it, and the lines of its output and its error file. */

import type { BatchRecord, BatchStatus } from '../../store/index.ts'
import type { BatchFault, BatchLine } from './batchInput.ts'

/** What of a batch is sealed. */
export interface BatchHeader {
  readonly metadata: Readonly<Record<string, string>> | null
  readonly errors: readonly BatchFault[]
}

const ENDED: readonly BatchStatus[] = ['completed', 'failed', 'expired', 'cancelled']

export function isEnded({ status }: Pick<BatchRecord, 'status'>): boolean {
  return ENDED.includes(status)
}

export function batchForm(batch: BatchRecord, createdAtMs: number, { metadata, errors }: BatchHeader) {
  const { id, endpoint, inputFile, outputFile, errorFile, status, times, endsAtMs, total, completed, failed } = batch
  const at = (name: BatchStatus) => secondsOf(times[name])
  return {
    id,
    object: 'batch',
    endpoint,
    errors: errors.length === 0 ? null : { object: 'list', data: errors },
    input_file_id: inputFile,
    completion_window: '24h',
    status,
    // Files that are still written are not shown.
    output_file_id: isEnded(batch) && completed > 0 ? outputFile : null,
    error_file_id: isEnded(batch) && failed > 0 ? errorFile : null,
    created_at: Math.floor(createdAtMs / 1_000),
    in_progress_at: at('in_progress'),
    expires_at: secondsOf(endsAtMs),
    finalizing_at: at('finalizing'),
    completed_at: at('completed'),
    failed_at: at('failed'),
    expired_at: at('expired'),
    cancelling_at: at('cancelling'),
    cancelled_at: at('cancelled'),
    request_counts: { total, completed, failed },
    metadata,
  }
}

export interface LineAnswer {
  /** Of the answer, as batches have them. */
  readonly id: string
  readonly response: { readonly status_code: number; readonly request_id: string; readonly body: unknown } | null
  /** Why there is no response. */
  readonly error: { readonly code: string; readonly message: string } | null
}

/** A line of JSON, with its end. */
export function answerLine({ customId }: BatchLine, { id, response, error }: LineAnswer): string {
  return `${JSON.stringify({ id, custom_id: customId, response, error })}\n`
}

function secondsOf(atMs: number | undefined): number | null {
  return atMs === undefined ? null : Math.floor(atMs / 1_000)
}

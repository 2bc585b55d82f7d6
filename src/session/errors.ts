/** SessionError: why a generation could not be done. The message names the stage at fault and what a person can do. */

import type { FailureReason } from '../protocol/index.ts'
import { TabswarmError } from '../shared/index.ts'

export type SessionErrorReason =
  | FailureReason
  /** Nothing was heard of the chain for longer than it ever took. */
  | 'timeout'
  /** The prompt does not fit the session's positions. */
  | 'prompt-too-long'
  /** Options of the request that make no sense, such as a temperature below zero. */
  | 'bad-request'
  | 'cancelled'

export class SessionError extends TabswarmError<SessionErrorReason> {
  /** Which stage of the chain failed, where one is to blame. */
  readonly stageIndex: number | null

  constructor(reason: SessionErrorReason, message: string, options?: { cause?: unknown; stageIndex?: number }) {
    super(reason, message, options)
    this.name = 'SessionError'
    this.stageIndex = options?.stageIndex ?? null
  }
}

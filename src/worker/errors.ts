/** EngineError: what may go wrong while a span is loaded or computed; `reason` is for programs. */

import { TabswarmError } from '../shared/index.ts'
import type { EngineErrorReason } from './engine.ts'

export class EngineError extends TabswarmError<EngineErrorReason> {
  constructor(reason: EngineErrorReason, message: string, options?: { cause?: unknown }) {
    super(reason, message, options)
    this.name = 'EngineError'
  }
}

/** ModelError: whatever may be wrong with a model file, its manifest or its download. The message says what to do. */

import { TabswarmError } from '../shared/index.ts'

export type ModelErrorReason =
  /** The bytes are not a GGUF file at all. */
  | 'not-gguf'
  /** The file ends before its own tables say it does. */
  | 'truncated'
  /** The file contradicts itself or the format. */
  | 'malformed'
  /** A count or size beyond what this program accepts. */
  | 'too-large'
  /** A well-formed file that this program cannot run or tokenize; the message names the feature. */
  | 'unsupported'
  | 'bad-manifest'
  /** The bytes that came are not those that the manifest or the catalogue names. */
  | 'wrong-hash'
  | 'download-failed'
  /** The server does not serve parts of a file. */
  | 'no-ranges'
  | 'no-chat-template'
  /** Its token ids stand for other texts than those of the model that it shall draft for. */
  | 'other-vocabulary'
  | 'bad-messages'
  | 'not-found'
  | 'aborted'

export class ModelError extends TabswarmError<ModelErrorReason> {
  constructor(reason: ModelErrorReason, message: string, options?: { cause?: unknown }) {
    super(reason, message, options)
    this.name = 'ModelError'
  }
}

/** Throws `aborted` when the signal has fired; for loops without a wait that takes the signal itself. */
export function throwIfAborted(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted) throw new ModelError('aborted', `${what} was stopped before it was done`)
}

/**
 * TabswarmError: the one shape of an error that a person or another process may see. `reason` is stable and for programs,
 * `message` says what happened, where, and what to do. It crosses workers and sockets as `{reason, message}`, never as text.
 */

export interface ErrorBody {
  readonly reason: string
  readonly message: string
}

export class TabswarmError<Reason extends string = string> extends Error implements ErrorBody {
  readonly reason: Reason
  constructor(reason: Reason, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'TabswarmError'
    this.reason = reason
  }
}

/** Any thrown value as a body to send or print; what is not ours becomes reason `internal`. */
export function toErrorBody(error: unknown): ErrorBody {
  if (error instanceof TabswarmError) return { reason: error.reason, message: error.message }
  return { reason: 'internal', message: error instanceof Error ? error.message : String(error) }
}

export function fromErrorBody(body: ErrorBody): TabswarmError {
  return new TabswarmError(body.reason, body.message)
}

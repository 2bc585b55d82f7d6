/**
 * ApiError: a refusal in the form that clients of OpenAI's API read: `{error: {message, type, param, code}}` with a status, and for those that pass by
 * themselves when to try again. Messages say what to do; what went wrong inside is not told.
 */

import { TabswarmError } from '../../shared/index.ts'
import { AccountError } from '../accounts/index.ts'
import { DriverError } from './errors.ts'

export interface ApiErrorBody {
  readonly error: {
    readonly message: string
    readonly type: string
    readonly param: string | null
    readonly code: string | null
  }
}

interface ApiErrorOptions {
  readonly param?: string
  readonly code?: string
  readonly retryAfterMs?: number | null
  /** Beside those that every error has. */
  readonly headers?: Readonly<Record<string, string>>
}

/** OpenAI's words for kinds of errors. */
const TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  402: 'insufficient_quota',
  403: 'permission_error',
  404: 'not_found_error',
  429: 'rate_limit_error',
  500: 'server_error',
  503: 'server_error',
}

/** Bounds of `retry-after`, seconds. */
const RETRY_SECONDS_MIN = 1
const RETRY_SECONDS_MAX = 60
const RETRY_DEFAULT_MS = 5_000

export class ApiError extends TabswarmError {
  override readonly name = 'ApiError'
  readonly status: number
  /** Null: asking the same again does not help. */
  readonly retryAfterMs: number | null
  readonly #param: string | null
  readonly #headers: Readonly<Record<string, string>>

  constructor(status: number, message: string, { param, code, retryAfterMs = null, headers = {} }: ApiErrorOptions = {}) {
    super(code ?? TYPES[status] ?? 'invalid_request_error', message)
    this.status = status
    this.#param = param ?? null
    this.#headers = headers
    this.retryAfterMs = retryAfterMs
  }

  get body(): ApiErrorBody {
    const { reason: code, message, status } = this
    return { error: { message, type: TYPES[status] ?? 'invalid_request_error', param: this.#param, code } }
  }

  get headers(): Readonly<Record<string, string>> {
    if (this.retryAfterMs === null) return { ...this.#headers, 'x-should-retry': 'false' }
    const seconds = Math.min(RETRY_SECONDS_MAX, Math.max(RETRY_SECONDS_MIN, Math.ceil(this.retryAfterMs / 1_000)))
    return { ...this.#headers, 'x-should-retry': 'true', 'retry-after': String(seconds) }
  }
}

/** What a client asks for that it must not: always 400, naming the parameter. */
export function badParameter(param: string, message: string, code = 'invalid_value'): ApiError {
  return new ApiError(400, message, { param, code })
}

type Told = readonly [status: number, code: string]

/** Reasons of the driver, the coordinator and the accounts that a client can do something about. */
const REASONS: Readonly<Record<string, Told>> = {
  'bad-key': [401, 'invalid_api_key'],
  'insufficient-credits': [402, 'insufficient_quota'],
  'over-budget': [402, 'insufficient_quota'],
  'not-allowed': [403, 'not_allowed'],
  'unknown-model': [404, 'model_not_found'],
  'bad-request': [400, 'invalid_value'],
  'bad-schema': [400, 'invalid_schema'],
  'bad-messages': [400, 'invalid_value'],
  'no-chat-template': [400, 'no_chat_template'],
  'prompt-too-long': [400, 'context_length_exceeded'],
  'too-large': [400, 'context_length_exceeded'],
  'too-many-requests': [429, 'rate_limit_exceeded'],
  'too-many-sessions': [429, 'rate_limit_exceeded'],
}

/** The network lacks something now: this passes. */
const PASSING: ReadonlySet<string> = new Set([
  'busy',
  'driver-lost',
  'grammar-lost',
  'incomplete',
  'no-accounts',
  'no-volunteers',
  'offline',
  'shutting-down',
])

/** What befalls a chain in mid-answer, and passes too. What tabs say of it is theirs, and not told on. */
const LOST: ReadonlySet<string> = new Set([
  'bad-grant',
  'device-lost',
  'expired',
  'no-room',
  'not-finite',
  'not-serving',
  'protocol',
  'stage-lost',
  'stopped',
  'superseded',
  'timeout',
  'too-many-repairs',
  'unknown-session',
  'unreachable',
])
const LOST_MESSAGE = 'tabs that computed the answer were lost, and no others could take over; ask again'

/** Any failure as a client is told it; null: it is nobody's but ours, and to be logged. */
export function apiErrorOf(error: unknown): ApiError | null {
  if (error instanceof ApiError) return error
  if (!(error instanceof DriverError || error instanceof AccountError)) return null
  const { reason, message, retryAfterMs } = error
  const told = REASONS[reason]
  if (told !== undefined) {
    const [status, code] = told
    return new ApiError(status, message, { code, retryAfterMs: status === 429 ? (retryAfterMs ?? RETRY_DEFAULT_MS) : null })
  }
  const passing = { code: reason, retryAfterMs: retryAfterMs ?? RETRY_DEFAULT_MS }
  if (PASSING.has(reason)) return new ApiError(503, message, passing)
  return LOST.has(reason) ? new ApiError(503, LOST_MESSAGE, passing) : null
}

/** What an operator is told of an error that is none of a client's: where it came from, not its message, which may quote a prompt. */
export function faultOf(error: unknown): string {
  if (!(error instanceof Error)) return `a thrown ${typeof error}`
  const [, place = 'an unknown place'] = /^ +at (.*)$/m.exec(error.stack ?? '') ?? []
  return `${error instanceof TabswarmError ? error.reason : error.name} at ${place}`
}

export function internalError(): ApiError {
  return new ApiError(500, 'the coordinator failed; ask again, and tell its operator if that does not help', {
    retryAfterMs: RETRY_DEFAULT_MS,
  })
}

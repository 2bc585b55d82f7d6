/**
 * A model file behind a URL, read by HTTP range requests. A read that breaks goes on from the byte where it broke; attempts
 * without progress and waits without bytes are bounded. Time and fetch are handed in.
 */

import type { Clock } from '../../shared/index.ts'
import { ModelError, throwIfAborted } from '../errors.ts'
import type { ModelFile, WeightSource } from '../types.ts'
import type { FetchLike, HttpBodyReader, HttpResponse } from './http.ts'

export interface HttpSourceOptions {
  readonly url: string
  readonly fetch: FetchLike
  readonly clock: Clock
  /** Of the file, where it is known (a manifest says it); another size is refused. */
  readonly fileBytes?: number
  /** Tries in a row that bring no byte before the read is given up. */
  readonly attemptsMax?: number
  /** Wait before the second try; doubles with each further one. */
  readonly retryDelayMs?: number
  /** Without a byte for this long, connecting included, the try has failed. */
  readonly stallMs?: number
}

/** In a row without a byte: about ten seconds of a server that is restarting. */
const ATTEMPTS_MAX = 5
const RETRY_DELAY_MS = 500
const STALL_MS = 15_000
/** A server that cuts every answer short still ends: more resumptions than this are no download. */
const RESUMPTIONS_MAX = 1_000
/** A server without ranges sends the whole file for each read: bearable for a toy model only. */
const WHOLE_FILE_BYTES_MAX = 16 * 1024 * 1024

/** Ranges of a file whose length need not be known. Rejects with `download-failed`, `no-ranges` or `aborted`. */
export function httpWeightSource(options: HttpSourceOptions): WeightSource {
  return { read: (range, signal) => readRange(options, range.byteOffset, range.byteLength, signal).then(({ bytes }) => bytes) }
}

/** Asks for the file's length first; then as httpWeightSource. */
export async function openHttpModelFile(options: HttpSourceOptions, signal: AbortSignal): Promise<ModelFile> {
  const { fileBytes } = await readRange(options, 0, 1, signal)
  if (fileBytes === null)
    throw new ModelError(
      'no-ranges',
      `${options.url} does not tell how long the file is (Content-Range); serve it from another server, or download it`,
    )
  return { byteLength: fileBytes, ...httpWeightSource({ ...options, fileBytes }) }
}

interface RangeRead {
  readonly bytes: Uint8Array
  /** Null where the server hides it, as another origin may in a browser. */
  readonly fileBytes: number | null
}

async function readRange(options: HttpSourceOptions, byteOffset: number, byteLength: number, signal: AbortSignal): Promise<RangeRead> {
  const { url, clock, attemptsMax = ATTEMPTS_MAX, retryDelayMs = RETRY_DELAY_MS } = options
  const target: Target = { bytes: new Uint8Array(byteLength), filled: 0, byteOffset, fileBytes: null }
  let idleAttempts = 0
  for (let resumption = 0; target.filled < byteLength; resumption++) {
    throwIfAborted(signal, `downloading ${url}`)
    const filledBefore = target.filled
    try {
      await fill(options, target, signal)
    } catch (error) {
      throwIfAborted(signal, `downloading ${url}`)
      if (error instanceof ModelError) throw error
      idleAttempts = target.filled > filledBefore ? 0 : idleAttempts + 1
      if (idleAttempts >= attemptsMax || resumption >= RESUMPTIONS_MAX)
        throw new ModelError(
          'download-failed',
          `${url} could not be read (${error instanceof Error ? error.message : String(error)}); check the connection and try again`,
          { cause: error },
        )
      await pause(clock, retryDelayMs * 2 ** Math.max(0, idleAttempts - 1), signal)
    }
  }
  return { bytes: target.bytes, fileBytes: target.fileBytes }
}

interface Target {
  readonly bytes: Uint8Array
  readonly byteOffset: number
  filled: number
  fileBytes: number | null
}

/** One request for what is still missing. A ModelError is final; anything else may be tried again. */
async function fill(options: HttpSourceOptions, target: Target, signal: AbortSignal): Promise<void> {
  const first = target.byteOffset + target.filled
  const last = target.byteOffset + target.bytes.byteLength - 1
  const deadline = stallDeadline(options.clock, options.stallMs ?? STALL_MS, signal)
  let reader: HttpBodyReader | null = null
  try {
    const response = await deadline.race(
      options.fetch(options.url, { headers: { range: `bytes=${first}-${last}` }, signal: deadline.signal }),
    )
    reader = response.body?.getReader() ?? null
    const skip = checkResponse(options, response, target, first)
    if (reader === null) throw new Error('the answer has no body')
    await copyBody(reader, target, skip, deadline)
    // The end of the body lets the connection be used again; cancelled before it, the connection would be thrown away.
    await deadline.race(reader.read())
  } finally {
    deadline.end()
    reader?.cancel().catch(() => undefined)
  }
}

/** How many bytes of the body come before the first one wanted. Throws for answers that hold something else. */
function checkResponse(options: HttpSourceOptions, response: HttpResponse, target: Target, first: number): number {
  const { url } = options
  const { status, headers } = response
  if (status === 429 || status >= 500) throw new Error(`the server answers ${status}`)
  if (status !== 200 && status !== 206)
    throw new ModelError('download-failed', `${url} answers ${status}; check the address, and whether the file needs a login`)
  const encoding = headers.get('content-encoding')
  if (encoding !== null && encoding !== 'identity')
    throw new ModelError('no-ranges', `${url} is sent compressed (${encoding}), so that its bytes cannot be addressed; serve it as it is`)
  if (status === 200) return checkWholeFile(options, headers.get('content-length'), target, first)

  const contentRange = headers.get('content-range')
  if (contentRange === null) return 0
  const match = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(contentRange)
  if (match === null || Number(match[1]) !== first)
    throw new ModelError(
      'no-ranges',
      `${url} sends another part of the file than was asked for (${contentRange.slice(0, 80)}); use another server`,
    )
  if (match[2] !== '*') noteLength(options, target, Number(match[2]))
  return 0
}

/** The server ignores ranges. Small files are read whole and cut. */
function checkWholeFile(options: HttpSourceOptions, contentLength: string | null, target: Target, first: number): number {
  const length = contentLength === null ? Number.NaN : Number(contentLength)
  if (!(length <= WHOLE_FILE_BYTES_MAX))
    throw new ModelError(
      'no-ranges',
      `${options.url} sends the whole file instead of the part that was asked for; use a server with range requests, or download the file first`,
    )
  noteLength(options, target, length)
  return first
}

function noteLength(options: HttpSourceOptions, target: Target, fileBytes: number): void {
  const expected = options.fileBytes ?? target.fileBytes ?? fileBytes
  if (fileBytes !== expected)
    throw new ModelError(
      'download-failed',
      `${options.url} has ${fileBytes} bytes, but ${expected} were expected; the file has changed: start over`,
    )
  if (target.byteOffset + target.bytes.byteLength > fileBytes)
    throw new ModelError('truncated', `${options.url} has only ${fileBytes} bytes; the file is incomplete, get it from elsewhere`)
  target.fileBytes = fileBytes
}

async function copyBody(reader: HttpBodyReader, target: Target, skip: number, deadline: StallDeadline): Promise<void> {
  let toSkip = skip
  while (target.filled < target.bytes.byteLength) {
    const { done, value } = await deadline.race(reader.read())
    if (done || value === undefined) throw new Error('the answer ended early')
    deadline.restart()
    const skipped = Math.min(toSkip, value.byteLength)
    toSkip -= skipped
    const wanted = value.subarray(skipped, skipped + target.bytes.byteLength - target.filled)
    target.bytes.set(wanted, target.filled)
    target.filled += wanted.byteLength
  }
}

interface StallDeadline {
  readonly signal: AbortSignal
  /** Settles with `work`, or rejects when the deadline passes or the outer signal fires first. */
  race<T>(work: Promise<T>): Promise<T>
  restart(): void
  end(): void
}

function stallDeadline(clock: Clock, stallMs: number, outer: AbortSignal): StallDeadline {
  const controller = new AbortController()
  let fail: (error: Error) => void = () => undefined
  const failed = new Promise<never>((_, reject) => {
    fail = reject
  })
  failed.catch(() => undefined)
  const stop = (error: Error) => {
    fail(error)
    controller.abort(error)
  }
  const onAbort = () => stop(new Error('stopped'))
  const arm = () => clock.after(stallMs, () => stop(new Error(`nothing came for ${stallMs / 1000} s`)))
  let cancelTimer = arm()
  outer.addEventListener('abort', onAbort, { once: true })
  return {
    signal: controller.signal,
    race: (work) => Promise.race([work, failed]),
    restart() {
      cancelTimer()
      cancelTimer = arm()
    },
    end() {
      cancelTimer()
      outer.removeEventListener('abort', onAbort)
    },
  }
}

function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      cancel()
      signal.removeEventListener('abort', finish)
      resolve()
    }
    const cancel = clock.after(delayMs, finish)
    signal.addEventListener('abort', finish, { once: true })
  })
}

/**
 * generate: one answer over an open chain. Prompt in chunks, several under way; then row by row: sample, detokenize, stop.
 * The chain stays the caller's, who closes it whatever happens here.
 */

import { FRAME_BYTES_MAX, ROWS_MAX, rowBytes } from '../protocol/index.ts'
import { assert, type Clock } from '../shared/index.ts'
import type { Candidates, Chain, ChainRepair, LapResults, StageLap } from './chain.ts'
import { type Deferred, deferred } from './deferred.ts'
import { Detokenizer, type TokenText } from './detokenizer.ts'
import { SessionError } from './errors.ts'
import { checkSampling, type Sampling, sample } from './sampler.ts'
import { StopSequences } from './stopSequences.ts'

/** Rows of a prompt chunk: enough for a matrix product to reuse each weight, few enough that stages overlap. */
const CHUNK_ROWS_DEFAULT = 128

/** Most rows of a chunk, so that activations of this width fit a frame (less 4 KiB for its header) in the widest encoding. */
export function chunkRowsFor(width: number): number {
  return Math.max(1, Math.min(CHUNK_ROWS_DEFAULT, ROWS_MAX, Math.floor((FRAME_BYTES_MAX - 4096) / rowBytes('f32', width))))
}

/** The part of model's `Tokenizer` that a generation needs. */
export interface GenerationTokenizer extends TokenText {
  readonly vocabularySize: number
  /** Whether the token ends the answer. */
  isEnd(id: number): boolean
}

export type GenerateEvent =
  /** Prompt positions computed by the whole chain. */
  | { readonly kind: 'prompt'; readonly done: number; readonly total: number }
  /** One more token; `text` is what has become certain by it, often ''. */
  | { readonly kind: 'token'; readonly id: number; readonly text: string; readonly completionTokens: number }
  /** The last text, held back until the end. */
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'lap'; readonly lap: StageLap }
  | { readonly kind: 'repair'; readonly repair: ChainRepair }

export interface GenerateRequest {
  readonly chain: Chain
  readonly tokenizer: GenerationTokenizer
  /** At least one. */
  readonly promptTokenIds: readonly number[]
  /** 0 asks for nothing and computes nothing. */
  readonly maxTokens: number
  readonly sampling: Sampling
  readonly stop?: readonly string[]
  /** See `chunkRowsFor`. */
  readonly chunkRows: number
  readonly clock: Clock
  readonly signal?: AbortSignal
  readonly onEvent?: (event: GenerateEvent) => void
  /** Keeps each step's candidates in the result. */
  readonly keepSteps?: boolean
  /** See Detokenizer. */
  readonly stripLeadingSpace?: boolean
}

export interface GenerateStep {
  readonly id: number
  readonly candidates: Candidates
}

export interface GenerateResult {
  /** Without the end token. */
  readonly completionTokenIds: readonly number[]
  readonly text: string
  readonly finishReason: 'stop' | 'length' | 'cancelled'
  readonly timings: GenerateTimings
  /** With the end token's step; empty unless asked for. */
  readonly steps: readonly GenerateStep[]
}

export interface GenerateTimings {
  /** From the call to the first token, milliseconds; null without one. */
  readonly firstTokenMs: number | null
  /** (completion tokens − 1) ÷ (first to last token); null with fewer than two tokens. */
  readonly tokensPerSecond: number | null
}

/** Rejects with a SessionError; `signal` ends it early with what there is, and `cancelled`. */
export async function generate(request: GenerateRequest): Promise<GenerateResult> {
  checkRequest(request)
  return new Generation(request).run()
}

function checkRequest({ chain, tokenizer, promptTokenIds, maxTokens, sampling, chunkRows }: GenerateRequest): void {
  checkSampling(sampling)
  assert(Number.isSafeInteger(chunkRows) && chunkRows > 0 && chunkRows <= ROWS_MAX, `chunks of ${chunkRows} rows`)
  if (!Number.isSafeInteger(maxTokens) || maxTokens < 0) {
    throw new SessionError('bad-request', `the answer's length is ${maxTokens} tokens; it must be a whole number, 0 or more`)
  }
  if (promptTokenIds.length === 0) throw new SessionError('bad-request', 'the prompt is empty; give at least one token')
  if (promptTokenIds.length > chain.maxPositions) {
    const room = `the session has room for ${chain.maxPositions}`
    throw new SessionError(
      'prompt-too-long',
      `the prompt has ${promptTokenIds.length} tokens; ${room}: shorten it or begin a new conversation`,
    )
  }
  const foreign = promptTokenIds.find((id) => !(Number.isSafeInteger(id) && id >= 0 && id < tokenizer.vocabularySize))
  if (foreign !== undefined) throw new SessionError('bad-request', `token ${foreign} is not in a vocabulary of ${tokenizer.vocabularySize}`)
}

class Generation {
  readonly #request: GenerateRequest
  readonly #detokenizer: Detokenizer
  readonly #stops: StopSequences
  readonly #startedMs: number
  readonly #completion: number[] = []
  readonly #steps: GenerateStep[] = []
  #text = ''
  #firstTokenMs: number | null = null
  #lastTokenMs = 0
  /** Set while a token is awaited. */
  #awaited: Deferred<Candidates | null> | null = null

  constructor(request: GenerateRequest) {
    this.#request = request
    this.#detokenizer = new Detokenizer(request.tokenizer, { stripLeadingSpace: request.stripLeadingSpace ?? false })
    this.#stops = new StopSequences(request.stop ?? [])
    this.#startedMs = request.clock.nowMs()
  }

  async run(): Promise<GenerateResult> {
    const { chain, maxTokens, signal } = this.#request
    if (signal?.aborted === true) return this.#result('cancelled')
    if (maxTokens === 0) return this.#result('length')
    const onAbort = () => this.#awaited?.resolve(null)
    signal?.addEventListener('abort', onAbort)
    chain.listen({
      onResults: (results) => this.#onResults(results),
      onLap: (lap) => this.#request.onEvent?.({ kind: 'lap', lap }),
      onRepair: (repair) => this.#request.onEvent?.({ kind: 'repair', repair }),
      onFailed: (error) => this.#awaited?.reject(error),
    })
    try {
      return this.#result(await this.#loop())
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  async #loop(): Promise<GenerateResult['finishReason']> {
    const { chain, tokenizer, promptTokenIds, maxTokens, sampling, keepSteps } = this.#request
    let candidates = await this.#await(this.#submitPrompt())
    for (let position = promptTokenIds.length; ; position++) {
      if (candidates === null) return 'cancelled'
      assert(candidates.position === position - 1, `candidates of position ${candidates.position} where ${position - 1} was awaited`)
      const id = sample(candidates, sampling, position)
      if (keepSteps === true) this.#steps.push({ id, candidates })
      if (tokenizer.isEnd(id)) return 'stop'
      this.#take(id)
      if (this.#stops.stopped) return 'stop'
      if (this.#completion.length === maxTokens || position === chain.maxPositions) return 'length'
      const lap = { firstPosition: position, ids: Uint32Array.of(id), kind: 'decode' as const, resultCount: 1 }
      candidates = await this.#await(chain.submit(lap))
    }
  }

  /** The next wanted candidates, or null when the signal fires; rejects when the chain or the submission fails. */
  async #await(submitted: Promise<void>): Promise<Candidates | null> {
    if (this.#awaited === null) this.#awaited = deferred()
    const awaited = this.#awaited
    submitted.catch((error: unknown) => awaited.reject(error))
    if (this.#request.signal?.aborted === true) awaited.resolve(null)
    try {
      return await awaited.promise
    } finally {
      this.#awaited = null
    }
  }

  async #submitPrompt(): Promise<void> {
    const { chain, promptTokenIds, chunkRows, signal } = this.#request
    this.#awaited = deferred()
    for (let first = 0; first < promptTokenIds.length && signal?.aborted !== true; first += chunkRows) {
      const ids = Uint32Array.from(promptTokenIds.slice(first, first + chunkRows))
      const resultCount = first + ids.length === promptTokenIds.length ? 1 : 0
      await chain.submit({ firstPosition: first, ids, kind: 'prompt', resultCount })
    }
  }

  #onResults(results: LapResults): void {
    const total = this.#request.promptTokenIds.length
    const done = results.firstPosition + results.rowCount
    if (done <= total) this.#request.onEvent?.({ kind: 'prompt', done, total })
    const wanted = results.candidates.at(-1)
    if (wanted !== undefined) this.#awaited?.resolve(wanted)
  }

  #take(id: number): void {
    const { clock, onEvent } = this.#request
    this.#lastTokenMs = clock.nowMs()
    this.#firstTokenMs ??= this.#lastTokenMs
    this.#completion.push(id)
    const text = this.#stops.push(this.#detokenizer.push(id))
    this.#text += text
    onEvent?.({ kind: 'token', id, text, completionTokens: this.#completion.length })
  }

  #result(finishReason: GenerateResult['finishReason']): GenerateResult {
    const rest = this.#stops.push(this.#detokenizer.flush()) + this.#stops.flush()
    this.#text += rest
    if (rest !== '') this.#request.onEvent?.({ kind: 'text', text: rest })
    const tokens = this.#completion.length
    const first = this.#firstTokenMs
    const decodeMs = this.#lastTokenMs - (first ?? 0)
    return {
      completionTokenIds: this.#completion,
      text: this.#text,
      finishReason,
      timings: {
        firstTokenMs: first === null ? null : first - this.#startedMs,
        tokensPerSecond: tokens < 2 || decodeMs === 0 ? null : ((tokens - 1) / decodeMs) * 1000,
      },
      steps: this.#steps,
    }
  }
}

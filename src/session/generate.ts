/**
 * generate: one answer over an open chain. Prompt in chunks, several under way; then lap by lap: sample, detokenize, stop.
 * A lap holds the last token, and behind it what a drafter guesses, see speculation.ts; which changes when tokens come, never
 * which. The chain stays the caller's, who closes it whatever happens here.
 */

import { FRAME_BYTES_MAX, ROWS_MAX, rowBytes } from '../protocol/index.ts'
import { assert, type Clock } from '../shared/index.ts'
import { AnswerText } from './answerText.ts'
import type { Candidates, Chain, ChainRepair, Lap, LapResults, StageLap } from './chain.ts'
import type { TokenText } from './detokenizer.ts'
import type { Drafter } from './drafter.ts'
import { SessionError } from './errors.ts'
import { LapWaiter } from './lapWaiter.ts'
import { checkSampling, type Sampling } from './sampler.ts'
import { Speculation } from './speculation.ts'
import { TokenChoice } from './tokenChoice.ts'
import type { TokenConstraint, TokenSet } from './tokenConstraint.ts'

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
  /** One more token; `text` is what has become certain by it, often ''; `lapMs` what the lap took that brought it. */
  | {
      readonly kind: 'token'
      readonly id: number
      readonly candidates: Candidates
      readonly text: string
      readonly completionTokens: number
      readonly lapMs: number
    }
  /** Tokens of the prompt, each with the candidates of the position before it; the first has none, and is in no such event. */
  | { readonly kind: 'scored'; readonly steps: readonly GenerateStep[] }
  /** A lap behind the prompt's is back, of so many rows. */
  | { readonly kind: 'decoded'; readonly rowCount: number; readonly lapMs: number }
  /** The last text, held back until the end. */
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'lap'; readonly lap: StageLap }
  | { readonly kind: 'repair'; readonly repair: ChainRepair }

export interface GenerateRequest {
  readonly chain: Chain
  readonly tokenizer: GenerationTokenizer
  /** At least one. */
  readonly promptTokenIds: readonly number[]
  /** 0 asks for no token; nothing is computed then, unless for `scoresPrompt`. */
  readonly maxTokens: number
  readonly sampling: Sampling
  readonly stop?: readonly string[]
  /** What the answer has to be. */
  readonly constraint?: TokenConstraint
  /** Whether each token's candidates have its logit, also where it has no alternative. */
  readonly wantsLogits?: boolean
  /** Asks for the candidates of all positions of the prompt, which have the logit of its next token: see the event `scored`. */
  readonly scoresPrompt?: boolean
  /** See `chunkRowsFor`. */
  readonly chunkRows: number
  readonly clock: Clock
  readonly signal?: AbortSignal
  readonly onEvent?: (event: GenerateEvent) => void
  /** Keeps each step's candidates in the result. */
  readonly keepSteps?: boolean
  /** See Detokenizer. */
  readonly stripLeadingSpace?: boolean
  /** Drafts tokens that a lap then verifies: the answer is the same, and comes sooner where they are right. */
  readonly drafter?: Drafter
}

export interface GenerateStep {
  readonly id: number
  readonly candidates: Candidates
}

type FinishReason = 'stop' | 'length' | 'cancelled'

export interface GenerateResult {
  /** Without the end token. */
  readonly completionTokenIds: readonly number[]
  readonly text: string
  readonly finishReason: FinishReason
  readonly timings: GenerateTimings
  /** With the end token's step; empty unless asked for. */
  readonly steps: readonly GenerateStep[]
  readonly drafts: DraftCounts
}

/** How much was speculated. */
export interface DraftCounts {
  /** Laps after the prompt's. */
  readonly laps: number
  /** Tokens that were sent on trial, and those of them that are in the answer. */
  readonly draftedTokens: number
  readonly acceptedTokens: number
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
  const unknown = sampling.logitBias?.find(({ id }) => !isToken(id, tokenizer))
  if (unknown !== undefined)
    throw new SessionError('bad-request', `a bias for token ${unknown.id}, which is not in a vocabulary of ${tokenizer.vocabularySize}`)
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
  const foreign = promptTokenIds.find((id) => !isToken(id, tokenizer))
  if (foreign !== undefined) throw new SessionError('bad-request', `token ${foreign} is not in a vocabulary of ${tokenizer.vocabularySize}`)
}

function isToken(id: number, { vocabularySize }: GenerationTokenizer): boolean {
  return Number.isSafeInteger(id) && id >= 0 && id < vocabularySize
}

class Generation {
  readonly #request: GenerateRequest
  readonly #signal: AbortSignal
  readonly #waiter: LapWaiter
  readonly #text: AnswerText
  readonly #speculation: Speculation | null
  readonly #choice: TokenChoice
  readonly #startedMs: number
  readonly #completion: number[] = []
  readonly #steps: GenerateStep[] = []
  readonly #drafts = { laps: 0, draftedTokens: 0, acceptedTokens: 0 }
  #firstTokenMs: number | null = null
  #lastTokenMs = 0

  constructor(request: GenerateRequest) {
    const { tokenizer, stop = [], stripLeadingSpace = false, drafter, clock, sampling, promptTokenIds, wantsLogits = false } = request
    const { vocabularySize } = tokenizer
    // A request that cannot be cancelled has a signal of its own too: listeners of many on one would be looked through by each.
    const { signal = new AbortController().signal } = request
    this.#request = request
    this.#signal = signal
    this.#waiter = new LapWaiter(clock, signal)
    this.#text = new AnswerText(tokenizer, { stop, stripLeadingSpace })
    this.#speculation = drafter === undefined ? null : new Speculation(drafter, clock)
    this.#choice = new TokenChoice({ sampling, promptTokenIds, vocabularySize, wantsLogits })
    this.#startedMs = clock.nowMs()
  }

  async run(): Promise<GenerateResult> {
    const { chain, maxTokens, scoresPrompt = false, onEvent } = this.#request
    if (this.#signal.aborted) return this.#result('cancelled')
    if (maxTokens === 0 && !scoresPrompt) return this.#result('length')
    chain.listen({
      onResults: (results) => this.#onResults(results),
      onLap: (lap) => onEvent?.({ kind: 'lap', lap }),
      onRepair: (repair) => onEvent?.({ kind: 'repair', repair }),
      onFailed: (error) => this.#waiter.handleFailed(error),
    })
    this.#waiter.open()
    try {
      let finishReason = await this.#prompt()
      while (finishReason === null) finishReason = await this.#decode()
      return this.#result(finishReason)
    } finally {
      this.#waiter.close()
    }
  }

  async #prompt(): Promise<FinishReason | null> {
    const { promptTokenIds, maxTokens, scoresPrompt = false } = this.#request
    this.#speculation?.append(promptTokenIds)
    const results = await this.#waiter.lap(() => this.#submitPrompt(), scoresPrompt ? promptTokenIds.length : 1)
    if (results === null) return 'cancelled'
    if (maxTokens === 0) return 'length'
    const finishReason = await this.#verify(results.slice(-1), [])
    this.#speculation?.append(this.#completion)
    return finishReason
  }

  async #submitPrompt(): Promise<void> {
    const { chain, promptTokenIds, chunkRows, scoresPrompt = false } = this.#request
    for (let first = 0; first < promptTokenIds.length && !this.#signal.aborted; first += chunkRows) {
      const ids = Uint32Array.from(promptTokenIds.slice(first, first + chunkRows))
      const resultCount = first + ids.length === promptTokenIds.length ? 1 : 0
      const lap: Lap = { firstPosition: first, ids, kind: 'prompt', resultCount }
      await chain.submit(scoresPrompt ? this.#namingNext(lap) : this.#naming(lap))
    }
  }

  /**
   * The rows of a prompt, each naming the token behind it. Rows of one lap name as many each: the last one has one name for what the choice wants to
   * know, of which it fetches the rest, and else its own token.
   */
  #namingNext(lap: Lap): Lap {
    const { promptTokenIds } = this.#request
    const named = Uint32Array.from(lap.ids, (id, row) => promptTokenIds[lap.firstPosition + row + 1] ?? this.#choice.named[0] ?? id)
    return { ...lap, resultCount: lap.ids.length, named }
  }

  /** One lap: the last token, and behind it a draft of what follows. */
  async #decode(): Promise<FinishReason | null> {
    const { chain, promptTokenIds } = this.#request
    const known = this.#completion.length
    const draft = this.#speculation === null ? [] : await this.#draft(this.#speculation)
    if (draft === null) return 'cancelled'
    const ids = Uint32Array.of(...this.#completion.slice(-1), ...draft)
    const lap = this.#naming({ firstPosition: promptTokenIds.length + known - 1, ids, kind: 'decode', resultCount: ids.length })
    const results = await this.#waiter.lap(() => chain.submit(lap), lap.resultCount)
    if (results === null) return 'cancelled'
    this.#request.onEvent?.({ kind: 'decoded', rowCount: ids.length, lapMs: this.#waiter.lastLapMs })
    const finishReason = await this.#verify(results, draft)
    const taken = this.#completion.slice(known)
    this.#drafts.laps++
    this.#drafts.draftedTokens += draft.length
    this.#drafts.acceptedTokens += draft.filter((id, index) => taken[index] === id).length
    if (finishReason === null) this.#speculation?.observe(taken, this.#waiter.lastLapMs)
    return finishReason
  }

  /** Tokens to verify with the next lap: none that the answer has no room for, or that would end it. Null when the signal fires. */
  async #draft(speculation: Speculation): Promise<readonly number[] | null> {
    const { chain, promptTokenIds, maxTokens } = this.#request
    const known = this.#completion.length
    const room = Math.min(maxTokens - known - 1, chain.maxPositions - promptTokenIds.length - known)
    return this.#waiter.unlessEnded(speculation.draft({ room, countUsable: (ids) => this.#countUsable(ids), signal: this.#signal }))
  }

  #countUsable(ids: readonly number[]): number {
    const { tokenizer } = this.#request
    const end = ids.findIndex((id) => !isToken(id, tokenizer) || tokenizer.isEnd(id))
    return this.#text.countBeforeStop(end < 0 ? ids : ids.slice(0, end))
  }

  /**
   * Samples from a lap's results, one after the other, as long as what is drawn is what was drafted: then the next row had the
   * right input. Positions of drafts that were wrong are forgotten.
   */
  async #verify(results: readonly Candidates[], draft: readonly number[]): Promise<FinishReason | null> {
    const { constraint } = this.#request
    for (const [index, candidates] of results.entries()) {
      const isDrafted = index < draft.length
      // Each wait is a turn of its own, and few answers are constrained.
      const allowed = constraint === undefined ? null : await this.#waiter.unlessEnded(constraint.allowed())
      if (constraint !== undefined && allowed === null) return 'cancelled'
      const chosen = this.#choice.choose(candidates, candidates.position + 1, allowed)
      // All logits are there of the last position alone.
      if (chosen === null && isDrafted) this.#request.chain.truncate(candidates.position + 1)
      const finishReason = chosen === null ? await this.#fetch(candidates, allowed) : this.#step(chosen, candidates)
      const goesOn = finishReason === null && isDrafted && chosen !== null && chosen === draft[index]
      if (goesOn) continue
      if (isDrafted && chosen !== null) this.#request.chain.truncate(candidates.position + 1)
      return finishReason
    }
    return null
  }

  /** The token that all logits give where the candidates leave it open. */
  async #fetch(candidates: Candidates, allowed: TokenSet | null): Promise<FinishReason | null> {
    const logits = await this.#waiter.unlessEnded(this.#request.chain.logits(candidates))
    if (logits === null) return 'cancelled'
    const id = this.#choice.chooseOfAll(logits, candidates.position + 1, allowed)
    const named = { ids: Uint32Array.of(id), logits: Float32Array.of(logits[id] ?? 0) }
    return this.#step(id, { ...candidates, named })
  }

  /** The lap, whose rows name what the choice may want to know. */
  #naming(lap: Lap): Lap {
    const { named } = this.#choice
    if (named.length === 0 || lap.resultCount === 0) return lap
    return { ...lap, named: Uint32Array.from({ length: lap.resultCount * named.length }, (_, index) => named[index % named.length] ?? 0) }
  }

  /** One token, which `candidates` or `named` of them have. */
  #step(id: number, candidates: Candidates): FinishReason | null {
    const { chain, tokenizer, promptTokenIds, maxTokens, keepSteps } = this.#request
    const position = promptTokenIds.length + this.#completion.length
    assert(candidates.position === position - 1, `candidates of position ${candidates.position} where ${position - 1} was awaited`)
    if (keepSteps === true) this.#steps.push({ id, candidates })
    if (tokenizer.isEnd(id)) return 'stop'
    this.#choice.take(id)
    this.#request.constraint?.take(id)
    this.#take(id, candidates)
    if (this.#text.stopped) return 'stop'
    if (this.#completion.length === maxTokens || position === chain.maxPositions) return 'length'
    return this.#signal.aborted ? 'cancelled' : null
  }

  #take(id: number, candidates: Candidates): void {
    const { clock, onEvent } = this.#request
    this.#lastTokenMs = clock.nowMs()
    this.#firstTokenMs ??= this.#lastTokenMs
    this.#completion.push(id)
    const text = this.#text.push(id)
    onEvent?.({ kind: 'token', id, candidates, text, completionTokens: this.#completion.length, lapMs: this.#waiter.lastLapMs })
  }

  #onResults(results: LapResults): void {
    const total = this.#request.promptTokenIds.length
    const done = results.firstPosition + results.rowCount
    if (done <= total) this.#request.onEvent?.({ kind: 'prompt', done, total })
    if (this.#request.scoresPrompt === true) this.#scored(results)
    this.#waiter.handleResults(results)
  }

  #scored({ candidates }: LapResults): void {
    const { promptTokenIds, onEvent } = this.#request
    const steps = candidates.flatMap((scored) => {
      const id = promptTokenIds[scored.position + 1]
      return id === undefined ? [] : [{ id, candidates: scored }]
    })
    if (steps.length > 0) onEvent?.({ kind: 'scored', steps })
  }

  #result(finishReason: FinishReason): GenerateResult {
    const rest = this.#text.flush()
    if (rest !== '') this.#request.onEvent?.({ kind: 'text', text: rest })
    const tokens = this.#completion.length
    const first = this.#firstTokenMs
    const decodeMs = this.#lastTokenMs - (first ?? 0)
    return {
      completionTokenIds: this.#completion,
      text: this.#text.shown,
      finishReason,
      timings: {
        firstTokenMs: first === null ? null : first - this.#startedMs,
        tokensPerSecond: tokens < 2 || decodeMs === 0 ? null : ((tokens - 1) / decodeMs) * 1000,
      },
      steps: this.#steps,
      drafts: this.#drafts,
    }
  }
}

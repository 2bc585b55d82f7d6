/**
 * DraftSession: a small model's side of one answer, over an engine that has loaded the whole of it. Its KV cache follows the certain
 * tokens: drafted ones stay as far as they came true, the rest is truncated, so that a call costs about a pass a token.
 *
 * It draws as the answer's own driver does, with the same seed at the same position: where both models see the next token alike,
 * the same is drawn at any temperature. That makes drafts right more often and can do no more, see docs/decisions/0180 and 0250.
 */

import type { ModelConfig } from '../model/index.ts'
import { assert, type Clock, required } from '../shared/index.ts'
import type { Candidates, Chain } from './chain.ts'
import type { DraftToken } from './drafter.ts'
import { type ChainEngine, openEngineChain } from './engineChain.ts'
import { chunkRowsFor } from './generate.ts'
import { LapWaiter } from './lapWaiter.ts'
import type { DraftSource } from './modelDrafter.ts'
import { checkSampling, type Sampling, sample } from './sampler.ts'

export interface DraftSessionOptions {
  /** Has loaded all layers of the small model; several sessions may share it. */
  readonly engine: ChainEngine
  /** Of the small model. */
  readonly config: Pick<ModelConfig, 'layerCount' | 'width'>
  /** Of the prompt, the answer and its drafts; beyond them nothing is drafted. */
  readonly maxPositions: number
  /** Of the answer, with how many candidates of a position its driver draws from: drawn from others, tokens would differ. */
  readonly sampling: Sampling
  readonly topK: number
  readonly clock: Clock
}

/** Up to so many rows go as decode rows, in one group of the decode path; more go as a prompt. */
const DECODE_ROWS_MAX = 8

/** A greedy draft ends where the model itself believes less than this in all of it. */
const PROMISE_MIN = 0.2

/** A drawn token's own probability says little of how likely the other model draws it too: one class, which is then measured. */
const DRAWN_LIKELIHOOD = 0.5

/** Throws SessionError: `no-room` where the engine cannot hold `maxPositions`, `bad-request` for a sampling out of its range. */
export function openDraftSession(options: DraftSessionOptions): DraftSource {
  const { engine, config, maxPositions, sampling } = options
  checkSampling(sampling)
  const topK = sampling.temperature === 0 ? 1 : options.topK
  const stages = [{ engine, span: { firstLayer: 0, endLayer: config.layerCount } }]
  return new DraftSession(options, openEngineChain({ stages, maxPositions, topK, rowEncoding: 'f32' }))
}

class DraftSession implements DraftSource {
  readonly #chain: Chain
  readonly #sampling: Sampling
  readonly #chunkRows: number
  readonly #waiter: LapWaiter
  readonly #closing = new AbortController()
  readonly #certain: number[] = []
  /** What the KV cache holds: certain tokens, and those of the last draft. */
  readonly #held: number[] = []

  constructor({ sampling, config, clock }: DraftSessionOptions, chain: Chain) {
    const waiter = new LapWaiter(clock, this.#closing.signal)
    waiter.open()
    this.#chain = chain
    this.#sampling = sampling
    this.#chunkRows = chunkRowsFor(config.width)
    this.#waiter = waiter
    chain.listen({
      onResults: (results) => waiter.handleResults(results),
      onLap: () => undefined,
      onRepair: () => undefined,
      onFailed: (error) => waiter.handleFailed(error),
    })
  }

  async draft(ids: readonly number[], count: number): Promise<readonly DraftToken[]> {
    for (const id of ids) this.#certain.push(id)
    const room = this.#chain.maxPositions - this.#certain.length
    if (this.#certain.length === 0 || room < 0) return []
    // The last one's candidates are what a draft begins with.
    this.#rollBack(this.#certain.length - (count > 0 ? 1 : 0))
    let candidates = await this.#feed(this.#certain.slice(this.#held.length))
    const draft: DraftToken[] = []
    let promise = 1
    while (candidates !== null && draft.length < count) {
      const token = this.#draw(candidates)
      draft.push(token)
      promise *= token.likelihood
      const isUnlikely = this.#sampling.temperature === 0 && promise < PROMISE_MIN
      candidates = draft.length === count || draft.length > room || isUnlikely ? null : await this.#feed([token.id])
    }
    return draft
  }

  close(): void {
    this.#closing.abort()
    this.#chain.close()
  }

  #draw(candidates: Candidates): DraftToken {
    const id = sample(candidates, this.#sampling, this.#held.length)
    const best = required(candidates.logits[0], 'the best logit')
    const likelihood = this.#sampling.temperature === 0 ? Math.exp(best - candidates.logSumExp) : DRAWN_LIKELIHOOD
    return { id, likelihood, method: 'model' }
  }

  /** Forgets what did not come true, and positions from `lengthMax` on. */
  #rollBack(lengthMax: number): void {
    const wrong = this.#held.findIndex((id, index) => index >= lengthMax || id !== this.#certain[index])
    if (wrong < 0) return
    this.#chain.truncate(wrong)
    this.#held.length = wrong
  }

  /** Candidates of the last of these tokens, which follow those held; null where there are none, or after `close`. */
  async #feed(ids: readonly number[]): Promise<Candidates | null> {
    if (ids.length === 0) return null
    const results = await this.#waiter.lap(() => this.#submit(ids), 1)
    if (results === null) return null
    for (const id of ids) this.#held.push(id)
    const [candidates] = results
    assert(candidates?.position === this.#held.length - 1, `candidates of position ${candidates?.position}, not ${this.#held.length - 1}`)
    return candidates
  }

  async #submit(ids: readonly number[]): Promise<void> {
    const kind = ids.length > DECODE_ROWS_MAX ? 'prompt' : 'decode'
    for (let first = 0; first < ids.length; first += this.#chunkRows) {
      const chunk = Uint32Array.from(ids.slice(first, first + this.#chunkRows))
      const resultCount = first + chunk.length === ids.length ? 1 : 0
      await this.#chain.submit({ firstPosition: this.#held.length + first, ids: chunk, kind, resultCount })
    }
  }
}

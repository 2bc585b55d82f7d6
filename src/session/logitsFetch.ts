/**
 * LogitsFetch: all logits of one position, which the last stage is asked for and sends in parts; after a repair the next one is asked. What comes is checked against
 * the position's candidates, which receipts bind and audits compare. Rules S24 and S27 of protocol/SPEC.md.
 */

import type { FetchFrame, LogitsFrame } from '../protocol/index.ts'
import { type Deferred, deferred, err, ok, type Result, type SessionId } from '../shared/index.ts'
import type { Candidates } from './chain.ts'
import type { SessionError } from './errors.ts'

/** Of a sum over the vocabulary, in f32 at the stage: as LapLedger has it. */
const LOG_SUM_EXP_SLACK = 1e-3

interface Pending {
  readonly candidates: Candidates
  readonly epoch: number
  /** Whether the candidates are of the chain that is asked: another one may round otherwise. */
  isSameChain: boolean
  readonly values: Float32Array
  filled: number
  readonly all: Deferred<Float32Array>
}

export class LogitsFetch {
  readonly #vocabularySize: number
  #pending: Pending | null = null

  constructor(vocabularySize: number) {
    this.#vocabularySize = vocabularySize
  }

  get isUnderWay(): boolean {
    return this.#pending !== null
  }

  /** Resolves when all have come; whoever waited for others before waits no more. */
  begin(candidates: Candidates, epoch: number): Promise<Float32Array> {
    const all = deferred<Float32Array>()
    this.#pending = { candidates, epoch, isSameChain: true, values: new Float32Array(this.#vocabularySize), filled: 0, all }
    return all.promise
  }

  /** What to ask the last stage of a chain that works, from the beginning; null: nothing. */
  frame(sessionId: SessionId): FetchFrame | null {
    const pending = this.#pending
    if (pending === null) return null
    pending.filled = 0
    return { type: 'fetch', sessionId, epoch: pending.epoch, position: pending.candidates.position }
  }

  /** Another chain is asked. */
  restart(): void {
    if (this.#pending !== null) this.#pending.isSameChain = false
  }

  /** Takes a part, or says which rule it breaks. */
  receive({ epoch, position, payload }: LogitsFrame): Result<null, string> {
    const pending = this.#pending
    // Of a fetch that was given up.
    if (pending === null || epoch !== pending.epoch || position !== pending.candidates.position) return ok(null)
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
    const [first, count] = [view.getUint32(0, true), payload.byteLength / 4 - 1]
    if (first !== pending.filled || first + count > this.#vocabularySize)
      return err(`logits of tokens ${first} … ${first + count - 1}; expected from ${pending.filled}, below ${this.#vocabularySize}`)
    for (let index = 0; index < count; index++) {
      const logit = view.getFloat32(4 + 4 * index, true)
      if (!Number.isFinite(logit)) return err(`the logit of token ${first + index} is ${logit}`)
      pending.values[first + index] = logit
    }
    pending.filled += count
    if (pending.filled < this.#vocabularySize) return ok(null)
    const fault = pending.isSameChain ? contradiction(pending.values, pending.candidates) : null
    if (fault !== null) return err(fault)
    this.#pending = null
    pending.all.resolve(pending.values)
    return ok(null)
  }

  /** Nobody waits for it any more. */
  giveUp(): void {
    this.#pending = null
  }

  end(error: SessionError): void {
    this.#pending?.all.reject(error)
    this.#pending = null
  }
}

/** How all logits of a position contradict its best ones, its named ones, and the sum over all; null: they do not. */
function contradiction(values: Float32Array, { ids, logits, logSumExp, named }: Candidates): string | null {
  for (const best of [{ ids, logits }, ...(named === undefined ? [] : [named])])
    for (const [index, id] of best.ids.entries())
      if (values[id] !== best.logits[index]) return `the logit of token ${id} is ${values[id]}, and was ${best.logits[index]}`
  const [last, lastId] = [logits.at(-1) ?? 0, ids.at(-1) ?? 0]
  let better = 0
  let sum = 0
  for (const [id, value] of values.entries()) {
    if (value > last || (value === last && id <= lastId)) better++
    sum += Math.exp(value - (logits[0] ?? 0))
  }
  if (better !== ids.length) return `${better} logits are among the ${ids.length} best`
  const all = (logits[0] ?? 0) + Math.log(sum)
  return Math.abs(all - logSumExp) <= LOG_SUM_EXP_SLACK * (1 + Math.abs(all)) ? null : `their logsumexp is ${all}, and was ${logSumExp}`
}

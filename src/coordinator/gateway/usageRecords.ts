/**
 * UsageRecords: what each request asked for and cost, for who asks later: never a word of it. Of this process and for a day; the ledger's statement
 * has what was paid for good.
 */

import { type Clock, formatCredits, type ModelId, type Pool, type SessionId } from '../../shared/index.ts'
import type { Outcome, Route } from './answering.ts'
import type { ServiceTier } from './requests.ts'

export interface UsageStart {
  readonly requestId: string
  /** Whose it is: its API key's account; null: nobody's. */
  readonly account: string | null
  readonly modelId: ModelId
  readonly serviceTier: ServiceTier
  /** Whose tabs might compute it. */
  readonly pool: Pool
}

type Status = 'running' | 'completed' | 'failed'

interface UsageRecord extends UsageStart {
  readonly createdMs: number
  status: Status
  promptTokens: number
  completionTokens: number
  routes: readonly Route[]
  /** Micro-credits of each of its sessions; null: not settled yet. */
  readonly sessions: Map<SessionId, bigint | null>
}

const KEPT_MS = 24 * 3_600_000
/** A few hundred bytes each. */
const RECORDS_MAX = 20_000
/** Of one account, told at once. */
const LISTED_MAX = 100

export class UsageRecords {
  readonly #clock: Clock
  /** Oldest first. */
  readonly #records = new Map<string, UsageRecord>()
  readonly #ofSession = new Map<SessionId, UsageRecord>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  begin(start: UsageStart): void {
    this.#forget()
    const fresh = { promptTokens: 0, completionTokens: 0, routes: [], sessions: new Map() }
    this.#records.set(start.requestId, { ...start, ...fresh, createdMs: this.#clock.nowMs(), status: 'running' })
  }

  /** One of its answers is computed in that session. */
  opened(requestId: string, sessionId: SessionId): void {
    const record = this.#records.get(requestId)
    if (record === undefined) return
    record.sessions.set(sessionId, null)
    this.#ofSession.set(sessionId, record)
  }

  /** Null: it failed, or was cut off. */
  ended(requestId: string, outcome: Outcome | null): void {
    const record = this.#records.get(requestId)
    if (record === undefined) return
    record.status = outcome === null ? 'failed' : 'completed'
    if (outcome === null) return
    const { promptTokens, completionTokens, routes } = outcome
    Object.assign(record, { promptTokens, completionTokens, routes })
  }

  settled(sessionId: SessionId, charged: bigint): void {
    this.#ofSession.get(sessionId)?.sessions.set(sessionId, charged)
    this.#ofSession.delete(sessionId)
  }

  /** What answers of a model have had in the middle, those that are kept; null: there are none. */
  usualTokens(modelId: ModelId): number | null {
    const lengths = [...this.#records.values()]
      .filter((record) => record.modelId === modelId && record.status === 'completed')
      .map(({ completionTokens }) => completionTokens)
      .sort((one, other) => one - other)
    return lengths[Math.floor(lengths.length / 2)] ?? null
  }

  /** Null: there is none of that account, or no more. */
  find(requestId: string, account: string | null): object | null {
    const record = this.#records.get(requestId)
    return record === undefined || record.account !== account ? null : formOf(record)
  }

  /** Of an account: the last ones, newest first, and all that are kept together. */
  list(account: string | null): object {
    const own = [...this.#records.values()].filter((record) => record.account === account).reverse()
    const sum = (of: (record: UsageRecord) => number) => own.reduce((all, record) => all + of(record), 0)
    return {
      object: 'list',
      data: own.slice(0, LISTED_MAX).map(formOf),
      has_more: own.length > LISTED_MAX,
      totals: {
        requests: own.length,
        prompt_tokens: sum(({ promptTokens }) => promptTokens),
        completion_tokens: sum(({ completionTokens }) => completionTokens),
        credits: formatCredits(own.reduce((all, record) => all + chargeOf(record).charged, 0n)),
      },
    }
  }

  #forget(): void {
    const oldestMs = this.#clock.nowMs() - KEPT_MS
    for (const [requestId, { createdMs, sessions }] of this.#records) {
      if (createdMs >= oldestMs && this.#records.size < RECORDS_MAX) return
      this.#records.delete(requestId)
      for (const sessionId of sessions.keys()) this.#ofSession.delete(sessionId)
    }
  }
}

function chargeOf({ sessions }: UsageRecord): { readonly charged: bigint; readonly isSettled: boolean } {
  const charges = [...sessions.values()]
  return { charged: charges.reduce<bigint>((sum, charge) => sum + (charge ?? 0n), 0n), isSettled: !charges.includes(null) }
}

function formOf(record: UsageRecord): object {
  const { requestId, createdMs, modelId, serviceTier, pool, status, promptTokens, completionTokens, routes } = record
  const { charged, isSettled } = chargeOf(record)
  return {
    object: 'usage',
    request_id: requestId,
    created: Math.floor(createdMs / 1_000),
    model: modelId,
    service_tier: serviceTier,
    pool,
    status,
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    credits: formatCredits(charged),
    settled: isSettled && status !== 'running',
    routes: routes.map(routeForm),
  }
}

export function routeForm({ stages, path, repairs }: Route): object {
  return {
    path,
    repairs,
    stages: stages.map(({ peerId, firstLayer, endLayer, engine, link }) => ({
      peer: peerId,
      first_layer: firstLayer,
      end_layer: endLayer,
      engine,
      link,
    })),
  }
}

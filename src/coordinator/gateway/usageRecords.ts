/**
 * UsageRecords: what each request asked for and cost, for who asks later: never a word of it. Of this process and for a day; the ledger's statement
 * has what was paid for good.
 */

import { type Clock, formatCredits, type ModelId, type Pool, type SessionId } from '../../shared/index.ts'
import type { StageAudit } from '../economy/index.ts'
import type { Outcome, Route } from './answering.ts'
import type { ServiceTier } from './requests.ts'

export interface UsageStart {
  readonly requestId: string
  /** Whose it is: its API key's account; null: nobody's. */
  readonly account: string | null
  /** The API key's id, no secret; null: none was asked for. */
  readonly keyId: string | null
  readonly modelId: ModelId
  readonly serviceTier: ServiceTier
  /** Whose tabs might compute it. */
  readonly pool: Pool
}

type Status = 'running' | 'completed' | 'failed'
type Computed = 'promptTokens' | 'completionTokens' | 'routes'

interface UsageRecord extends UsageStart {
  readonly createdMs: number
  status: Status
  promptTokens: number
  completionTokens: number
  routes: readonly Route[]
  isTold: boolean
  /** Micro-credits of each of its sessions; null: not settled yet. */
  readonly sessions: Map<SessionId, bigint | null>
  readonly audits: (StageAudit & { readonly sessionId: SessionId })[]
}

/** A request that is over, with what it has cost where `settled` says so. */
export type UsageEvent = ReturnType<typeof eventOf>

const KEPT_MS = 24 * 3_600_000
/** A few hundred bytes each. */
const RECORDS_MAX = 20_000
/** Of one account, told at once. */
const LISTED_MAX = 100
/** Of one request: each of eight choices over eight stages. */
const AUDITS_MAX = 64

export class UsageRecords {
  readonly #clock: Clock
  readonly #onEvent: (event: UsageEvent) => void
  /** Oldest first. */
  readonly #records = new Map<string, UsageRecord>()
  readonly #ofSession = new Map<SessionId, UsageRecord>()
  /** Sessions whose cost is not known yet. */
  #unsettled = 0
  #onSettled: () => void = () => undefined

  /** `onEvent` hears of each request once: when it is settled, or will not be any more. */
  constructor(clock: Clock, onEvent: (event: UsageEvent) => void = () => undefined) {
    this.#clock = clock
    this.#onEvent = onEvent
  }

  begin(start: UsageStart): void {
    this.#forget()
    const fresh = { promptTokens: 0, completionTokens: 0, routes: [], sessions: new Map(), audits: [], isTold: false }
    this.#records.set(start.requestId, { ...start, ...fresh, createdMs: this.#clock.nowMs(), status: 'running' })
  }

  /** One of its answers is computed in that session. */
  opened(requestId: string, sessionId: SessionId): void {
    const record = this.#records.get(requestId)
    if (record === undefined) return
    record.sessions.set(sessionId, null)
    this.#ofSession.set(sessionId, record)
    this.#unsettled++
  }

  /** What it failed with is computed and charged all the same; what is left out stays as it was. */
  ended(requestId: string, status: Exclude<Status, 'running'>, computed: Partial<Pick<Outcome, Computed>>): void {
    const record = this.#records.get(requestId)
    if (record === undefined) return
    const { promptTokens = record.promptTokens, completionTokens = record.completionTokens, routes = record.routes } = computed
    Object.assign(record, { status, promptTokens, completionTokens, routes })
    if (chargeOf(record).isSettled) this.#tell(record)
  }

  settled(sessionId: SessionId, charged: bigint): void {
    const record = this.#ofSession.get(sessionId)
    if (record === undefined || record.sessions.get(sessionId) !== null) return
    record.sessions.set(sessionId, charged)
    this.#unsettled--
    if (record.status !== 'running' && chargeOf(record).isSettled) this.#tell(record)
    if (this.#unsettled === 0) this.#onSettled()
  }

  /** A stage's part was computed again, once the session had ended. */
  audited(sessionId: SessionId, audit: StageAudit): void {
    const audits = this.#ofSession.get(sessionId)?.audits
    if (audits !== undefined && audits.length < AUDITS_MAX) audits.push({ ...audit, sessionId })
  }

  /** Resolves once no session's cost is unknown any more, or that time has passed. */
  async whenSettled(withinMs: number): Promise<void> {
    if (this.#unsettled === 0) return
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(withinMs, resolve)
      this.#onSettled = () => {
        cancel()
        resolve()
      }
    })
  }

  /** Nothing more becomes known of any. */
  close(): void {
    for (const record of this.#records.values()) this.#tell(record)
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

  #tell(record: UsageRecord): void {
    if (record.isTold) return
    record.isTold = true
    this.#onEvent(eventOf(record))
  }

  #forget(): void {
    const oldestMs = this.#clock.nowMs() - KEPT_MS
    for (const [requestId, record] of this.#records) {
      const { createdMs, sessions } = record
      if (createdMs >= oldestMs && this.#records.size < RECORDS_MAX) return
      this.#tell(record)
      this.#records.delete(requestId)
      for (const [sessionId, charged] of sessions) {
        this.#ofSession.delete(sessionId)
        if (charged === null) this.#unsettled--
      }
    }
  }
}

function chargeOf({ sessions }: UsageRecord): { readonly charged: bigint; readonly isSettled: boolean } {
  const charges = [...sessions.values()]
  return { charged: charges.reduce<bigint>((sum, charge) => sum + (charge ?? 0n), 0n), isSettled: !charges.includes(null) }
}

function eventOf(record: UsageRecord) {
  const { account, keyId } = record
  return { ...formOf(record), account, key: keyId }
}

function formOf(record: UsageRecord) {
  const { requestId, createdMs, modelId, serviceTier, pool, status, promptTokens, completionTokens, routes, audits } = record
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
    audits: audits.map(auditForm),
  }
}

function auditForm({ sessionId, peerId, span, auditors, verdict }: UsageRecord['audits'][number]): object {
  return {
    session: sessionId,
    peer: peerId,
    first_layer: span.firstLayer,
    end_layer: span.endLayer,
    auditors: auditors.map(({ kind, peerId: peer }) => ({ kind, peer })),
    verdict,
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

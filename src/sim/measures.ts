/** Measures: what a simulation counts and times, and what it says in the end. Times are milliseconds of virtual time. */

import type { Span } from '../model/index.ts'
import { type ModelId, required } from '../shared/index.ts'
import type { FaultKind } from './faults.ts'
import type { Broken, Counts } from './invariants.ts'
import type { ReceiptFigures } from './receiptCheck.ts'
import type { Asking, Outcome } from './requesterTab.ts'

export interface Quantiles {
  readonly count: number
  readonly median: number | null
  readonly p95: number | null
}

/** One peer's span at the end; indexes of the scenario's groups and models. */
export interface HeldSpan {
  readonly group: number
  readonly model: number
  readonly span: Span
}

interface End {
  readonly broken: Broken | null
  readonly holesMs: readonly number[]
  readonly faults: Readonly<Record<FaultKind, number>>
  readonly events: number
  readonly held: readonly HeldSpan[]
  readonly receipts: ReceiptFigures
}

export class Measures {
  asked = 0
  joins = 0
  leaves = 0
  moves = 0
  liars = 0
  answered = 0
  /** Sessions that were given up because their own tab was closed. */
  left = 0
  laps = 0
  tokens = 0
  /** Time that answers took from their first token to their last, all together. */
  decodeMs = 0
  /** The same by model and the requester's region. */
  readonly decodeMsOf = new Map<ModelId, Map<string, number>>()
  /** In these times. */
  decodeLaps = 0
  /** Stages that these laps went through, at least. */
  decodeStages = 0
  /** Of all questions that were granted a chain. */
  sessions = 0
  /** Tabs that were there, at the worst moment. */
  peersLeast = Number.POSITIVE_INFINITY
  readonly refused: Record<string, number> = {}
  readonly failed: Record<string, number> = {}
  readonly admissionMs: number[] = []
  readonly firstTokenMs: number[] = []
  readonly repairMs: number[] = []
  readonly startMs: number
  #end: End | null = null

  constructor(startMs: number) {
    this.startMs = startMs
  }

  count(asking: Asking, outcome: Outcome, nowMs: number): void {
    const { askedMs, grantedMs, firstTokenMs, tokens, laps, repairsMs } = asking
    if (grantedMs !== null) {
      this.sessions++
      this.admissionMs.push(grantedMs - askedMs)
    }
    this.tokens += tokens
    // Of a session that did not end the drafts are not told: at least one lap brought each token.
    this.laps += outcome.kind === 'answered' ? laps : tokens
    if (firstTokenMs !== null) this.firstTokenMs.push(firstTokenMs - askedMs)
    for (const repairMs of repairsMs) this.repairMs.push(repairMs)
    if (outcome.kind === 'answered') {
      this.answered++
      if (firstTokenMs !== null) {
        this.#decoded(asking, nowMs - firstTokenMs)
        this.decodeLaps += laps - 1
        this.decodeStages += (laps - 1) * asking.stagesFewest
      }
    } else if (outcome.kind === 'left') this.left++
    else {
      const reasons = outcome.kind === 'refused' ? this.refused : this.failed
      reasons[outcome.reason] = (reasons[outcome.reason] ?? 0) + 1
    }
  }

  #decoded({ question, region }: Asking, ms: number): void {
    const { modelId } = question.model
    const byRegion = this.decodeMsOf.get(modelId) ?? new Map<string, number>()
    this.decodeMsOf.set(modelId, byRegion.set(region, ms + (byRegion.get(region) ?? 0)))
    this.decodeMs += ms
  }

  present(peers: number): void {
    this.peersLeast = Math.min(this.peersLeast, peers)
  }

  /** What a run must have enough of: a session is served to an end when it was answered, or failed; leaves are faults too. */
  countsWith(faults: Readonly<Record<FaultKind, number>>): Counts {
    const sum = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((total, count) => total + count, 0)
    return { peers: this.peersLeast, sessions: this.answered + sum(this.failed), faults: this.leaves + sum(faults) }
  }

  end(end: End): this {
    this.#end = end
    return this
  }

  get broken(): Broken | null {
    return this.#end?.broken ?? null
  }

  get held(): readonly HeldSpan[] {
    return this.#end?.held ?? []
  }

  /** After the end. */
  get receipts(): ReceiptFigures {
    return required(this.#end, 'the end of the simulation').receipts
  }

  /** After the end. */
  get counts(): Counts {
    return this.countsWith(required(this.#end, 'the end of the simulation').faults)
  }

  summary() {
    const { sessions, laps, tokens, joins, leaves, moves, liars, asked, answered, left, refused, failed } = this
    return {
      sessions,
      laps,
      tokens,
      events: this.#end?.events ?? 0,
      joins,
      leaves,
      liars,
      faults: this.#end?.faults ?? {},
      asked,
      answered,
      refused,
      failed,
      left,
      repairs: quantiles(this.repairMs),
      /** Layers that nobody served, until somebody did. */
      holes: quantiles(this.#end?.holesMs ?? []),
      receipts: this.receipts,
      moves,
      movesPerLeave: leaves === 0 ? 0 : round(moves / leaves),
      admission: quantiles(this.admissionMs),
      firstToken: quantiles(this.firstTokenMs),
      /** Of one session. */
      lapsPerSecond: this.decodeMs === 0 ? null : round((1_000 * this.decodeLaps) / this.decodeMs),
    }
  }
}

export function quantiles(values: readonly number[]): Quantiles {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number) => {
    const value = sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
    return value === undefined ? null : round(value)
  }
  return { count: sorted.length, median: at(0.5), p95: at(0.95) }
}

/** Three digits behind the point are enough to read. */
function round(value: number): number {
  return Math.round(value * 1_000) / 1_000
}

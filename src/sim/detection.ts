/**
 * Detection: one cheat among honest peers, session after session, with the real verification and distances drawn from a measured table. In
 * each session the cheater, its honest twin and one more compute the same rows for the same requester, so that what the two are paid compares.
 * Only what verification is told is modelled: receipts, answers to challenges, auditors' distances.
 */

import {
  type Auditor,
  afterDraw,
  auditProbability,
  type DataCheat,
  type DistanceTable,
  distanceAt,
  isBanned,
  isPair,
  type TrustRecord,
  toleranceOf,
  VERIFICATION_DEFAULTS,
  Verification,
  type VerificationEffect,
  type VerificationEvent,
  type WorkLine,
} from '../coordinator/verification/index.ts'
import { type Grant, type LinkTally, type Receipt, type RowCounts, rowTotal } from '../protocol/index.ts'
import { type ManifestHash, type ModelId, type PeerId, required, type SessionId } from '../shared/index.ts'
import { Chance } from './chance.ts'

/** replay-receipt: signs hashes of an earlier session. none: everybody is honest. */
export type Cheat = DataCheat | 'replay-receipt' | 'none'

export interface DetectionOptions {
  readonly table: DistanceTable
  readonly cheat: Cheat
  readonly seed: number
  /** Sessions in which the cheater takes part. */
  readonly requests: number
}

export interface DetectionRun {
  /** The session, from 1 on, whose verdict was the first against the cheater; null: none. */
  readonly detectedAt: number | null
  readonly audits: number
  /** Rows × layers that sessions took, and that auditors computed again. */
  readonly sessionWork: number
  readonly auditWork: number
  /** Rows × layers, by release from escrow. */
  readonly paidToCheater: number
  readonly paidToTwin: number
  /** Failures laid to honest peers. */
  readonly falsePositives: number
}

/** Beside driver, cheater and twin: those who stand third in a chain, and audit. */
const OTHERS = 12
const OTHERS_FROM = 3
const LAYERS = 10
/** Of a prompt, and of an answer; short ones more often. */
const ROWS = { least: 20, most: 400 }
/** Proven long ago: audits are as rare as they get. Cheats begin right behind an audit, when the next is farthest. */
const PROVEN: TrustRecord = { validInARow: 1_000, sinceAudit: 0, failures: 0, strikesMs: [] }
/** Results after which it does not matter any more when the first audit was. */
const SETTLED_RESULTS = 100
const SESSION_MS = 60_000
/** After which the rule has settled everything. */
const END_MS = 25 * 3_600_000

const idOf = (index: number) => index.toString(16).padStart(32, '0')
const peerOf = (index: number) => idOf(index) as PeerId
const DRIVER = peerOf(0)
const CHEATER = peerOf(1)
const TWIN = peerOf(2)
/** Belongs to a colluding cheater without anybody knowing it, and is asked to audit as often as others. */
const ACCOMPLICE = peerOf(OTHERS_FROM)
const NOTHING: RowCounts = { prompt: 0, decode: 0, results: 0 }

export function detect(options: DetectionOptions): DetectionRun {
  return new Detection(options).run()
}

class Detection {
  readonly #options: DetectionOptions
  readonly #chance: Chance
  readonly #verification: Verification
  readonly #classes = new Map<PeerId, string>()
  readonly #claims = new Map<string, { readonly peerId: PeerId; readonly work: number }>()
  readonly #challenges = new Map<string, { readonly peerId: PeerId; readonly work: number }>()
  readonly #paid = new Map<PeerId, number>()
  readonly #failures = new Map<PeerId, number>()
  readonly #totals = { audits: 0, sessionWork: 0, auditWork: 0 }
  #nowMs = 0
  #request = 0
  #detectedAt: number | null = null

  constructor(options: DetectionOptions) {
    this.#options = options
    this.#chance = new Chance(options.seed, 1)
    const classes = [...new Set(options.table.honest.flatMap((pair) => pair.classes))]
    const peers = Array.from({ length: OTHERS_FROM + OTHERS }, (_, index) => peerOf(index))
    for (const peerId of peers) this.#classes.set(peerId, this.#chance.pick(classes) ?? '')
    const secret = new Chance(options.seed, 2)
    this.#verification = new Verification({
      holderOf: (peerId) => peerId,
      networkOf: () => null,
      linked: () => false,
      random: () => secret.unit(),
      hasOwnEngine: () => false,
      hasCanaries: () => false,
      candidates: () => peers.slice(OTHERS_FROM).map((peerId) => ({ peerId, holder: peerId, kind: 'loaded', network: null })),
      tolerance: (auditor, other) => toleranceOf(options.table, this.#classOf(auditor), this.#classOf(other)),
      trust: peers.map((peerId) => [peerId, this.#isHonest(peerId) ? someTimeAfter(this.#chance) : PROVEN] as const),
    })
  }

  run(): DetectionRun {
    for (this.#request = 1; this.#request <= this.#options.requests; this.#request++) {
      this.#session()
      this.#nowMs += SESSION_MS
      this.#tell({ kind: 'tick' })
    }
    this.#nowMs += END_MS
    this.#tell({ kind: 'tick' })
    const paid = (peerId: PeerId) => this.#paid.get(peerId) ?? 0
    const falsePositives = [...this.#failures].reduce((sum, [peerId, count]) => sum + (this.#isHonest(peerId) ? count : 0), 0)
    return { detectedAt: this.#detectedAt, ...this.#totals, paidToCheater: paid(CHEATER), paidToTwin: paid(TWIN), falsePositives }
  }

  /** A banned cheater is chosen no more: somebody else takes its place. */
  #session(): void {
    const third = peerOf(OTHERS_FROM + this.#chance.upTo(OTHERS - 2))
    const second = isBanned(this.#verification.trustOf(CHEATER)) ? peerOf(OTHERS_FROM + OTHERS - 1) : CHEATER
    const grant = grantOf(idOf(this.#request) as SessionId, [TWIN, second, third])
    const decode = this.#chance.mostlyShort(ROWS.least, ROWS.most)
    const rows = { prompt: this.#chance.mostlyShort(ROWS.least, ROWS.most), decode, results: decode }
    this.#totals.sessionWork += rowTotal(rows) * LAYERS * grant.stages.length
    this.#tell({ kind: 'opened', grant, requester: 'requester', ownGateway: false, isCanary: false })
    for (const receipt of receiptsOf(grant, rows)) this.#tell({ kind: 'receipt', receipt: this.#signed(receipt) })
    this.#tell({ kind: 'closed', sessionId: grant.sessionId, failure: null })
  }

  #signed(receipt: Receipt): Receipt {
    if (this.#options.cheat !== 'replay-receipt' || receipt.peerId !== CHEATER) return receipt
    const old = (tally: LinkTally) => ({ ...tally, hash: 'f'.repeat(64) })
    return { ...receipt, received: old(receipt.received), sent: old(receipt.sent) }
  }

  #tell(event: VerificationEvent): void {
    for (const effect of this.#verification.handle(event, this.#nowMs)) this.#carryOut(effect)
  }

  #carryOut(effect: VerificationEffect): void {
    switch (effect.kind) {
      case 'settle':
        for (const { claimId, peerId, lines } of effect.claims) this.#claims.set(claimId, { peerId, work: workOf(lines) })
        break
      case 'release': {
        const claim = this.#claims.get(effect.claimId)
        if (claim !== undefined) this.#paid.set(claim.peerId, (this.#paid.get(claim.peerId) ?? 0) + claim.work)
        break
      }
      case 'challenge': {
        const { claimId, peerId, endPosition } = effect
        this.#totals.audits++
        this.#challenges.set(claimId, { peerId, work: endPosition * LAYERS })
        this.#tell({ kind: 'answered', claimId, committed: true })
        break
      }
      case 'audit':
        this.#audit(effect)
        break
      case 'trust':
        if (effect.record.failures > 0) this.#failed(effect.holder as PeerId, effect.record.failures)
        break
      default:
        break
    }
  }

  #failed(peerId: PeerId, failures: number): void {
    this.#failures.set(peerId, failures)
    if (peerId === CHEATER) this.#detectedAt ??= this.#request
  }

  #audit({ claimId, auditor, against }: Extract<VerificationEffect, { kind: 'audit' }>): void {
    const { peerId, work } = required(this.#challenges.get(claimId), `the challenge of ${claimId}`)
    this.#totals.auditWork += work
    const between = against === null ? null : this.#distance(idIn(against), idIn(auditor), peerId)
    this.#tell({ kind: 'audited', claimId, distance: this.#distance(peerId, idIn(auditor), peerId), between })
  }

  /** Between the rows of two peers that computed the work of `audited`. */
  #distance(one: PeerId, other: PeerId, audited: PeerId): number {
    const { table, cheat } = this.#options
    const isWrong = (peerId: PeerId) =>
      audited === CHEATER && table.cheats.some((entry) => entry.cheat === cheat) && !this.#isHonest(peerId)
    const wrong = Number(isWrong(one)) + Number(isWrong(other))
    // Accomplices say what the cheater says.
    if (wrong === 2) return 0
    const spreads = wrong === 1 ? table.cheats.filter((entry) => entry.cheat === cheat) : table.honest
    const pair = spreads.find(({ classes }) => isPair(classes, this.#classOf(one), this.#classOf(other)))
    return distanceAt(required(pair, `the spread of ${cheat} between ${one} and ${other}`).spread, this.#chance.unit())
  }

  #isHonest(peerId: PeerId): boolean {
    const { cheat } = this.#options
    return cheat === 'none' || (peerId !== CHEATER && !(cheat === 'collude' && peerId === ACCOMPLICE))
  }

  #classOf(one: PeerId | Auditor): string {
    const peerId = typeof one === 'string' ? one : idIn(one)
    return required(this.#classes.get(peerId), `the numeric class of peer ${peerId}`)
  }
}

/** All auditors here are peers. */
function idIn(auditor: Auditor): PeerId {
  return 'peerId' in auditor ? auditor.peerId : DRIVER
}

/** As any honest peer's is at any time. */
function someTimeAfter(chance: Chance): TrustRecord {
  let record = PROVEN
  for (let result = 0; result < SETTLED_RESULTS; result++)
    record = afterDraw(record, chance.happens(auditProbability(record, VERIFICATION_DEFAULTS)))
  return record
}

function workOf(lines: readonly WorkLine[]): number {
  return lines.reduce((sum, { rows, firstLayer, endLayer }) => sum + rowTotal(rows) * (endLayer - firstLayer), 0)
}

function grantOf(sessionId: SessionId, stages: readonly PeerId[]): Grant {
  return {
    version: 1,
    sessionId,
    revision: 0,
    modelId: 'model' as ModelId,
    manifestHash: '0'.repeat(64) as ManifestHash,
    driver: DRIVER,
    stages: stages.map((peerId, index) => ({ peerId, firstLayer: LAYERS * index, endLayer: LAYERS * (index + 1) })),
    maxPositions: 2 * ROWS.most,
    topK: 1,
    rowEncoding: 'f16e',
    issuedAtMs: 0,
    expiresAtMs: Number.MAX_SAFE_INTEGER,
  }
}

/** What everybody signs at the end of a session without any incident. */
function receiptsOf({ sessionId, driver, stages }: Grant, rows: RowCounts): Receipt[] {
  const link = (index: number): LinkTally => ({ ...rows, firstPosition: 0, endPosition: rowTotal(rows), hash: `${index + 1}`.repeat(64) })
  const common = { version: 1, sessionId, revision: 0, epoch: 0, sequence: 1, timeMs: 0, final: true, head: null } as const
  return [
    { ...common, peerId: driver, party: { kind: 'driver', resent: NOTHING }, received: link(stages.length), sent: link(0) },
    ...stages.map(({ peerId, firstLayer, endLayer }, index): Receipt => {
      const party = { kind: 'stage', index, firstLayer, endLayer, computed: rows } as const
      return { ...common, peerId, party, received: link(index), sent: link(index + 1) }
    }),
  ]
}

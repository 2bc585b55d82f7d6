/**
 * ChainRepair: what a session's chain has lost, and how it gets another one: who is lost at the same moment is gathered, then the
 * coordinator is asked. Gives up on what another chain would not mend, and when repairs bring no results. Rules [R] of protocol/SPEC.md.
 */

import type { Grant, SeveredFrame } from '../protocol/index.ts'
import { type CancelTimer, type Clock, type PeerId, toErrorBody } from '../shared/index.ts'
import type { RepairedGrant, RepairRequest } from './chain.ts'
import { SessionError, type SessionErrorReason } from './errors.ts'
import { Severances } from './severances.ts'

/** After a first loss: who is lost with it is noticed within this time. Twice as long for each repair in a row that brought no results. */
export const GATHER_MS = 50

/** Repairs in a row that brought no results, and how long they have to go on: stages tell within seconds what room they have. */
const REPAIRS_LEAST = 4
const REPAIRS_LEAST_MS = 6_000

/** Failures that another chain has not. */
const FINAL_REASONS: readonly SessionErrorReason[] = ['cancelled', 'bad-request', 'prompt-too-long']

export interface ChainRepairOptions {
  /** Null: a chain that breaks ends. */
  readonly repair: ((request: RepairRequest) => Promise<RepairedGrant>) | null
  readonly clock: Clock
  readonly coordinatorNowMs: () => number
  readonly onGranted: (chain: RepairedGrant) => void
  readonly onGivenUp: (error: SessionError) => void
}

/** What has been lost since the chain last worked. */
interface Loss {
  readonly error: SessionError
  readonly peerIds: Set<PeerId>
}

export class ChainRepair {
  readonly #options: ChainRepairOptions
  /** Null while the chain works, or is being opened and nobody is missing. */
  #loss: Loss | null = null
  #inVain = 0
  /** When the first of those was asked for. */
  #inVainSinceMs = 0
  /** A repaired chain is open that has brought no results yet. */
  #isNew = false
  readonly #severances = new Severances()
  #cancelGather: CancelTimer = () => undefined
  #stopped = false

  constructor(options: ChainRepairOptions) {
    this.#options = options
  }

  get isBroken(): boolean {
    return this.#loss !== null
  }

  /**
   * The chain `broken` has lost `peerId`, null: a link between two peers. False when nothing can be done about it; else
   * `onGranted` or `onGivenUp` follows.
   */
  lose(error: SessionError, peerId: PeerId | null, broken: Grant): boolean {
    const { repair, clock, coordinatorNowMs } = this.#options
    if (repair === null || FINAL_REASONS.includes(error.reason)) return false
    // A stage says so of a session that it did not hear of, too, or at any time.
    if (error.reason === 'expired' && coordinatorNowMs() >= broken.expiresAtMs) return false
    if (this.#loss !== null) {
      if (peerId !== null) this.#loss.peerIds.add(peerId)
      return true
    }
    if (this.#isHopeless) return false
    const loss = { error, peerIds: new Set(peerId === null ? [] : [peerId]) }
    this.#loss = loss
    if (this.#inVain === 0) this.#inVainSinceMs = clock.nowMs()
    const gatherMs = GATHER_MS * 2 ** this.#inVain++
    this.#cancelGather = clock.after(gatherMs, () => void this.#ask(repair, loss, broken))
    return true
  }

  /** A stage of the chain `grant` says that it lost its neighbor; returns the stages that are lost by that, perhaps none. */
  severed(stageIndex: number, { neighbor, reason }: SeveredFrame, { stages }: Grant): number[] {
    const other = stageIndex + (neighbor === 'upstream' ? -1 : 1)
    const by = stages[stageIndex]?.peerId
    const accused = stages[other]?.peerId
    // What the driver knows already is no accusation.
    if (by === undefined || (accused !== undefined && this.#loss?.peerIds.has(accused))) return []
    const { isNeighborLost, isTellerLost } = this.#severances.add({
      by,
      accused: accused ?? null,
      neighbor,
      reason,
      isNews: !this.isBroken,
    })
    return [...(isNeighborLost ? [other] : []), ...(isTellerLost ? [stageIndex] : [])]
  }

  /** Every stage of the repaired chain has answered. */
  opened(): void {
    this.#isNew = true
  }

  /** Results have come; true when they are the first since a repair. */
  resultsCame(): boolean {
    const isFirst = this.#isNew
    this.#isNew = false
    this.#inVain = 0
    this.#severances.resultsCame()
    return isFirst
  }

  get #isHopeless(): boolean {
    return this.#inVain >= REPAIRS_LEAST && this.#options.clock.nowMs() - this.#inVainSinceMs >= REPAIRS_LEAST_MS
  }

  stop(): void {
    this.#stopped = true
    this.#cancelGather()
  }

  async #ask(repair: NonNullable<ChainRepairOptions['repair']>, loss: Loss, { sessionId, revision }: Grant): Promise<void> {
    try {
      for (;;) {
        const known = loss.peerIds.size
        const chain = await repair({ sessionId, revision, lostPeerIds: [...loss.peerIds] })
        if (this.#stopped) return
        // Who was lost meanwhile may be in it.
        if (loss.peerIds.size > known && chain.grant.stages.some(({ peerId }) => loss.peerIds.has(peerId))) continue
        this.#loss = null
        this.#options.onGranted(chain)
        return
      }
    } catch (error) {
      if (this.#stopped) return
      const { reason, message, stageIndex } = loss.error
      const where = stageIndex === null ? {} : { stageIndex }
      this.#options.onGivenUp(new SessionError(reason, `${message}; nobody takes its place: ${toErrorBody(error).message}`, where))
    }
  }
}

/**
 * Segment: the receipts of one session's chain under one revision of its grant, by their place in the ring: 0 the driver, 1 … n the
 * stages. Link j leads from place j to the next, the last one back to the driver. Bounded; rules V4 and V6 of SPEC.md.
 */

import { CHECKPOINT_POSITIONS, type Grant, type Receipt, type RowCounts, receiptMisfit, WINDOW_ROWS } from '../../protocol/index.ts'
import { type PeerId, required } from '../../shared/index.ts'
import { mostRows } from './rows.ts'

/**
 * Receipts kept of one peer, the newest. Neighbors are at most a window apart: four checkpoints; the driver, whose results come
 * last, is that much behind stage 0 for each hop of a long chain, and may be compared later than others.
 */
const RECEIPTS_KEPT = 16 * (WINDOW_ROWS / CHECKPOINT_POSITIONS)

/** Layers that a peer computed. */
export interface PartSpan {
  readonly firstLayer: number
  readonly endLayer: number
}

export class Segment {
  readonly grant: Grant
  readonly #receipts: Receipt[][]

  constructor(grant: Grant) {
    this.grant = grant
    this.#receipts = [grant.driver, ...grant.stages].map(() => [])
  }

  /** Stages and the driver. */
  get size(): number {
    return this.#receipts.length
  }

  /** Why it does not count, or null. */
  add(receipt: Receipt): string | null {
    const misfit = receiptMisfit(receipt, this.grant)
    if (misfit !== null) return `the receipt is of ${misfit}`
    const { party, sequence } = receipt
    const known = this.of(party.kind === 'driver' ? 0 : party.index + 1)
    if (sequence <= (known.at(-1)?.sequence ?? -1)) return `the receipt's sequence ${sequence} does not rise`
    known.push(receipt)
    if (known.length > RECEIPTS_KEPT) known.shift()
    return null
  }

  /** In rising sequence. */
  of(place: number): Receipt[] {
    return required(this.#receipts[place % this.size], `place ${place} of a ring of ${this.size}`)
  }

  peerAt(place: number): PeerId {
    const { driver, stages } = this.grant
    return place % this.size === 0 ? driver : required(stages[(place % this.size) - 1], `stage ${place - 1}`).peerId
  }

  /** Null: of the driver. */
  spanAt(place: number): PartSpan | null {
    const stage = this.grant.stages[(place % this.size) - 1]
    return stage === undefined ? null : { firstLayer: stage.firstLayer, endLayer: stage.endLayer }
  }

  /** Of a stage; 0: it is none. */
  placeOf(peerId: PeerId): number {
    return this.grant.stages.findIndex((stage) => stage.peerId === peerId) + 1
  }

  /** Stages and driver whose part has not ended by their own word. */
  get unfinished(): PeerId[] {
    return this.#receipts.flatMap((receipts, place) => (receipts.some(({ final }) => final) ? [] : [this.peerAt(place)]))
  }

  hasFinal(place: number): boolean {
    return this.of(place).some(({ final }) => final)
  }

  /** The most rows of each kind that it says passed that link. */
  most(place: number, link: 'received' | 'sent'): RowCounts {
    return mostRows(this.of(place).map((receipt) => receipt[link]))
  }

  /** Where that link of its begins, by its newest word; null when it has said nothing. */
  firstPosition(place: number, link: 'received' | 'sent'): number | null {
    return this.of(place).at(-1)?.[link].firstPosition ?? null
  }

  /** How far that link of its ever got, by its word. */
  endPosition(place: number, link: 'received' | 'sent'): number {
    return Math.max(0, ...this.of(place).map((receipt) => receipt[link].endPosition))
  }
}

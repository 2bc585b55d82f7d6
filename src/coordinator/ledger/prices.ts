/**
 * Prices: what work costs under one version of the operator's table, and how a payment is split. All weights are in thousandths, so that
 * a price is exact until it is rounded up, once a settlement.
 */

import * as v from 'valibot'
import type { Tier } from '../../shared/index.ts'
import { divideUp, largestRemainder } from './amounts.ts'

/** Kinds of work: rows computed one after another, a prompt's rows, and a prompt's rows that were reused. */
export const workKinds = ['decode', 'prompt', 'cachedPrompt'] as const
/** Multiply-accumulates of each kind. */
export type Work = Readonly<Record<(typeof workKinds)[number], bigint>>

const thousandths = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1_000_000))

export const priceTableSchema = v.strictObject({
  /** Of the standard price of a decode row's work. */
  work: v.strictObject({ decode: thousandths, prompt: thousandths, cachedPrompt: thousandths }),
  tiers: v.strictObject({ spot: thousandths, standard: thousandths, priority: thousandths }),
  /** Of each payment; they add up to 1,000. */
  split: v.pipe(
    v.strictObject({ stages: thousandths, fee: thousandths, verification: thousandths }),
    v.check(({ stages, fee, verification }) => stages + fee + verification === 1_000, 'the parts of a split must add up to 1,000'),
  ),
})

export type PriceTable = v.InferOutput<typeof priceTableSchema>

export const DEFAULT_PRICES: PriceTable = {
  work: { decode: 1_000, prompt: 250, cachedPrompt: 60 },
  tiers: { spot: 500, standard: 1_000, priority: 2_000 },
  split: { stages: 820, fee: 100, verification: 80 },
}

/** Multiply-accumulates that one micro-credit pays for at weight 1. */
const MACS_PER_MICRO_CREDIT = 1_000_000n
const ONE = 1_000n

/** Times the standard price, as people read it. */
export function tierFactors({ tiers: { spot, standard, priority } }: PriceTable): Readonly<Record<Tier, number>> {
  return { spot: spot / 1_000, standard: standard / 1_000, priority: priority / 1_000 }
}

/** Thousandths of multiply-accumulates, each kind by its weight. */
export function weightedWork(table: PriceTable, work: Work): bigint {
  return workKinds.reduce((sum, kind) => sum + work[kind] * BigInt(table.work[kind]), 0n)
}

/** Micro-credits, rounded up. */
export function priceOf(table: PriceTable, tier: Tier, work: Work): bigint {
  return divideUp(weightedWork(table, work) * BigInt(table.tiers[tier]), ONE * ONE * MACS_PER_MICRO_CREDIT)
}

export interface StageWork {
  readonly account: string
  readonly work: Work
  /** Until it is trusted, half of its share goes to verification. */
  readonly newcomer: boolean
}

export interface Split {
  /** Micro-credits, in the order of the stages. */
  readonly stages: readonly bigint[]
  readonly fee: bigint
  readonly verification: bigint
}

/** Who gets what of `charge` micro-credits. The stages share by the work that each did, of which there must be some. */
export function splitCharge(table: PriceTable, charge: bigint, stages: readonly StageWork[]): Split {
  const { split } = table
  const [pot = 0n, fee = 0n, verification = 0n] = largestRemainder(charge, [split.stages, split.fee, split.verification].map(BigInt))
  const whole = largestRemainder(
    pot,
    stages.map(({ work }) => weightedWork(table, work)),
  )
  const withheld = stages.map(({ newcomer }, index) => (newcomer ? (whole[index] ?? 0n) / 2n : 0n))
  return {
    stages: whole.map((share, index) => share - (withheld[index] ?? 0n)),
    fee,
    verification: withheld.reduce((sum, half) => sum + half, verification),
  }
}

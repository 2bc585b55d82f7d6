/**
 * Work: the multiply-accumulates of rows in a span of layers. Matrices count what a position uses, so a mixture of experts its chosen
 * experts; attention counts the keys that a layer sees; the head counts for rows whose logits were wanted.
 */

import {
  attentionWidths,
  headMultiplyAccumulates,
  isLastSpan,
  layerMultiplyAccumulates,
  layerTraits,
  type ModelConfig,
  type Span,
} from '../../model/index.ts'
import type { Tier } from '../../shared/index.ts'
import { formatCredits } from '../../shared/index.ts'
import { divideUp } from './amounts.ts'
import { type PriceTable, priceOf, type Work, workKinds } from './prices.ts'

/** Consecutive positions of one kind. */
export interface WorkRows {
  readonly kind: keyof Work
  readonly firstPosition: number
  readonly rowCount: number
  /** Of these rows, those whose logits were wanted. */
  readonly resultCount: number
}

export const NO_WORK: Work = { decode: 0n, prompt: 0n, cachedPrompt: 0n }

/** Multiply-accumulates that `span` spends on `rows`. */
export function workOf(config: ModelConfig, span: Span, rows: readonly WorkRows[]): Work {
  const work = { ...NO_WORK }
  for (const { kind, firstPosition, rowCount, resultCount } of rows) {
    for (let layer = span.firstLayer; layer < span.endLayer; layer++) work[kind] += layerWork(config, layer, firstPosition, rowCount)
    if (isLastSpan(config, span)) work[kind] += BigInt(headMultiplyAccumulates(config)) * BigInt(resultCount)
  }
  return work
}

export function addWork(a: Work, b: Work): Work {
  return { decode: a.decode + b.decode, prompt: a.prompt + b.prompt, cachedPrompt: a.cachedPrompt + b.cachedPrompt }
}

/** Each key costs one multiply-accumulate an element for its score, and its value another. */
function layerWork(config: ModelConfig, layer: number, firstPosition: number, rowCount: number): bigint {
  const { window } = layerTraits(config, layer)
  const keys = keysSeen(firstPosition + rowCount, window) - keysSeen(firstPosition, window)
  return BigInt(layerMultiplyAccumulates(config)) * BigInt(rowCount) + 2n * BigInt(attentionWidths(config).query) * keys
}

/** Keys that positions 0 … end − 1 see together: each sees itself and those before, `window` at most. */
function keysSeen(end: number, window: number | null): bigint {
  const growing = BigInt(Math.min(end, window ?? end))
  const full = BigInt(end) - growing
  return (growing * (growing + 1n)) / 2n + full * BigInt(window ?? 0)
}

/** Positions over which a list price is the mean, since attention makes later tokens dearer. */
const LIST_POSITIONS_MAX = 2_048
const MILLION = 1_000_000n

export interface ListPrice {
  /** Credits for a million tokens of each kind: exact decimals, rounded up to the micro-credit. */
  readonly decode: string
  readonly prompt: string
  readonly cachedPrompt: string
  /** The prices are means over so many first positions. */
  readonly positions: number
}

/** What a million tokens of a model cost, for people to compare; a settlement counts exactly. */
export function listPrice(config: ModelConfig, table: PriceTable, tier: Tier): ListPrice {
  const positions = Math.min(config.contextLength, LIST_POSITIONS_MAX)
  const span = { firstLayer: 0, endLayer: config.layerCount }
  const credits = workKinds.map((kind) => {
    const rows = { kind, firstPosition: 0, rowCount: positions, resultCount: kind === 'decode' ? positions : 0 }
    const million = workOf(config, span, [rows])[kind] * MILLION
    return [kind, formatCredits(divideUp(priceOf(table, tier, { ...NO_WORK, [kind]: million }), BigInt(positions)))] as const
  })
  return { ...(Object.fromEntries(credits) as Record<keyof Work, string>), positions }
}

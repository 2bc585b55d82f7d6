/** What a session may cost, and what work was done in it, in the model's active multiply-accumulates. Pure. */

import type { ModelConfig, Span } from '../../model/index.ts'
import type { RowCounts } from '../../protocol/index.ts'
import type { Tier } from '../../shared/index.ts'
import { addWork, NO_WORK, type PriceTable, priceOf, type Work, workOf } from '../ledger/index.ts'
import type { WorkLine } from '../verification/index.ts'

export interface SessionSize {
  readonly promptTokens: number
  readonly maxTokens: number
}

/** Micro-credits for all positions over all layers, rounded up: what is held, and so the most that the session can cost. At least 1. */
export function sessionPrice(config: ModelConfig, { promptTokens, maxTokens }: SessionSize, table: PriceTable, tier: Tier): bigint {
  const span = { firstLayer: 0, endLayer: config.layerCount }
  const work = workOf(config, span, [
    { kind: 'prompt', firstPosition: 0, rowCount: promptTokens, resultCount: 1 },
    { kind: 'decode', firstPosition: promptTokens, rowCount: maxTokens, resultCount: maxTokens },
  ])
  const price = priceOf(table, tier, work)
  return price > 0n ? price : 1n
}

/** Work of all lines together. `maxPositions`: the session's. */
export function workOfLines(config: ModelConfig, lines: readonly WorkLine[], maxPositions: number): Work {
  return lines.map((line) => workOfRows(config, line, line.rows, maxPositions)).reduce(addWork, NO_WORK)
}

/** An auditor computes all positions, many at a time: a prompt's work, whatever they were. `results`: of them, those whose candidates were asked for. */
export function workOfAudit(
  config: ModelConfig,
  span: Span,
  { positions, results }: { readonly positions: number; readonly results: number },
): Work {
  return workOf(config, span, [{ kind: 'prompt', firstPosition: 0, rowCount: positions, resultCount: results }])
}

/**
 * Receipts count rows and do not name their positions. So a prompt's rows are taken to stand first and the others behind them, at the session's end
 * at the latest: exact for an answer without repairs and dropped drafts, and near it else, as attention is a small part of the work. A prompt has the result
 * that was held for it: a position whose logits were asked for, too, costs what any other of the prompt does.
 */
function workOfRows(config: ModelConfig, span: Span, { prompt, decode, results }: RowCounts, maxPositions: number): Work {
  const decodeResults = Math.min(results, decode)
  const decodeFrom = Math.max(0, Math.min(prompt, maxPositions - decode))
  return workOf(config, { firstLayer: span.firstLayer, endLayer: span.endLayer }, [
    { kind: 'prompt', firstPosition: 0, rowCount: prompt, resultCount: Math.min(1, results - decodeResults) },
    { kind: 'decode', firstPosition: decodeFrom, rowCount: decode, resultCount: decodeResults },
  ])
}

/** From all logits of a position to what the last stage returns: the k best and the logsumexp. */

import type { Candidates } from '../engine.ts'
import { sumPowers } from './math.ts'

/**
 * `logits` [vocabulary], all finite. Best first, equal logits by the lower id. The logsumexp is rounded to f32, as it travels; `powers`
 * gives Σ e^(logit − greatest).
 */
export function bestCandidates(
  position: number,
  logits: Float32Array,
  topK: number,
  powers: (logits: Float32Array, greatest: number, count: number) => number = sumPowers,
): Candidates {
  const ids = new Uint32Array(topK)
  const best = new Float32Array(topK).fill(Number.NEGATIVE_INFINITY)
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id] ?? 0
    if (id >= topK && !(logit > (best[topK - 1] ?? 0))) continue
    let rank = Math.min(id, topK - 1)
    for (; rank > 0 && logit > (best[rank - 1] ?? 0); rank--) {
      best[rank] = best[rank - 1] ?? 0
      ids[rank] = ids[rank - 1] ?? 0
    }
    best[rank] = logit
    ids[rank] = id
  }
  const greatest = best[0] ?? 0
  const logSumExp = Math.fround(greatest + Math.log(powers(logits, greatest, logits.length)))
  return { position, logSumExp, ids, logits: best }
}

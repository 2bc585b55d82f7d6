/** From all logits of a position to what the last stage returns: the k best and the logsumexp. */

import type { Candidates } from '../engine.ts'

/** `logits` [vocabulary], all finite. Best first, equal logits by the lower id. The logsumexp is summed in f64 and rounded to f32, as it travels. */
export function bestCandidates(position: number, logits: Float32Array, topK: number): Candidates {
  const ids = new Uint32Array(topK)
  const best = new Float32Array(topK).fill(Number.NEGATIVE_INFINITY)
  let maximum = Number.NEGATIVE_INFINITY
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id] ?? 0
    maximum = Math.max(maximum, logit)
    if (id >= topK && !(logit > (best[topK - 1] ?? 0))) continue
    let rank = Math.min(id, topK - 1)
    for (; rank > 0 && logit > (best[rank - 1] ?? 0); rank--) {
      best[rank] = best[rank - 1] ?? 0
      ids[rank] = ids[rank - 1] ?? 0
    }
    best[rank] = logit
    ids[rank] = id
  }
  let sum = 0
  for (const logit of logits) sum += Math.exp(logit - maximum)
  return { position, logSumExp: Math.fround(maximum + Math.log(sum)), ids, logits: best }
}

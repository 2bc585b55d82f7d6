/** The truth of candidates: sort everything. */

export interface CandidatesReference {
  readonly logSumExp: number
  readonly ids: readonly number[]
}

/** The k best logits, best first, ties to the lowest id, and the logsumexp in f64. */
export function candidatesReference(logits: ArrayLike<number>, topK: number): CandidatesReference {
  const ids = Array.from({ length: logits.length }, (_, id) => id).sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b)
  const best = logits[ids[0] ?? 0] ?? 0
  let sum = 0
  for (let id = 0; id < logits.length; id++) sum += Math.exp((logits[id] ?? 0) - best)
  return { logSumExp: best + Math.log(sum), ids: ids.slice(0, topK) }
}

/** chosenTokens: how likely a token was, and the best beside it, for clients that ask for log-probabilities. Exact: the logsumexp is over the whole vocabulary. */

import type { ChosenToken, TokenLogprob } from '../coordinator/gateway/index.ts'
import type { Tokenizer } from '../model/index.ts'
import type { Candidates } from '../session/index.ts'
import { utf8DecodeLossy } from '../shared/index.ts'

/** Token `id` where `candidates` were the best; `count` of those are told beside it. */
export function chosenToken(id: number, { ids, logits, logSumExp }: Candidates, tokenizer: Tokenizer, count: number): ChosenToken {
  const described = (rank: number): TokenLogprob => {
    const bytes = tokenizer.tokenBytes(ids[rank] ?? 0, { special: true })
    return { id: ids[rank] ?? 0, text: utf8DecodeLossy(bytes), bytes: [...bytes], logprob: (logits[rank] ?? 0) - logSumExp }
  }
  const chosen = described(ids.indexOf(id))
  return { ...chosen, top: Array.from({ length: Math.min(count, ids.length) }, (_, rank) => described(rank)) }
}

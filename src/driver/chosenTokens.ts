/** chosenTokens: how likely a token was, and the best beside it, for clients that ask for log-probabilities. Exact: the logsumexp is over the whole vocabulary. */

import type { ChosenToken, TokenLogprob } from '../coordinator/gateway/index.ts'
import type { Tokenizer } from '../model/index.ts'
import type { Candidates } from '../session/index.ts'
import { required, utf8DecodeLossy } from '../shared/index.ts'

/** A prompt's first token: nothing says how likely that was. */
export function firstToken(id: number, tokenizer: Tokenizer): ChosenToken {
  return { ...tokenText(id, tokenizer), logprob: null, top: [] }
}

/** Token `id` where `candidates` were the best; `count` of those are told beside it. */
export function chosenToken(id: number, candidates: Candidates, tokenizer: Tokenizer, count: number): ChosenToken {
  const { ids, logits, logSumExp, named } = candidates
  const described = (token: number, logit: number) => ({ ...tokenText(token, tokenizer), logprob: logit - logSumExp })
  // One that is not among the best is named.
  const logit = logits[ids.indexOf(id)] ?? named?.logits[named.ids.indexOf(id)]
  const top = Array.from(ids.subarray(0, count), (token, rank) => described(token, logits[rank] ?? 0))
  return { ...described(id, required(logit, `the logit of token ${id}`)), top }
}

function tokenText(id: number, tokenizer: Tokenizer): Omit<TokenLogprob, 'logprob'> {
  const bytes = tokenizer.tokenBytes(id, { special: true })
  return { id, text: utf8DecodeLossy(bytes), bytes: [...bytes] }
}

/** Question: what a session is asked for, and what the answer must be: the tokens of one engine with the whole model, undisturbed. */

import type { CoreOptions } from '../coordinator/core/index.ts'
import type { RowKind } from '../protocol/index.ts'
import { type Drafter, GREEDY, type Sampling, sample } from '../session/index.ts'
import { required, TIERS, type Tier } from '../shared/index.ts'
import { ARITHMETIC_WIDTH, candidatesOf, embed, passLayer } from './arithmetic.ts'
import type { Chance } from './chance.ts'
import { VOCABULARY } from './modelEngine.ts'

type SwarmModel = CoreOptions['models'][number]

export interface Question {
  readonly model: SwarmModel
  readonly promptTokenIds: readonly number[]
  readonly maxTokens: number
  readonly tier: Tier
  readonly sampling: Sampling
  /** The answer's tokens are drafted, so many of ten wrongly; null: not drafted. */
  readonly draftErrors: number | null
}

/** Range of a length in tokens. */
export interface Lengths {
  readonly least: number
  readonly most: number
}

/** What sessions of a long run ask for. */
export const PROMPT_TOKENS: Lengths = { least: 8, most: 128 }
export const ANSWER_TOKENS: Lengths = { least: 50, most: 500 }
/** Shares of questions that are sampled, and whose answers are drafted: in tabs all are, and of many texts nothing comes true. */
const SAMPLED_SHARE = 0.25
const DRAFTED_SHARE = 0.5
const DRAFT_TOKENS = 4
/** Drafts of an answer that comes true seven times in ten. */
const DRAFT_LIKELIHOOD = 0.7

export function drawQuestion(chance: Chance, model: SwarmModel, prompt: Lengths, answer: Lengths): Question {
  const promptTokens = chance.logBetween(prompt.least, prompt.most)
  const isSampled = chance.happens(SAMPLED_SHARE)
  const isDrafted = chance.happens(DRAFTED_SHARE)
  return {
    model,
    promptTokenIds: Array.from({ length: promptTokens }, () => chance.upTo(VOCABULARY - 1)),
    maxTokens: chance.mostlyShort(answer.least, answer.most),
    tier: required(TIERS[promptTokens % TIERS.length], 'a tier'),
    sampling: isSampled ? { ...GREEDY, temperature: 1, seed: chance.upTo(1_000_000) } : GREEDY,
    draftErrors: isDrafted ? chance.upTo(4) : null,
  }
}

/** The answer's tokens, at least one. */
export function answerOf({ model, promptTokenIds, maxTokens, sampling }: Question): number[] {
  const { layerCount } = model.costs
  const sums = new Uint16Array(layerCount)
  const answer: number[] = []
  let row = new Array<number>(ARITHMETIC_WIDTH).fill(0)
  const read = (id: number, kind: RowKind) => {
    row = embed(id)
    for (let layer = 0; layer < layerCount; layer++) sums[layer] = passLayer(row, sums[layer] ?? 0, layer, kind)
  }
  for (const id of promptTokenIds) read(id, 'prompt')
  while (answer.length < maxTokens) {
    const position = promptTokenIds.length + answer.length
    const id = sample(candidatesOf(row, position - 1, VOCABULARY, VOCABULARY), sampling, position)
    answer.push(id)
    read(id, 'decode')
  }
  return answer
}

/** Knows the answer, and errs in `errors` of ten places. */
export function drafterOf({ promptTokenIds }: Question, answer: readonly number[], errors: number): Drafter {
  let known = 0
  return {
    append(ids) {
      known += ids.length
    },
    draft({ limit }) {
      const first = known - promptTokenIds.length
      return answer.slice(first, first + Math.min(limit, DRAFT_TOKENS)).map((id, index) => ({
        id: ((first + index) * 7) % 10 < errors ? (id + 1) % VOCABULARY : id,
        likelihood: DRAFT_LIKELIHOOD,
        method: 'lookup' as const,
      }))
    },
  }
}

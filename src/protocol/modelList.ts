/** `GET /models` of a coordinator: what it serves answers with, and what requesters may load to draft for themselves. */

import * as v from 'valibot'
import { err, ok, type Result } from '../shared/index.ts'
import { POSITIONS_MAX } from './limits.ts'
import { amount, count, decimalCredits, describeIssue, layer, manifestHash, modelId, text } from './schemas.ts'

const listedModelSchema = v.strictObject({
  id: modelId,
  name: text(200),
  license: v.nullable(text(200)),
  manifestHash,
  fileBytes: count(2 ** 50),
  layerCount: layer,
  contextLength: count(POSITIONS_MAX),
  /** Means over the first `positions` of a context. */
  creditsPerMillionTokens: v.strictObject({
    decode: decimalCredits,
    prompt: decimalCredits,
    cachedPrompt: decimalCredits,
    positions: count(POSITIONS_MAX),
  }),
  /** Times the price. */
  tiers: v.strictObject({ spot: amount, standard: amount, priority: amount }),
  /** What a request for no model in particular gets; one of `models`. */
  default: v.boolean(),
})
export type ListedModel = v.InferOutput<typeof listedModelSchema>

const models = v.pipe(v.array(listedModelSchema), v.maxLength(100))
const modelListSchema = v.strictObject({ models, draftModels: models })
export type ModelList = v.InferOutput<typeof modelListSchema>

export function parseModelList(value: unknown): Result<ModelList, string> {
  const parsed = v.safeParse(modelListSchema, value)
  return parsed.success ? ok(parsed.output) : err(describeIssue(parsed.issues[0]))
}

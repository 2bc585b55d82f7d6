/**
 * lookupFirst: two drafters as one. A long match in the text so far is right more often than a small model, and free; where there is
 * none the model is asked, and where that is not worth its time the short match is better than nothing.
 */

import type { Drafter } from './drafter.ts'

/** A first token this likely comes from a match of three tokens or more. */
const TRUSTED_LIKELIHOOD = 0.5

export function lookupFirst(lookup: Drafter, model: Drafter): Drafter {
  return {
    append(ids) {
      lookup.append(ids)
      model.append(ids)
    },
    async draft(request) {
      const found = await lookup.draft(request)
      const [first] = found
      if (first !== undefined && first.likelihood >= TRUSTED_LIKELIHOOD) return found
      const drafted = await model.draft(request)
      return drafted.length > 0 ? drafted : found
    },
  }
}

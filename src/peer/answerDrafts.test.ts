import { describe, expect, it } from 'vitest'
import { ModelDrafter } from '../session/index.ts'
import { ManualClock, type ModelId } from '../shared/index.ts'
import { draftsFor } from './answerDrafts.ts'

const modelId = 'small' as ModelId

function drafting() {
  let closed = 0
  const source = { draft: () => Promise.resolve([]), close: () => void closed++ }
  const drafter = new ModelDrafter(source, new ManualClock(), () => undefined)
  return { begin: () => ({ drafter, report: () => ({ modelId, problem: null }) }), closed: () => closed }
}

describe('drafts of an answer', () => {
  it('come from nobody, from the text, or from the text and the model that is ready, as was asked', () => {
    const { begin, closed } = drafting()
    expect(draftsFor('off', begin)).toBeNull()
    expect(draftsFor('lookup', begin)?.report()).toBeNull()
    expect(draftsFor('on', () => null)?.report()).toBeNull()
    const both = draftsFor('on', begin)
    expect(both?.report()).toEqual({ modelId, problem: null })
    expect(closed()).toBe(0)
    both?.close()
    expect(closed()).toBe(1)
  })
})

/** The default model on this adapter. */

import { expect, it } from 'vitest'
import { cutSpans, loadRequest } from '../support/engineRuns.ts'
import { bestId, goldenSuite, isLongPrompt, openSlot, runGoldenPass } from '../support/goldenSuite.ts'
import { createGpuEngine } from '../support/gpuEngine.ts'
import { proofs } from '../support/proofs.ts'
import { openDefaultModel, type ReferenceCase, readReferenceCases } from '../support/smollm2.ts'

/** But for the longer proofs, answers are computed this far: past a KV block's end, with all prompts in a pass. */
const USUAL_STEPS = 16
/** And in f16 those that are this short. */
const SHORT_ANSWER_STEPS = 8
/** Of a prompt, where only bits are compared. */
const BITS_TOKENS = 20

const isAll = process.env.TABSWARM_LONG === '1'
const stepsMax = isAll ? Number.POSITIVE_INFINITY : USUAL_STEPS
/** The long prompt takes longer than the rest together. */
const inF32 = (reference: ReferenceCase) => isAll || !isLongPrompt(reference)
const inF16 = (reference: ReferenceCase) => (isAll ? !isLongPrompt(reference) : reference.steps.length <= SHORT_ANSWER_STEPS)

// Of two adapters lavapipe, which is the faster one, computes the answers; tabs answer on SwiftShader in test/e2e, `npm run test:long` has both do it.
if (proofs !== 'half') {
  goldenSuite('f32 throughout', {
    createEngine: () => createGpuEngine('f32'),
    rows: 'f32',
    spanCount: 1,
    bound: 1e-3,
    marginMin: 0.002,
    takes: inF32,
    stepsMax,
  })
  goldenSuite('f16 KV, f16 rows between 3 spans', {
    createEngine: () => createGpuEngine('f16'),
    rows: 'f16e',
    spanCount: 3,
    bound: 0.03,
    marginMin: 0.05,
    takes: inF16,
    stepsMax,
  })
}

it('gives the same bits whether 1, 2, 3 or 5 spans hold the layers', async () => {
  const model = await openDefaultModel()
  const engine = await createGpuEngine('f32')
  const { layerCount } = model.manifest.config
  await engine.load(loadRequest(model, { firstLayer: 0, endLayer: layerCount }))
  const [reference] = await readReferenceCases()
  if (reference === undefined) throw new Error('no reference')
  const answers: number[][] = []
  for (const count of [1, 2, 3, 5]) {
    const spans = cutSpans(layerCount, count)
    const session = { reference, slots: spans.map((span) => openSlot(engine, span, 64)) }
    const bits: number[] = []
    let next: { ids: readonly number[]; kind: 'prompt' | 'decode' } = { ids: reference.promptTokenIds.slice(0, BITS_TOKENS), kind: 'prompt' }
    for (let step = 0; step < 4; step++) {
      const [[logits] = []] = await runGoldenPass(model, engine, spans, 'f32', [{ session, ...next, resultCount: 1 }])
      if (logits === undefined) throw new Error('no logits')
      bits.push(bestId(logits), ...new Uint32Array(logits.buffer, logits.byteOffset, logits.length))
      next = { ids: [bestId(logits)], kind: 'decode' }
    }
    answers.push(bits)
    for (const slot of session.slots) engine.close(slot)
  }
  const [whole] = answers
  for (const answer of answers) expect(answer.every((word, index) => word === whole?.[index])).toBe(true)
  engine.dispose()
})

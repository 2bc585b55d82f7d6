/**
 * What every engine must do, whatever computes inside: the WGSL engine on each adapter and those without a GPU pass this one suite.
 * Numbers against references are test/golden's matter; here an engine is compared with itself, bit by bit.
 */

import { afterAll, afterEach, beforeAll, describe, expect } from 'vitest'
import type { Engine } from '../../src/worker/index.ts'
import { loadRequest, model, whole } from './engineRuns.ts'
import { equalBits } from './engineSuite/equalBits.ts'
import { loading } from './engineSuite/loading.ts'
import { refusals } from './engineSuite/refusals.ts'
import { results } from './engineSuite/results.ts'
import { rowEncodings } from './engineSuite/rowEncodings.ts'
import { slots } from './engineSuite/slots.ts'

export { loadRequest }

/** `createEngine` makes engines that share nothing but the device. */
export function engineSuite(name: string, createEngine: () => Promise<Engine>): void {
  describe(`${name}: one model`, () => {
    let engine: Engine
    beforeAll(async () => {
      engine = await createEngine()
      await engine.load(loadRequest(model, whole))
    })
    afterAll(() => engine.dispose())
    afterEach(async ({ task }) => {
      const { openSlots } = engine.usage()
      if (openSlots === 0) return
      // A test that failed midway: the next one begins with a fresh pool.
      engine.unload()
      await engine.load(loadRequest(model, whole))
      if (task.result?.state === 'pass') expect(openSlots, 'slots that the test left open').toBe(0)
    })

    results(() => engine)
    equalBits(() => engine)
    rowEncodings(() => engine)
    slots(() => engine)
    refusals(() => engine)
  })
  describe(`${name}: loading`, () => loading(createEngine))
}

/** Drafters for tests: one that knows the answer and errs where the test says, and one that answers whatever it is given. */

import type { Chain, Drafter, DraftToken, Lap } from '../../../src/session/index.ts'
import { type Clock, ManualClock } from '../../../src/shared/index.ts'

/** Drafts what `ids` (prompt and answer) say, but for those places where it errs. Sure of itself, and without any limit. */
export function knowingDrafter(ids: readonly number[], errs: (place: number) => boolean): Drafter {
  let known = 0
  return {
    append: (more) => {
      known += more.length
    },
    draft: () =>
      ids.slice(known).map((id, index) => ({
        id: errs(known + index) ? id + 1 : id,
        likelihood: 0.99,
        method: 'lookup' as const,
      })),
  }
}

/** Drafts these, one after the other and then from the start again, each after some turns of the event loop. */
export function strangeDrafter(drafts: readonly (readonly DraftToken[])[], turns: number): Drafter {
  let next = 0
  return {
    append: () => undefined,
    draft: async () => {
      for (let turn = 0; turn < turns; turn++) await Promise.resolve()
      return drafts[next++ % drafts.length] ?? []
    },
  }
}

/** A chain and the clock it is measured by: each lap takes 10 ms, whatever it carries, so that drafts are worth sending. */
export function timedChain(chain: Chain): { readonly chain: Chain; readonly clock: Clock; readonly laps: readonly Lap[] } {
  const clock = new ManualClock()
  const laps: Lap[] = []
  const timed: Chain = {
    maxPositions: chain.maxPositions,
    listen: (events) => chain.listen(events),
    submit: (lap) => {
      laps.push(lap)
      clock.advance(10)
      return chain.submit(lap)
    },
    logits: (candidates) => chain.logits(candidates),
    truncate: (length) => chain.truncate(length),
    close: () => chain.close(),
  }
  return { chain: timed, clock, laps }
}

import { expect, it } from 'vitest'
import { ManualClock } from '../../shared/index.ts'
import type { Attempt } from './attempt.ts'
import { Attempts } from './attempts.ts'

const question = { owner: 'ada', hash: 'of a body', idempotencyKey: null, isRetry: true }

/** Looks like an answer that is over, and counts how often somebody still looks at it. */
function watched() {
  const seen = { looks: 0 }
  const attempt = {
    isOver: true,
    isJoinable: true,
    get bytes() {
      seen.looks++
      return 1
    },
  } as Attempt
  return { attempt, seen }
}

function keep() {
  const clock = new ManualClock()
  const attempts = new Attempts(clock)
  const { attempt, seen } = watched()
  attempts.add(question, attempt)
  return { clock, attempts, attempt, seen }
}

it('forgets an answer after ten minutes, though nobody asks for anything more', () => {
  const { clock, attempts, attempt, seen } = keep()
  clock.advance(10 * 60_000 - 1)
  expect(attempts.find(question)).toBe(attempt)
  clock.advance(60_000)
  seen.looks = 0
  clock.advance(3_600_000)
  expect(seen.looks).toBe(0)
  expect(attempts.find(question)).toBeNull()
})

it('forgets all when it is closed, and looks after nothing from then on', () => {
  const { clock, attempts, seen } = keep()
  attempts.close()
  seen.looks = 0
  clock.advance(3_600_000)
  expect([seen.looks, attempts.find(question)]).toEqual([0, null])
})

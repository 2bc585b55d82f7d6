import { describe, expect, it } from 'vitest'
import { ManualClock } from '../shared/index.ts'
import { ANSWER_HURRY_MIN_MS, ANSWER_MAX_MS, ANSWER_MIN_MS, Liveness, QUIET_FACTOR, QUIET_MIN_MS } from './liveness.ts'
import { STUCK_FACTOR, STUCK_MIN_MS, STUCK_MS, STUCK_SLOW_MIN_MS } from './stuckLimit.ts'

/** What a first answer may take. */
const FIRST_ANSWER_MS = 2_400

function setup(stageCount = 2) {
  const clock = new ManualClock()
  const told: string[] = []
  let answering: readonly number[] = []
  let passing: readonly number[] = []
  const liveness: Liveness = new Liveness(clock, stageCount, {
    ping(sequence) {
      told.push('ping')
      for (const index of answering) liveness.answered(index, sequence, false)
      for (const index of passing) liveness.answered(index, sequence, true)
    },
    onSilent: (indexes) => told.push(`silent ${indexes.join()}`),
    onCut: (index) => told.push(`cut ${index}`),
    onStuck: () => told.push('stuck'),
  })
  const answer = (direct: readonly number[], through = direct) => {
    answering = direct
    passing = through
  }
  return { clock, told, liveness, answer }
}

describe('Liveness', () => {
  it('pings after a silence, and names who does not answer', () => {
    const { clock, told, liveness, answer } = setup(3)
    answer([0, 2])
    liveness.expect(1)
    clock.advance(QUIET_MIN_MS - 1)
    expect(told).toEqual([])
    clock.advance(1 + FIRST_ANSWER_MS)
    expect(told).toEqual(['ping', 'silent 1'])
    clock.advance(10 * STUCK_MS)
    expect(told).toHaveLength(2)
  })

  it('names the first stage that nothing gets through to', () => {
    const { clock, told, liveness, answer } = setup(3)
    answer([0, 1, 2], [0])
    liveness.expect(1)
    clock.advance(QUIET_MIN_MS + FIRST_ANSWER_MS)
    expect(told).toEqual(['ping', 'cut 1'])
  })

  it('says nothing as long as there is progress, however slow it is', () => {
    const { clock, told, liveness } = setup()
    liveness.expect(1)
    for (let lap = 0, ms = QUIET_MIN_MS / 2; lap < 30; lap++, ms *= 2) {
      clock.advance(ms)
      liveness.progress(1)
    }
    expect(told).toEqual([])
  })

  it('waits as long as laps have taken lately, and less again once they are quicker', () => {
    const { clock, told, liveness } = setup()
    liveness.expect(1)
    clock.advance(QUIET_MIN_MS - 1)
    liveness.progress(1)
    clock.advance(QUIET_FACTOR * (QUIET_MIN_MS - 1) - 1)
    expect(told).toEqual([])
    for (let lap = 0; lap < 20; lap++) liveness.progress(1)
    clock.advance(QUIET_MIN_MS)
    expect(told).toEqual(['ping'])
  })

  it('asks again and again while everybody answers, and gives up in the end', () => {
    const { clock, told, liveness, answer } = setup()
    answer([0, 1])
    liveness.expect(1)
    clock.advance(STUCK_MS + 20_000)
    expect(told.at(-1)).toBe('stuck')
    expect(told.slice(0, -1).every((word) => word === 'ping')).toBe(true)
    expect(told.length).toBeGreaterThan(10)
  })

  it('[R9] gives up sooner once laps have worked, and later again in another chain', () => {
    const { clock, told, liveness, answer } = setup()
    answer([0, 1])
    const untilStuck = () => {
      const begunMs = clock.nowMs()
      while (told.at(-1) !== 'stuck') clock.advance(100)
      told.length = 0
      return clock.nowMs() - begunMs
    }
    const lapOf = (lapMs: number) => {
      liveness.expect(1)
      clock.advance(lapMs)
      liveness.resultsCame(0)
    }
    /** A round of pings more at most. */
    const about = (limitMs: number) => [expect.toSatisfy((ms: number) => ms >= limitMs && ms < limitMs + 3_000)]
    lapOf(30)
    liveness.expect(1)
    expect([untilStuck()]).toEqual(about(STUCK_MIN_MS))
    liveness.restart(2)
    liveness.expect(1)
    expect([untilStuck()]).toEqual(about(STUCK_SLOW_MIN_MS))
    liveness.restart(2)
    lapOf(30)
    // A prompt waits for its turn; here some rows were owed in a silence before.
    liveness.expect(200)
    clock.advance(100)
    liveness.resultsCame(100)
    expect([untilStuck()]).toEqual(about(STUCK_SLOW_MIN_MS))
    liveness.expect(32)
    expect([untilStuck()]).toEqual(about(STUCK_MIN_MS))
    lapOf(2_000)
    liveness.expect(1)
    expect([untilStuck()]).toEqual(about(STUCK_FACTOR * 2_000))
    liveness.expect(600)
    expect([untilStuck()]).toEqual(about(3 * STUCK_FACTOR * 2_000))
    lapOf(15_000)
    liveness.expect(1)
    expect([untilStuck()]).toEqual(about(STUCK_MS))
  })

  it('gives answers the time they took lately, within bounds', () => {
    const { clock, told, liveness, answer } = setup(1)
    answer([0])
    liveness.expect(1)
    // Ten quick answers.
    clock.advance(60_000)
    answer([])
    told.length = 0
    clock.advance(3_000 + ANSWER_MIN_MS)
    expect(told).toEqual(['ping', 'silent 0'])
    for (let time = 0; time < 10; time++) {
      liveness.expect(1)
      clock.advance(QUIET_MIN_MS + ANSWER_MAX_MS)
    }
    expect(told.filter((word) => word !== 'ping')).toHaveLength(11)
  })

  it('knows from the beginning how long answers take, once it has asked', () => {
    const { clock, told, liveness, answer } = setup(1)
    answer([0])
    liveness.measure()
    clock.advance(100_000)
    expect(told).toEqual(['ping'])
    answer([])
    liveness.expect(1)
    clock.advance(QUIET_MIN_MS + ANSWER_MIN_MS)
    expect(told).toEqual(['ping', 'ping', 'silent 0'])
  })

  it('asks at once, and waits less, when a stage may be gone', () => {
    const { clock, told, liveness, answer } = setup(2)
    answer([0, 1])
    liveness.measure()
    liveness.hurry()
    expect(told).toEqual(['ping'])
    liveness.expect(1)
    answer([0])
    liveness.hurry()
    clock.advance(ANSWER_HURRY_MIN_MS)
    expect(told).toEqual(['ping', 'ping', 'silent 1'])
  })

  it('says nothing while nothing is owed, nor of another chain', () => {
    const { clock, told, liveness } = setup()
    liveness.expect(1)
    liveness.progress(0)
    clock.advance(100_000)
    liveness.expect(1)
    liveness.rest()
    clock.advance(100_000)
    liveness.expect(1)
    liveness.restart(3)
    clock.advance(100_000)
    expect(told).toEqual([])
  })
})

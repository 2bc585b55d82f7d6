import { describe, expect, it } from 'vitest'
import { ManualClock } from '../shared/index.ts'
import { FIRST_SILENCE_MS, Liveness, SILENCE_FACTOR, SILENCE_MIN_MS } from './liveness.ts'

function setup() {
  const clock = new ManualClock()
  const silences: number[] = []
  return { clock, silences, liveness: new Liveness(clock, (silentMs) => silences.push(silentMs)) }
}

describe('Liveness', () => {
  it('waits long for the first results, and tells once', () => {
    const { clock, silences, liveness } = setup()
    liveness.expect()
    clock.advance(FIRST_SILENCE_MS - 1)
    expect(silences).toEqual([])
    clock.advance(10 * FIRST_SILENCE_MS)
    expect(silences).toEqual([FIRST_SILENCE_MS])
  })

  it('starts anew with every sign of life', () => {
    const { clock, silences, liveness } = setup()
    liveness.expect()
    for (let lap = 0; lap < 50; lap++) {
      clock.advance(FIRST_SILENCE_MS - 1)
      liveness.sign(1)
    }
    expect(silences).toEqual([])
  })

  it('waits less once results came, and longer for a slow chain', () => {
    const quick = setup()
    quick.liveness.expect()
    quick.clock.advance(10)
    quick.liveness.sign(0)
    quick.liveness.expect()
    quick.clock.advance(SILENCE_MIN_MS)
    expect(quick.silences).toEqual([SILENCE_MIN_MS])

    const slow = setup()
    slow.liveness.expect()
    slow.clock.advance(10_000)
    slow.liveness.sign(0)
    slow.liveness.expect()
    slow.clock.advance(SILENCE_FACTOR * 10_000 - 1)
    expect(slow.silences).toEqual([])
    slow.clock.advance(1)
    expect(slow.silences).toEqual([SILENCE_FACTOR * 10_000])
  })

  it('says nothing while nothing is owed', () => {
    const { clock, silences, liveness } = setup()
    liveness.expect()
    liveness.sign(0)
    clock.advance(100 * FIRST_SILENCE_MS)
    liveness.expect()
    liveness.rest()
    clock.advance(100 * FIRST_SILENCE_MS)
    expect(silences).toEqual([])
  })
})

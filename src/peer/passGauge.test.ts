import { describe, expect, it } from 'vitest'
import { PassGauge, QUIET_WINDOWS_MIN, SLOW_AFTER_MS, SLOW_FACTOR, WINDOW_MS } from './passGauge.ts'

const LAYERS = 15

/** A gauge that hears of ten passes each second. */
function play(gauge = new PassGauge()) {
  let [nowMs, count, ms] = [0, 0, 0]
  const tell = (served: string, heads = 0) => gauge.observe(served, { count, layers: LAYERS * count, heads: heads * count, ms }, nowMs)
  tell('span')
  return {
    gauge,
    /** Seconds in which a pass takes so many milliseconds a layer. */
    run(seconds: number, msPerLayer: number, served = 'span', heads = 0) {
      for (let second = 0; second < seconds; second++) {
        nowMs += WINDOW_MS
        count += 10
        ms += 10 * LAYERS * msPerLayer
        tell(served, heads)
      }
    },
    wait(seconds: number) {
      nowMs += 1_000 * seconds
    },
    restart() {
      count = 0
      ms = 0
      tell('span')
    },
  }
}

const SLOW_SECONDS = SLOW_AFTER_MS / WINDOW_MS

describe('PassGauge', () => {
  it('calls passes slow that take the factor longer than the same ones in quiet times, for several seconds, and not before', () => {
    const { gauge, run } = play()
    run(QUIET_WINDOWS_MIN, 1)
    run(SLOW_SECONDS - 1, SLOW_FACTOR)
    expect(gauge.isSlow).toBe(false)
    run(1, SLOW_FACTOR)
    expect(gauge.isSlow).toBe(true)
    run(1, 1)
    expect(gauge.isSlow).toBe(false)
  })

  it('does not call them slow below the factor, or when one quiet second lies between', () => {
    const { gauge, run } = play()
    run(QUIET_WINDOWS_MIN, 1)
    run(60, SLOW_FACTOR - 0.1)
    expect(gauge.isSlow).toBe(false)
    const other = play()
    other.run(QUIET_WINDOWS_MIN, 1)
    for (let round = 0; round < 10; round++) {
      other.run(SLOW_SECONDS - 1, 5)
      other.run(1, 1)
    }
    expect(other.gauge.isSlow).toBe(false)
  })

  it('knows nothing before it has seen quiet times', () => {
    const { gauge, run } = play()
    run(QUIET_WINDOWS_MIN - 1, 1)
    run(1, 9)
    expect(gauge.isSlow).toBe(false)
  })

  it('follows passes that grow with the context, little by little', () => {
    const { gauge, run } = play()
    for (let step = 0; step < 100; step++) run(2, 1 + step / 10)
    expect(gauge.isSlow).toBe(false)
  })

  it('compares like with like: another span, or passes with the head, are measured by their own quiet times', () => {
    const { gauge, run } = play()
    run(QUIET_WINDOWS_MIN, 1)
    run(60, 5, 'another span')
    expect(gauge.isSlow).toBe(false)
    const heads = play()
    heads.run(QUIET_WINDOWS_MIN, 1)
    heads.run(60, 5, 'span', 1)
    expect(heads.gauge.isSlow).toBe(false)
  })

  it('counts no pause between two answers as slowness, and no engine that begins anew', () => {
    const { gauge, run, wait, restart } = play()
    run(QUIET_WINDOWS_MIN, 1)
    run(1, 5)
    wait(600)
    run(1, 5)
    expect(gauge.isSlow).toBe(false)
    restart()
    run(1, 1)
    expect(gauge.isSlow).toBe(false)
  })
})

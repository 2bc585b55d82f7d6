import { describe, expect, it } from 'vitest'
import {
  BATTERY_LEVEL_MIN,
  BATTERY_LEVEL_RESUME,
  CALM_MS,
  DEVICE_LOSSES_WITHIN_MS,
  type HostSignals,
  MEMORY_SHARE_MAX,
  Pressure,
  REST_MAX_MS,
  REST_MS,
} from './pressure.ts'

/** A machine whose second hand the test moves. */
function machine() {
  const pressure = new Pressure()
  let nowMs = 0
  return {
    pressure,
    nowMs: () => nowMs,
    /** What is said at the end of so many seconds. */
    wait(seconds: number, signals: Partial<HostSignals> = {}) {
      pressure.handleSignals(signals)
      for (let second = 0; second < seconds; second++) {
        nowMs += 1_000
        pressure.judge(nowMs)
      }
      return pressure.judge(nowMs)
    },
    /** The device goes twice. */
    loseDevice() {
      pressure.handleDeviceLost(nowMs)
      pressure.handleDeviceLost(nowMs + 1)
    },
    /** Seconds until it is over. */
    untilOver() {
      for (let second = 0; second < 10_000; second++) {
        if (pressure.judge(nowMs) === null) return second
        nowMs += 1_000
      }
      throw new Error('never over')
    },
  }
}

const battery = (level: number, charging = false) => ({ battery: { level, charging } })
const CALM_SECONDS = CALM_MS / 1_000

describe('Pressure', () => {
  it('knows nothing, and says nothing, where the browser tells nothing', () => {
    expect(machine().wait(600)).toBeNull()
  })

  it('is there on a battery below the bound, and over once it charges for a while', () => {
    const { wait } = machine()
    expect(wait(60, battery(BATTERY_LEVEL_MIN))).toBeNull()
    expect(wait(0, battery(BATTERY_LEVEL_MIN - 0.01))).toBe('battery')
    expect(wait(CALM_SECONDS - 1, battery(BATTERY_LEVEL_MIN - 0.01, true))).toBe('battery')
    expect(wait(2)).toBeNull()
  })

  it('does not flutter around the bound of the battery: it is over only well above', () => {
    const { wait } = machine()
    wait(0, battery(BATTERY_LEVEL_MIN - 0.01))
    expect(wait(600, battery(BATTERY_LEVEL_RESUME - 0.01))).toBe('battery')
    expect(wait(CALM_SECONDS + 1, battery(BATTERY_LEVEL_RESUME))).toBeNull()
  })

  it('is there when the processor is overloaded for a while by others, not when this tab computes on it', () => {
    const { wait } = machine()
    expect(wait(9, { processor: 'critical' })).toBeNull()
    expect(wait(2)).toBe('busy')
    expect(wait(600, { processor: 'serious' })).toBe('busy')
    expect(wait(CALM_SECONDS + 1, { processor: 'fair' })).toBeNull()
    const own = machine()
    own.pressure.handleEngine(true)
    expect(own.wait(600, { processor: 'critical' })).toBeNull()
  })

  it('is there when memory runs out for a while, and at once when a person sits down', () => {
    expect(machine().wait(11, { memoryShare: MEMORY_SHARE_MAX - 0.01 })).toBeNull()
    expect(machine().wait(11, { memoryShare: MEMORY_SHARE_MAX })).toBe('memory')
    const { wait } = machine()
    expect(wait(0, { userActive: true })).toBe('user')
    expect(wait(CALM_SECONDS + 1, { userActive: false })).toBeNull()
  })

  it('is there when the device is lost twice in a short time, not when it is lost now and then', () => {
    const rare = machine()
    for (let round = 0; round < 5; round++) {
      rare.pressure.handleDeviceLost(rare.nowMs())
      expect(rare.wait(DEVICE_LOSSES_WITHIN_MS / 1_000)).toBeNull()
    }
    const often = machine()
    often.loseDevice()
    expect(often.wait(0)).toBe('memory')
  })

  it('rests longer each time that a rest has not helped, up to a bound, and forgets it after a good while', () => {
    const { loseDevice, wait, untilOver } = machine()
    const rests = Array.from({ length: 7 }, () => {
      loseDevice()
      return untilOver() - CALM_SECONDS
    })
    const seconds = REST_MS / 1_000
    expect(rests.map((rest) => Math.round(rest / seconds))).toEqual([1, 2, 4, 8, 16, 16, 16])
    expect(REST_MAX_MS).toBe(16 * REST_MS)
    wait(3_600)
    loseDevice()
    expect(Math.round((untilOver() - CALM_SECONDS) / seconds)).toBe(1)
  })

  it('is silent for passes that became slow until a rest is over', () => {
    const { pressure, nowMs, wait, untilOver } = machine()
    let [count, ms] = [0, 0]
    const run = (seconds: number, msPerLayer: number) => {
      for (let second = 0; second < seconds; second++) {
        wait(1)
        count += 10
        ms += 100 * msPerLayer
        pressure.handlePasses('span', { count, layers: 10 * count, heads: 0, ms }, nowMs())
      }
    }
    run(20, 1)
    expect(wait(0)).toBeNull()
    run(6, 4)
    expect(wait(0)).toBe('busy')
    expect(untilOver()).toBeGreaterThanOrEqual(REST_MS / 1_000)
  })

  it('heeds the user: what is overruled counts again only after it was away', () => {
    const { pressure, wait, nowMs } = machine()
    expect(wait(0, battery(0.1))).toBe('battery')
    pressure.overrule(nowMs())
    expect(wait(600)).toBeNull()
    expect(wait(600, { userActive: true })).toBe('user')
    wait(CALM_SECONDS + 1, { userActive: false })
    expect(wait(CALM_SECONDS, battery(0.1, true))).toBeNull()
    expect(wait(0, battery(0.1))).toBe('battery')
  })
})

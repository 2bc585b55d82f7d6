/**
 * Pressure: whether this machine is wanted by its owner. A pure decision over what the page can observe: the battery, the machine's own
 * word on its load, memory that runs out, a person at the keyboard where that may be known, and this tab's passes beside those of
 * quiet times. Leaves watching to browser/, and what follows from it to contribution.ts.
 */

import type { PassTimes } from '../stage/index.ts'
import { PassGauge } from './passGauge.ts'

export type PressureReason = 'battery' | 'busy' | 'memory' | 'user'

/** What the page observes of its machine; null where the browser does not say. */
export interface HostSignals {
  /** `level`: 0 … 1. */
  readonly battery: { readonly charging: boolean; readonly level: number } | null
  /** Load of the processor, by the browser's word. */
  readonly processor: 'nominal' | 'fair' | 'serious' | 'critical' | null
  /** Share of the page's memory that is in use, 0 … 1. */
  readonly memoryShare: number | null
  /** A person is at the machine. Known only where that person has allowed it. */
  readonly userActive: boolean | null
}

/** What speaks against computing here; several may at a time. */
type Cause = 'battery' | 'passes' | 'processor' | 'memory' | 'device' | 'user'

const REASONS: Readonly<Record<Cause, PressureReason>> = {
  battery: 'battery',
  passes: 'busy',
  processor: 'busy',
  memory: 'memory',
  device: 'memory',
  user: 'user',
}

/** Below this charge a computer that is not plugged in is spared: laptops begin to warn and to throttle at 20 %. */
export const BATTERY_LEVEL_MIN = 0.3
/** And it is spared until this one, so that a charge around the bound changes nothing every minute. */
export const BATTERY_LEVEL_RESUME = 0.4

/** A cause that lasts shorter is a program that starts or a page that loads. Battery and person are taken at their word. */
const HOLD_MS: Readonly<Record<Cause, number>> = { battery: 0, passes: 0, processor: 10_000, memory: 10_000, device: 0, user: 0 }

/** Pages end at the whole share; at nine tenths the collector runs all the time. */
export const MEMORY_SHARE_MAX = 0.9

/** A device that is lost again so soon after its return was not lost by chance: layers fill the memory that something else needs. */
export const DEVICE_LOSSES_WITHIN_MS = 30_000

/** Every cause must be away for this long: a build that pauses, a plug that is moved. */
export const CALM_MS = 15_000

/** A tab that rests cannot see what its passes would take: it tries again after this, twice that the next time, and so on, */
export const REST_MS = 60_000
/** up to this; */
export const REST_MAX_MS = 16 * 60_000
/** a rest that ended longer ago than this has helped. */
const REST_FORGOTTEN_MS = 10 * 60_000

const UNKNOWN: HostSignals = { battery: null, processor: null, memoryShare: null, userActive: null }

export class Pressure {
  readonly #passes = new PassGauge()
  #signals = UNKNOWN
  #usesProcessor = false
  #pressedBy: Cause | null = null
  readonly #sinceMs = new Map<Cause, number>()
  /** Causes that the user has overruled, until they have been away. */
  readonly #overruled = new Set<Cause>()
  #calmSinceMs: number | null = null
  #lossesMs: readonly number[] = []
  #restMs = 0
  #restUntilMs = Number.NEGATIVE_INFINITY

  /** What has changed. */
  handleSignals(signals: Partial<HostSignals>): void {
    this.#signals = { ...this.#signals, ...signals }
  }

  /** Whether this tab computes on the processor: then the processor's load is its own, and says nothing. */
  handleEngine(usesProcessor: boolean): void {
    this.#usesProcessor = usesProcessor
  }

  /** Counters of passes of one decode row, since the stage began to serve `served`. */
  handlePasses(served: string, passes: PassTimes, nowMs: number): void {
    this.#passes.observe(served, passes, nowMs)
  }

  handleDeviceLost(nowMs: number): void {
    this.#lossesMs = [...this.#lossesMs.filter((atMs) => nowMs - atMs < DEVICE_LOSSES_WITHIN_MS), nowMs]
  }

  /** The user wants to go on: what speaks against it now counts again only after it has been away. */
  overrule(nowMs: number): void {
    for (const cause of this.#present(nowMs)) this.#overruled.add(cause)
    this.#passes.forget()
    this.#lossesMs = []
    this.#restUntilMs = nowMs
    this.#pressedBy = null
    this.#calmSinceMs = null
  }

  /** Null: all is well. To be asked about once a second. */
  judge(nowMs: number): PressureReason | null {
    const present = this.#follow(nowMs)
    if (this.#pressedBy === null) {
      const cause = present.find((known) => nowMs - (this.#sinceMs.get(known) ?? nowMs) >= HOLD_MS[known])
      if (cause !== undefined) this.#press(cause, nowMs)
    } else if (present[0] !== undefined) {
      this.#calmSinceMs = null
      if (!present.includes(this.#pressedBy)) this.#pressedBy = present[0]
    } else {
      this.#calmSinceMs ??= nowMs
      if (nowMs - this.#calmSinceMs >= CALM_MS) this.#pressedBy = null
    }
    return this.#pressedBy === null ? null : REASONS[this.#pressedBy]
  }

  #press(cause: Cause, nowMs: number): void {
    this.#pressedBy = cause
    this.#calmSinceMs = null
    if (cause !== 'passes' && cause !== 'device') return
    const hasHelped = nowMs - this.#restUntilMs >= REST_FORGOTTEN_MS
    this.#restMs = hasHelped ? REST_MS : Math.min(REST_MAX_MS, 2 * this.#restMs)
    this.#restUntilMs = nowMs + this.#restMs
    this.#passes.rest()
    this.#lossesMs = []
  }

  /** Causes that count now; keeps since when. */
  #follow(nowMs: number): Cause[] {
    const present = this.#present(nowMs)
    for (const cause of [...this.#sinceMs.keys()]) if (!present.includes(cause)) this.#sinceMs.delete(cause)
    for (const cause of [...this.#overruled]) if (!present.includes(cause)) this.#overruled.delete(cause)
    for (const cause of present) if (!this.#sinceMs.has(cause)) this.#sinceMs.set(cause, nowMs)
    return present.filter((cause) => !this.#overruled.has(cause))
  }

  #present(nowMs: number): Cause[] {
    const { battery, processor, memoryShare, userActive } = this.#signals
    const pressedBy = this.#pressedBy
    const levelMin = pressedBy === 'battery' ? BATTERY_LEVEL_RESUME : BATTERY_LEVEL_MIN
    // A tab that rests adds nothing to the load: then less of it is already somebody else's.
    const isLoaded =
      pressedBy === null ? processor === 'critical' && !this.#usesProcessor : processor === 'critical' || processor === 'serious'
    const isResting = nowMs < this.#restUntilMs
    const present: Readonly<Record<Cause, boolean>> = {
      battery: battery !== null && !battery.charging && battery.level < levelMin,
      passes: this.#passes.isSlow || (pressedBy === 'passes' && isResting),
      processor: isLoaded,
      memory: memoryShare !== null && memoryShare >= MEMORY_SHARE_MAX,
      device: this.#lossesMs.length > 1 || (pressedBy === 'device' && isResting),
      user: userActive === true,
    }
    return causes.filter((cause) => present[cause])
  }
}

const causes: readonly Cause[] = ['battery', 'user', 'memory', 'device', 'passes', 'processor']

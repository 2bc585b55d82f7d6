/**
 * Faults: what is done to a swarm, by chance: tabs come and go, freeze, lose their GPU or their links, are cut off from each other,
 * have slow lines, pretend to serve; crowds ask at once. Half of it is aimed at tabs that serve a session at the moment.
 */

import type { Chance } from './chance.ts'
import type { Disturbance } from './disturbances.ts'
import type { Network } from './network.ts'
import type { RequesterTab } from './requesterTab.ts'
import type { VolunteerTab } from './volunteerTab.ts'

/**
 * - `stall`: a tab freezes and returns; `hang`: its worker does, while its page answers the coordinator's pings; `partition`: a part of the tabs
 *   and the others do not hear each other; `slow`: a tab's line.
 */
export const FAULT_KINDS = ['stall', 'hang', 'partition', 'slow', 'link', 'device', 'crowd'] as const
export type FaultKind = (typeof FAULT_KINDS)[number]

export interface FaultsOptions {
  readonly chance: Chance
  readonly network: Network
  readonly volunteers: ReadonlyMap<string, VolunteerTab>
  readonly requesters: ReadonlyMap<string, RequesterTab>
  /** Tabs that serve a session now. */
  readonly busy: () => VolunteerTab[]
  /** Asks `count` questions within a moment. */
  readonly crowd: (count: number) => void
  readonly crowdSize: number
  /** Something happens to the tab. */
  readonly disturb: (tab: VolunteerTab | RequesterTab, disturbance: Omit<Disturbance, 'fromMs'>, what: string) => void
}

/** Half of what happens happens to who serves. */
const BUSY_SHARE = 0.5
const STALL_MS = { least: 500, most: 45_000 }
/** Long enough to be given up, and over before the run is. */
const HANG_MS = { least: 10_000, most: 120_000 }
const PARTITION_MS = { least: 2_000, most: 60_000 }
const PARTITION_SHARE = { least: 0.1, most: 0.5 }
const SLOW_MS = { least: 10_000, most: 120_000 }
const SLOWNESS = { least: 3, most: 30 }
/** Of those who go: with a word, half of them when their sessions have ended; without one, their sockets closed by their computer; the others just stop. */
const DRAIN_SHARE = 0.2
const SAID_SHARE = 0.4
const CLOSED_SHARE = 0.4

export class Faults {
  readonly counts: Record<FaultKind, number> = { stall: 0, hang: 0, partition: 0, slow: 0, link: 0, device: 0, crowd: 0 }
  readonly #options: FaultsOptions

  constructor(options: FaultsOptions) {
    this.#options = options
  }

  /** One of a kind by chance; false where it has no subject: then nothing happens and nothing is counted. */
  strike(): boolean {
    const { chance } = this.#options
    const kind = FAULT_KINDS[chance.upTo(FAULT_KINDS.length - 1)] ?? 'stall'
    const isDone = this.#strike(kind)
    if (isDone) this.counts[kind]++
    return isDone
  }

  /** A volunteer goes; null where there is none. */
  leave(): VolunteerTab | null {
    const { chance, disturb, network } = this.#options
    const tab = this.#victim()
    if (tab === undefined) return null
    const goes = (what: string, isSilent = true) => disturb(tab, { untilMs: Number.POSITIVE_INFINITY, isSilent }, what)
    const draw = chance.unit()
    if (draw < DRAIN_SHARE) {
      goes('drains', false)
      // Who is frozen says so when it thaws.
      network.time.after(0, tab, () => tab.drain(() => goes('leaves')))
      return tab
    }
    if (draw < SAID_SHARE) tab.leave()
    else tab.crash(draw < SAID_SHARE + CLOSED_SHARE)
    goes(draw < SAID_SHARE ? 'leaves' : draw < SAID_SHARE + CLOSED_SHARE ? 'crashes' : 'vanishes')
    return tab
  }

  #strike(kind: FaultKind): boolean {
    const { chance, crowd, crowdSize, network } = this.#options
    if (kind === 'crowd') {
      crowd(crowdSize)
      return true
    }
    if (kind === 'partition') return this.#divide()
    const tab = kind === 'stall' && chance.happens(0.1) ? chance.pick([...this.#options.requesters.values()]) : this.#victim()
    if (tab === undefined) return false
    const { nowMs } = network.time
    // What freezes already cannot freeze once more, in another way.
    if ((kind === 'stall' || kind === 'hang') && tab.frozenUntilMs > nowMs) return false
    if (kind === 'stall') {
      tab.frozenUntilMs = nowMs + chance.logBetween(STALL_MS.least, STALL_MS.most)
      this.#options.disturb(tab, { untilMs: tab.frozenUntilMs, isSilent: true }, `is frozen until ${tab.frozenUntilMs}`)
    } else if (kind === 'hang') {
      if (!('hang' in tab)) return false
      tab.hang(nowMs + chance.logBetween(HANG_MS.least, HANG_MS.most))
      this.#options.disturb(tab, { untilMs: tab.hungUntilMs, isSilent: false }, `hangs until ${tab.hungUntilMs}, and says that it serves`)
    } else if (kind === 'slow') this.#slow(tab)
    else if (kind === 'link') {
      if (!network.breakOne(tab)) return false
      this.#options.disturb(tab, { untilMs: nowMs, isSilent: false }, 'loses a link')
    } else if (kind === 'device' && 'loseDevice' in tab) {
      // Who is frozen notices when it thaws.
      network.time.after(0, tab, () => tab.loseDevice())
      this.#options.disturb(tab, { untilMs: nowMs, isSilent: false }, 'loses its GPU')
    }
    return true
  }

  #slow(tab: VolunteerTab | RequesterTab): void {
    const { chance, network, disturb } = this.#options
    const forMs = chance.logBetween(SLOW_MS.least, SLOW_MS.most)
    const slowness = chance.between(SLOWNESS.least, SLOWNESS.most)
    tab.slowness = slowness
    disturb(tab, { untilMs: network.time.nowMs + forMs, isSilent: false }, `has a slow line for ${forMs} ms`)
    network.time.after(forMs, null, () => {
      // Unless its line was made slow again meanwhile.
      if (tab.slowness === slowness) tab.slowness = 1
    })
  }

  /** One at a time: some of the tabs are on an island of their own. */
  #divide(): boolean {
    const { chance, network, volunteers, requesters, disturb } = this.#options
    const { nowMs } = network.time
    if (network.reunitedMs > nowMs) return false
    const forMs = chance.logBetween(PARTITION_MS.least, PARTITION_MS.most)
    const share = chance.between(PARTITION_SHARE.least, PARTITION_SHARE.most)
    const tabs = [...volunteers.values(), ...requesters.values()].filter(() => chance.happens(share))
    network.divide(nowMs + forMs)
    for (const tab of tabs) {
      tab.island = 1
      disturb(tab, { untilMs: nowMs + forMs, isSilent: true }, `is on an island for ${forMs} ms`)
    }
    network.time.after(forMs, null, () => {
      for (const tab of tabs) tab.island = 0
    })
    return true
  }

  #victim(): VolunteerTab | undefined {
    const { chance, volunteers, busy } = this.#options
    const aimed = chance.happens(BUSY_SHARE) ? chance.pick(busy()) : undefined
    return aimed ?? chance.pick([...volunteers.values()])
  }
}

/**
 * Contribution: from consent to Stop, with pauses. While the machine is wanted elsewhere its hosting drains and ends, with all that it
 * held; when the machine has been free for a while, another begins, and so it does when a worker hangs. Whether the machine is wanted is
 * decided in pressure.ts.
 */

import type { CancelTimer, Clock } from '../shared/index.ts'
import type { Hosting, HostingOptions } from './hosting.ts'
import { type HostSignals, Pressure, type PressureReason } from './pressure.ts'
import type { PeerState, VolunteerState } from './types.ts'

type HostingEvents = Pick<HostingOptions, 'onState' | 'onPeer' | 'onPasses' | 'onDeviceLost' | 'onDrained' | 'onHung'>

export interface ContributionPorts {
  /** Begins to contribute as a new peer. */
  readonly host: (events: HostingEvents) => Pick<Hosting, 'drain' | 'stop'>
  /** Null: the machine's load is nobody's matter. */
  readonly watchHost: ((listen: (signals: Partial<HostSignals>) => void) => () => void) | null
  readonly clock: Clock
  readonly onState: (state: VolunteerState) => void
  /** Who contributes; null while nobody does. */
  readonly onPeer: (peerId: PeerState['contributingAs']) => void
}

/** The machine is judged this often. In hidden tabs browsers stretch it to a minute, which only delays a pause. */
const JUDGE_INTERVAL_MS = 1_000

/** A worker that hangs more often than this within HANGS_WITHIN_MS is not started again without the user. */
const HANGS_MAX = 3
const HANGS_WITHIN_MS = 600_000

export class Contribution {
  readonly #ports: ContributionPorts
  readonly #pressure = new Pressure()
  readonly #unwatch: () => void
  #hosting: Pick<Hosting, 'drain' | 'stop'> | null = null
  /** Why it drains, or rests; null while it may contribute. */
  #reason: PressureReason | null = null
  #hasFailed = false
  #hangsMs: readonly number[] = []
  #cancelTimer: CancelTimer = () => undefined

  /** Begins at once. */
  constructor(ports: ContributionPorts) {
    this.#ports = ports
    this.#unwatch = ports.watchHost?.((signals) => this.#pressure.handleSignals(signals)) ?? (() => undefined)
    this.#begin()
    if (ports.watchHost !== null) this.#judgeLater()
  }

  /** The user's word against the machine's. */
  resume(): void {
    this.#pressure.overrule(this.#ports.clock.nowMs())
    if (this.#hosting === null) this.#begin()
  }

  stop(): void {
    this.#unwatch()
    this.#cancelTimer()
    this.#end()
    this.#ports.onState({ kind: 'off' })
  }

  #begin(): void {
    const { host, clock, onState, onPeer } = this.#ports
    this.#reason = null
    this.#hasFailed = false
    const hosting = host({
      onState: (state) => {
        if (this.#hosting !== hosting) return
        this.#hasFailed = state.kind === 'failed'
        if ('gpu' in state) this.#pressure.handleEngine(state.gpu.engine !== 'webgpu' || state.gpu.software)
        onState(state)
      },
      onPeer: (peerId) => {
        if (this.#hosting === hosting) onPeer(peerId)
      },
      onPasses: (served, passes) => this.#pressure.handlePasses(served, passes, clock.nowMs()),
      onDeviceLost: () => this.#pressure.handleDeviceLost(clock.nowMs()),
      onDrained: () => {
        if (this.#hosting === hosting) this.#pause()
      },
      onHung: () => {
        if (this.#hosting === hosting) this.#replace()
      },
    })
    this.#hosting = hosting
  }

  #end(): void {
    const hosting = this.#hosting
    this.#hosting = null
    hosting?.stop()
    this.#ports.onPeer(null)
  }

  #pause(): void {
    this.#end()
    if (this.#reason !== null) this.#ports.onState({ kind: 'paused', reason: this.#reason })
  }

  /** A new worker, and a new peer, in place of one that hangs; not for ever, and not where the machine is wanted. */
  #replace(): void {
    const { clock, onState, onPeer } = this.#ports
    if (this.#reason !== null) return this.#pause()
    const nowMs = clock.nowMs()
    this.#hangsMs = [...this.#hangsMs.filter((hangMs) => nowMs - hangMs < HANGS_WITHIN_MS), nowMs]
    if (this.#hangsMs.length <= HANGS_MAX) {
      this.#end()
      return this.#begin()
    }
    this.#hasFailed = true
    onPeer(null)
    const message = `the engine of this tab stopped answering ${this.#hangsMs.length} times within ten minutes; close other programs, then start again`
    onState({ kind: 'failed', error: { reason: 'worker-hung', message } })
  }

  #judgeLater(): void {
    this.#cancelTimer = this.#ports.clock.after(JUDGE_INTERVAL_MS, () => {
      this.#judge()
      this.#judgeLater()
    })
  }

  #judge(): void {
    const reason = this.#pressure.judge(this.#ports.clock.nowMs())
    if (reason !== null) return this.#yield(reason)
    if (this.#hosting === null) this.#begin()
  }

  #yield(reason: PressureReason): void {
    const before = this.#reason
    if (this.#hasFailed || before === reason) return
    this.#reason = reason
    if (this.#hosting === null) this.#ports.onState({ kind: 'paused', reason })
    else if (before === null) this.#hosting.drain(reason)
  }
}

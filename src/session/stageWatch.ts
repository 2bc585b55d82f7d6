/**
 * StageWatch: what a chain does when its stages fall silent: pings them, directly and through the chain, and says which one is lost. When
 * they are silent for too long: Liveness.
 *
 * Where all answer and nothing is computed, the first stage that has not said so may hang; or the one before it withholds its rows, or the one
 * behind it gives no room. Who it was shows when it happens again: then who stood there before, and is still in the chain, is lost.
 */

import { stageName } from '../protocol/index.ts'
import type { PeerId } from '../shared/index.ts'
import type { ChainLinks } from './chainLinks.ts'
import { SessionError } from './errors.ts'
import type { LapLedger } from './lapLedger.ts'
import type { LivenessEvents } from './liveness.ts'
import type { LogitsFetch } from './logitsFetch.ts'

export class StageWatch implements LivenessEvents {
  readonly #links: ChainLinks
  readonly #ledger: LapLedger
  readonly #fetch: LogitsFetch
  readonly #onLost: (error: SessionError) => void
  /** Who stood where nothing was computed. At most three a repair. */
  readonly #suspects = new Set<PeerId>()

  constructor(links: ChainLinks, ledger: LapLedger, fetch: LogitsFetch, onLost: (error: SessionError) => void) {
    this.#links = links
    this.#ledger = ledger
    this.#fetch = fetch
    this.#onLost = onLost
  }

  ping(sequence: number): void {
    const { sessionId, stages } = this.#links.grant
    for (const index of stages.keys()) this.#links.send(index, { type: 'ping', sessionId, sequence, through: false }, 'urgent')
    this.#links.send(0, { type: 'ping', sessionId, sequence, through: true })
  }

  onSilent(stageIndexes: readonly number[], silentMs: number): void {
    for (const stageIndex of stageIndexes) {
      const message = `${this.#nameOf(stageIndex)} was silent for ${(silentMs / 1000).toFixed(1)} s`
      this.#onLost(new SessionError('timeout', message, { stageIndex }))
    }
  }

  onCut(stageIndex: number): void {
    this.#onLost(new SessionError('stage-lost', `nothing gets through to ${this.#nameOf(stageIndex)}`, { stageIndex }))
  }

  onStuck(silentMs: number): void {
    const slowest = this.#ledger.slowestStage(this.#fetch.isUnderWay)
    const there = [...this.#links.grant.stages.entries()].filter(([index]) => Math.abs(index - slowest) <= 1)
    const known = there.filter(([, { peerId }]) => this.#suspects.has(peerId))
    for (const [, { peerId }] of there) this.#suspects.add(peerId)
    for (const stageIndex of known.length > 0 ? known.map(([index]) => index) : [slowest]) {
      const what = stageIndex === slowest ? 'has computed nothing' : 'stands again beside who has computed nothing'
      const message = `${this.#nameOf(stageIndex)} ${what} for ${Math.round(silentMs / 1000)} s`
      this.#onLost(new SessionError('timeout', message, { stageIndex }))
    }
  }

  #nameOf(stageIndex: number): string {
    return stageName(this.#links.grant, stageIndex)
  }
}

/**
 * Severances: what the stages of a session have said of lost neighbors, and whom that costs its place. A link that broke may be made anew; who
 * cannot be reached is lost. The word of one stage is no proof: who accuses many, or breaks the chain by it again and again, goes too.
 */

import type { SeveredFrame } from '../protocol/index.ts'
import type { PeerId } from '../shared/index.ts'

/** Peers that one stage may accuse in a session: with the second it is as likely its own fault, and if so not the last. */
const ACCUSED_MAX = 1

/** Times that a stage may break a chain that worked: some pairs of peers lose their link every few minutes. */
const BREAKS_MAX = 8

interface Severance {
  readonly by: PeerId
  /** Null: the driver. */
  readonly accused: PeerId | null
  readonly neighbor: SeveredFrame['neighbor']
  readonly reason: SeveredFrame['reason']
  /** The chain worked until then. */
  readonly isNews: boolean
}

/** What one stage has said in the session; each costs a revision of the grant, which bounds them. */
interface Told {
  readonly accused: Set<PeerId>
  breaks: number
}

export class Severances {
  readonly #told = new Map<PeerId, Told>()
  /** Whose link was lost since results came last. */
  readonly #severed = new Set<PeerId>()

  add({ by, accused, neighbor, reason, isNews }: Severance): { readonly isNeighborLost: boolean; readonly isTellerLost: boolean } {
    const told = this.#told.get(by) ?? { accused: new Set<PeerId>(), breaks: 0 }
    this.#told.set(by, told)
    if (isNews) told.breaks++
    let isNeighborLost = false
    if (accused !== null) {
      // The first time the link may be made anew.
      isNeighborLost = neighbor === 'downstream' && (reason === 'unreachable' || this.#severed.has(accused))
      this.#severed.add(accused)
      if (isNeighborLost) told.accused.add(accused)
    }
    return { isNeighborLost, isTellerLost: told.accused.size > ACCUSED_MAX || told.breaks > BREAKS_MAX }
  }

  resultsCame(): void {
    this.#severed.clear()
  }
}

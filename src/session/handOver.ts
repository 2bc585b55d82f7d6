/**
 * HandOver: a chain that works, with a peer in it that is about to stop. Asks for another chain meanwhile, so that the answer waits for
 * nobody: the present one goes on until the other is granted, and for good where nobody can take over. Changing is the chain's matter.
 */

import type { Grant } from '../protocol/index.ts'
import type { PeerId } from '../shared/index.ts'
import type { RepairedGrant, RepairRequest } from './chain.ts'

export interface HandOverPorts {
  /** Asks the coordinator for another chain; null where there is nobody to ask. */
  readonly repair: ((request: RepairRequest) => Promise<RepairedGrant>) | null
  /** The grant of the chain that works; null while none does. */
  readonly present: () => Grant | null
  /** A chain without `leaving`. */
  readonly onGranted: (granted: RepairedGrant, leaving: readonly PeerId[]) => void
}

export class HandOver {
  readonly #ports: HandOverPorts
  readonly #leaving = new Set<PeerId>()
  #isAsking = false

  constructor(ports: HandOverPorts) {
    this.#ports = ports
  }

  /** That peer is about to stop. */
  leaves(peerId: PeerId): void {
    this.#leaving.add(peerId)
    this.consider()
  }

  /** A chain works (again): asks for another where a peer of it is about to stop. */
  consider(): void {
    const { repair, present } = this.#ports
    const grant = present()
    const lostPeerIds = grant?.stages.map(({ peerId }) => peerId).filter((peerId) => this.#leaving.has(peerId)) ?? []
    if (repair === null || grant === null || lostPeerIds.length === 0 || this.#isAsking) return
    this.#isAsking = true
    const { sessionId, revision } = grant
    repair({ sessionId, revision, lostPeerIds }).then(
      (granted) => this.#onGranted(granted, lostPeerIds),
      // Nobody takes over, or the chain broke and is being repaired: that looks again here once it works.
      () => this.#stopAsking(),
    )
  }

  #onGranted(granted: RepairedGrant, leaving: readonly PeerId[]): void {
    this.#stopAsking()
    const present = this.#ports.present()
    // A chain that broke meanwhile gets one of its own.
    if (present === null || granted.grant.revision <= present.revision) return
    this.#ports.onGranted(granted, leaving)
  }

  #stopAsking(): void {
    this.#isAsking = false
  }
}

/**
 * Round trips of one peer to those it shares chains with: the latest links, what their statistics say, and when the coordinator is told.
 * A volunteer tells them beside its passes, see volunteer.ts; a requester has nothing else to tell.
 */

import { type ClientMessage, type Link, RTT_MS_MAX } from '../protocol/index.ts'
import type { Clock, PeerId } from '../shared/index.ts'

export type RoundTrip = Extract<ClientMessage, { type: 'measured' }>['links'][number]

/** The coordinator hears this often what was measured, while there is work. */
export const MEASURED_INTERVAL_MS = 2_000

/** Links that are remembered: a tab has a handful of neighbors at a time. */
const LINKS_MAX = 16

export class LatestLinks {
  readonly #links = new Map<PeerId, Link>()

  add(link: Link): void {
    this.#links.delete(link.peerId)
    this.#links.set(link.peerId, link)
    const [oldest] = this.#links.keys()
    if (this.#links.size > LINKS_MAX && oldest !== undefined) this.#links.delete(oldest)
  }

  /** To these peers, all where none are named, as far as they are known. */
  async roundTrips(peerIds?: readonly PeerId[]): Promise<readonly RoundTrip[]> {
    const wanted = [...this.#links].filter(([peerId]) => peerIds === undefined || peerIds.includes(peerId))
    const measured = await Promise.all(wanted.map(async ([peerId, link]) => ({ peerId, rttMs: (await link.stats()).roundTripMs })))
    return measured.flatMap(({ peerId, rttMs }) => (rttMs === null || rttMs > RTT_MS_MAX ? [] : [{ peerId, rttMs }]))
  }
}

export interface RequesterReportPorts {
  readonly links: LatestLinks
  readonly clock: Clock
  readonly send: (message: Extract<ClientMessage, { type: 'measured' }>) => void
}

/** Tells what a requester's chains show of its distances. */
export class RequesterReport {
  readonly #ports: RequesterReportPorts
  #toldMs = Number.NEGATIVE_INFINITY

  constructor(ports: RequesterReportPorts) {
    this.#ports = ports
  }

  /** A lap went through the links to these peers. */
  async handleLap(peerIds: readonly PeerId[]): Promise<void> {
    const { links, clock, send } = this.#ports
    const nowMs = clock.nowMs()
    if (nowMs - this.#toldMs < MEASURED_INTERVAL_MS) return
    this.#toldMs = nowMs
    const roundTrips = await links.roundTrips(peerIds)
    if (roundTrips.length === 0) return
    send({ type: 'measured', assignmentId: null, passes: { count: 0, layers: 0, heads: 0, ms: 0 }, links: [...roundTrips] })
  }
}

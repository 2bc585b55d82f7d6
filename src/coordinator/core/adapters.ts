/**
 * Adapters: volunteers by what they compute with. A short probe beside other work says too little: who was slower than half of the equal
 * adapters counts as probed as fast as those. Nobody is lowered by what others claim, and one of them alone raises nobody.
 */

import type { PeerRecord, Pledge } from './peers.ts'

interface Alike {
  readonly peers: Set<PeerRecord>
  /** As they were probed, in order. */
  readonly probed: number[]
  /** What those that were slower have counted as since the last look. */
  usual: number
}

export class Adapters {
  readonly #alike = new Map<string, Alike>()

  /** One pledges. Returns those that count as otherwise probed now, it among them. */
  join(peer: PeerRecord, pledge: Pledge): readonly PeerRecord[] {
    const key = keyOf(pledge)
    const alike = this.#alike.get(key) ?? { peers: new Set(), probed: [], usual: 0 }
    this.#alike.set(key, alike)
    const { peers, probed } = alike
    peers.add(peer)
    probed.splice(probed.findLastIndex((other) => other <= pledge.macsPerSecond) + 1, 0, pledge.macsPerSecond)
    return level(alike) ? [...peers] : [raise(peer, alike)]
  }

  /** One has gone, or pledges no more. Returns those that count as otherwise probed now. */
  leave(peer: PeerRecord, pledge: Pledge): readonly PeerRecord[] {
    const key = keyOf(pledge)
    const alike = this.#alike.get(key)
    if (alike?.peers.delete(peer) !== true) return []
    alike.probed.splice(alike.probed.indexOf(pledge.macsPerSecond), 1)
    if (alike.peers.size === 0) this.#alike.delete(key)
    return level(alike) ? [...alike.peers] : []
  }
}

function keyOf({ engine, adapter }: Pledge): string {
  return `${engine} ${adapter}`
}

/** False where what is usual has not changed. */
function level(alike: Alike): boolean {
  const { peers, probed } = alike
  const usual = probed[(probed.length - 1) >> 1] ?? 0
  if (usual === alike.usual) return false
  alike.usual = usual
  for (const peer of peers) raise(peer, alike)
  return true
}

function raise(peer: PeerRecord, { usual }: Alike): PeerRecord {
  peer.probedMacsPerSecond = Math.max(peer.pledge?.macsPerSecond ?? 0, usual)
  return peer
}

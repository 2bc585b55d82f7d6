/**
 * PeerAccounts: which account each peer belongs to, and what accounts share with each other, in memory, as verification asks for it at any
 * moment. Found in the store when a peer has identified itself, and remembered for as long as its sessions may be settled.
 */

import { type Clock, type PeerId, TabswarmError } from '../../shared/index.ts'
import { type AccountTies, addressBlock, areLinked, type Identity, keyIdentity } from '../accounts/index.ts'
import type { AvailableAuditor, HolderId } from '../verification/index.ts'
import type { PossibleAuditor } from './auditDesk.ts'
import { PEER_KEPT_MS, PEERS_CHECK_MS, PEERS_GONE_MAX, RETRY_FIRST_MS, RETRY_LAST_MS } from './limits.ts'
import type { EconomyStore } from './ports.ts'

/** A peer that has proven its key. */
export interface IdentifiedPeer {
  readonly peerId: PeerId
  /** Raw. */
  readonly publicKey: Uint8Array
  /** Raw; null: no account has certified it. */
  readonly accountKey: Uint8Array | null
  /** An IP address; null: it counts for nothing. */
  readonly address: string | null
  /** Requesters that it stands for: one, where it is left out. */
  readonly share?: number
}

interface KnownPeer extends IdentifiedPeer {
  /** Its public address block. */
  readonly network: string | null
  /** Resolves once the store has said it; rejects when the peer has left before. */
  readonly found: Promise<string>
  account: string | null
  /** Null: it is connected. */
  goneMs: number | null
}

export interface PeerAccountsOptions {
  readonly accounts: () => Promise<Pick<EconomyStore['accounts'], 'contact' | 'ties'>>
  readonly clock: Clock
  readonly onFound: (peerId: PeerId, account: string) => void
  readonly log: (line: string) => void
}

export class PeerAccounts {
  readonly #options: PeerAccountsOptions
  /** In the order of their coming. */
  readonly #peers = new Map<PeerId, KnownPeer>()
  readonly #connected = new Set<KnownPeer>()
  readonly #ties = new Map<string, AccountTies>()
  #checkedMs = 0

  constructor(options: PeerAccountsOptions) {
    this.#options = options
  }

  identified(peer: IdentifiedPeer): void {
    const { peerId, address } = peer
    const before = this.#peers.get(peerId)
    const isSame = before !== undefined && subjectOf(before) === subjectOf(peer)
    this.#forget(peerId)
    const block = address === null ? null : addressBlock(address)
    const known: KnownPeer = {
      ...peer,
      network: block?.isPublic === true ? block.text : null,
      found: Promise.resolve().then(() => this.#find(known)),
      // Its sessions go on.
      account: isSame ? before.account : null,
      goneMs: null,
    }
    this.#peers.set(peerId, known)
    this.#connected.add(known)
    known.found.catch(() => undefined)
  }

  /** Whose identity it is has changed: it is asked anew for each of its peers. */
  moved(identity: Identity): void {
    for (const peer of [...this.#connected]) if (subjectOf(peer) === identity.subject) this.identified(peer)
  }

  /** What those accounts share with others has changed; who is not known here is asked for when it comes. */
  async tiesChanged(accounts: readonly string[]): Promise<void> {
    const known = accounts.filter((account) => this.#ties.has(account))
    if (known.length === 0) return
    for (const [account, ties] of await (await this.#options.accounts()).ties(known)) this.#ties.set(account, ties)
  }

  left(peerId: PeerId, nowMs: number): void {
    const peer = this.#peers.get(peerId)
    if (peer === undefined || peer.goneMs !== null) return
    peer.goneMs = nowMs
    this.#connected.delete(peer)
    for (const [other, { goneMs }] of this.#peers) {
      if (this.#peers.size - this.#connected.size <= PEERS_GONE_MAX) break
      if (goneMs !== null) this.#forget(other)
    }
  }

  tick(nowMs: number): void {
    if (nowMs - this.#checkedMs < PEERS_CHECK_MS) return
    this.#checkedMs = nowMs
    for (const [peerId, { goneMs }] of this.#peers) if (goneMs !== null && nowMs - goneMs >= PEER_KEPT_MS) this.#forget(peerId)
    const known = new Set([...this.#peers.values()].map(({ account }) => account))
    for (const account of this.#ties.keys()) if (!known.has(account)) this.#ties.delete(account)
  }

  get(peerId: PeerId): IdentifiedPeer | null {
    return this.#peers.get(peerId) ?? null
  }

  /** Rejects where there is no such peer, or it leaves before the store has answered. */
  accountOf(peerId: PeerId): Promise<string> {
    return this.#peers.get(peerId)?.found ?? Promise.reject(gone())
  }

  /** Null: not known yet, or any more. */
  knownAccount(peerId: PeerId): string | null {
    return this.#peers.get(peerId)?.account ?? null
  }

  holderOf(peerId: PeerId): HolderId {
    return this.knownAccount(peerId) ?? peerId
  }

  networkOf(peerId: PeerId): string | null {
    return this.#peers.get(peerId)?.network ?? null
  }

  /** Null where nobody knows yet whom it belongs to: it may be anybody's. */
  asAuditor({ peerId, kind }: PossibleAuditor): AvailableAuditor | null {
    const holder = this.knownAccount(peerId)
    return holder === null ? null : { peerId, kind, holder, network: this.networkOf(peerId) }
  }

  linked(one: HolderId, other: HolderId): boolean {
    const [mine, theirs] = [this.#ties.get(one), this.#ties.get(other)]
    return one === other || (mine !== undefined && theirs !== undefined && areLinked(mine, theirs))
  }

  /** Subjects of identities of which a peer is connected. */
  connectedSubjects(): ReadonlySet<string> {
    return new Set([...this.#connected].map(subjectOf))
  }

  /** Those that are connected. */
  connected(): PeerId[] {
    return [...this.#connected].map(({ peerId }) => peerId)
  }

  /** Those of the account that are connected. */
  peersOf(account: string): PeerId[] {
    return [...this.#connected].filter((peer) => peer.account === account).map(({ peerId }) => peerId)
  }

  #forget(peerId: PeerId): void {
    const peer = this.#peers.get(peerId)
    this.#peers.delete(peerId)
    if (peer !== undefined) this.#connected.delete(peer)
  }

  async #find(peer: KnownPeer): Promise<string> {
    const { accounts, clock, onFound, log } = this.#options
    for (let waitMs = RETRY_FIRST_MS; ; waitMs = Math.min(RETRY_LAST_MS, 2 * waitMs)) {
      if (this.#peers.get(peer.peerId) !== peer || peer.goneMs !== null) throw gone()
      try {
        const store = await accounts()
        const { id } = await store.contact(identityOf(peer), { address: peer.address })
        for (const [account, ties] of await store.ties([id])) this.#ties.set(account, ties)
        peer.account = id
        if (this.#peers.get(peer.peerId) === peer) onFound(peer.peerId, id)
        return id
      } catch (error) {
        log(`the account of peer ${peer.peerId.slice(0, 8)} was not found: ${String(error)}`)
      }
      await new Promise<void>((resolve) => clock.after(waitMs, resolve))
    }
  }
}

/** Of its account's key, or of its own where no account has certified it. */
export function identityOf({ accountKey, publicKey }: IdentifiedPeer): Identity {
  return keyIdentity(accountKey ?? publicKey)
}

function subjectOf(peer: IdentifiedPeer): string {
  return identityOf(peer).subject
}

function gone(): TabswarmError {
  return new TabswarmError('gone', 'the peer has left')
}

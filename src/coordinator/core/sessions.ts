/** OpenSessions: the grants that may still be used, and what they reserve at each stage. The coordinator's own account. */

import type { Grant } from '../../protocol/index.ts'
import type { PeerId, SessionId } from '../../shared/index.ts'
import { REFUSED_MS, UNHELD_MS } from './limits.ts'
import { type Reserved, reservedBy } from './room.ts'

interface OpenSession {
  /** The last one. */
  readonly grant: Grant
  /** Of its stages, when it was issued: who rebuilds a KV cache should be alike. */
  readonly numericClasses: readonly string[]
  /** Of its stages, how many sessions there were at most since it was issued. */
  readonly busiest: Map<PeerId, number>
  /** Freed at this time, unless its requester comes back; null while the requester is connected. */
  orphanEndsMs: number | null
  /** When some stage may have held it last. */
  heldMs: number
  /** When its driver first said that this chain is broken; null: it has not. */
  brokenMs: number | null
  /** Stages that its chains lost as soon as they were granted: they may have refused for lack of room. */
  readonly doubted: Set<PeerId>
}

export class OpenSessions {
  readonly #open = new Map<SessionId, OpenSession>()

  get count(): number {
    return this.#open.size
  }

  /** A new session, or another chain of one that is open. */
  grant(grant: Grant, numericClasses: readonly string[]): void {
    const { sessionId, issuedAtMs: heldMs } = grant
    const before = this.#open.get(sessionId)
    const [orphanEndsMs, doubted] = [before?.orphanEndsMs ?? null, before?.doubted ?? new Set<PeerId>()]
    this.#open.set(sessionId, { grant, numericClasses, busiest: new Map(), orphanEndsMs, heldMs, brokenMs: null, doubted })
    for (const { peerId } of grant.stages) {
      const there = this.#over(peerId)
      for (const { busiest } of there) busiest.set(peerId, Math.max(there.length, busiest.get(peerId) ?? 0))
    }
  }

  /** Sessions at a stage of that one, itself among them, when there were most since its chain was granted. */
  busiestAt(sessionId: SessionId, peerId: PeerId): number {
    return this.#open.get(sessionId)?.busiest.get(peerId) ?? 1
  }

  get(sessionId: SessionId): Grant | null {
    return this.#open.get(sessionId)?.grant ?? null
  }

  /** Of the stages of the session's grant. */
  numericClasses(sessionId: SessionId): readonly string[] {
    return this.#open.get(sessionId)?.numericClasses ?? []
  }

  /** Its driver says at `nowMs` that this chain is broken: since when it has been, however often the driver has said so. */
  breaks(sessionId: SessionId, nowMs: number): number {
    const session = this.#open.get(sessionId)
    if (session === undefined) return nowMs
    session.brokenMs ??= nowMs
    return session.brokenMs
  }

  /** The session's chain has lost that stage. Soon after its grant this may be for lack of room, which the session then hopes for no more there. */
  loses(sessionId: SessionId, peerId: PeerId, nowMs: number): void {
    const session = this.#open.get(sessionId)
    if (session !== undefined && nowMs - session.grant.issuedAtMs < REFUSED_MS) session.doubted.add(peerId)
  }

  isDoubted(sessionId: SessionId, peerId: PeerId): boolean {
    return this.#open.get(sessionId)?.doubted.has(peerId) === true
  }

  end(sessionId: SessionId): void {
    this.#open.delete(sessionId)
  }

  /** Ends what has expired, what nobody has come back for, and what has not been held for UNHELD_MS; returns it. */
  expire(nowMs: number, mayBeHeld: (grant: Grant) => boolean): Grant[] {
    const over = [...this.#open.values()].filter((session) => {
      const { grant, orphanEndsMs } = session
      if (mayBeHeld(grant)) session.heldMs = nowMs
      return nowMs >= Math.min(grant.expiresAtMs, orphanEndsMs ?? grant.expiresAtMs, session.heldMs + UNHELD_MS)
    })
    for (const { grant } of over) this.#open.delete(grant.sessionId)
    return over.map(({ grant }) => grant)
  }

  /**
   * The driver is gone, and was heard of last at `heardMs`: its sessions end at `endsMs` unless it comes back. Those that began
   * since end at once and are returned: the answer may have been lost with the socket, and then nobody would ever end them.
   */
  orphan(driver: PeerId, endsMs: number, heardMs: number): Grant[] {
    const own = [...this.#open.values()].filter(({ grant }) => grant.driver === driver)
    for (const session of own) session.orphanEndsMs = endsMs
    const unheard = own.map(({ grant }) => grant).filter(({ revision, issuedAtMs }) => revision === 0 && issuedAtMs >= heardMs)
    for (const { sessionId } of unheard) this.#open.delete(sessionId)
    return unheard
  }

  adopt(driver: PeerId): void {
    for (const session of this.#open.values()) if (session.grant.driver === driver) session.orphanEndsMs = null
  }

  /** Who has chains over that peer. */
  driversOver(peerId: PeerId): Set<PeerId> {
    return new Set(this.over(peerId).map(({ driver }) => driver))
  }

  /** Chains over that peer. */
  over(peerId: PeerId): Grant[] {
    return this.#over(peerId).map(({ grant }) => grant)
  }

  /** Who drives a session, or is a stage of one. */
  engaged(): Set<PeerId> {
    return new Set([...this.#open.values()].flatMap(({ grant }) => [grant.driver, ...grant.stages.map(({ peerId }) => peerId)]))
  }

  /** Whether some chain joins the two: its driver and one of its stages, or two stages that follow each other. */
  join(one: PeerId, other: PeerId): boolean {
    const isJoined = ({ driver, stages }: Grant) => {
      const place = (peerId: PeerId) => stages.findIndex((stage) => stage.peerId === peerId)
      const [a, b] = [place(one), place(other)]
      if (a >= 0 && b >= 0 && Math.abs(a - b) === 1) return true
      return (one === driver && b >= 0) || (other === driver && a >= 0)
    }
    return [...this.#open.values()].some(({ grant }) => isJoined(grant))
  }

  ofDriver(driver: PeerId): number {
    return [...this.#open.values()].filter(({ grant }) => grant.driver === driver).length
  }

  ofModel(modelId: Grant['modelId']): number {
    return [...this.#open.values()].filter(({ grant }) => grant.modelId === modelId).length
  }

  /** What is granted at each peer, but for that session. */
  reserved(nowMs: number, except: SessionId | null = null): ReadonlyMap<PeerId, Reserved> {
    const grants = [...this.#open.values()].flatMap(({ grant }) => (grant.sessionId === except ? [] : [grant]))
    return reservedBy(grants, nowMs)
  }

  #over(peerId: PeerId): OpenSession[] {
    return [...this.#open.values()].filter(({ grant }) => grant.stages.some((stage) => stage.peerId === peerId))
  }
}

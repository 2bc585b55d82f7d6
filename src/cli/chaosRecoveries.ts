/**
 * Which of an answer's repairs belongs to which kill: by who was lost, not by the clock alone, since a tab that freezes is missed a second
 * later, when the next one may be gone already. Kills that no repair of their own followed are told with the reason.
 */

import type { AnswerRepair, AskProgress } from '../peer/index.ts'
import type { Kill, KillKind } from './chaosPlan.ts'

export interface DoneKill extends Kill {
  /** By the clock that pages have too. */
  readonly atMs: number
  /** Whose tab it was, `all` where every tab was hit; null: it was gone already. */
  readonly victim: string | null
}

export interface Recovery {
  readonly kind: KillKind
  /** Tokens that had come. */
  readonly atToken: number
  /** Positions that replacements were sent again and computed anew; 0 where every stage kept what it had, and before any was computed. */
  readonly replayedPositions: number
  /** From the kill until the driver knew, */
  readonly detectMs: number
  /** from then until the coordinator named other stages (a spare may have had to load), */
  readonly loadMs: number
  /** until all of them had answered, */
  readonly reconnectMs: number
  /** and until the next results came. */
  readonly replayMs: number
  readonly ms: number
}

/** A kill without a recovery of its own. */
export interface Unrecovered {
  readonly kind: KillKind
  readonly atToken: number
  /**
   * - `same-recovery`: what it took was replaced together with what an earlier kill took;
   * - `gone-already`: an earlier kill had hit the same tab, and this one counts for none;
   * - `not-missed`: the answer ended before anybody missed it, and no kill is counted;
   * - `not-mended`: the answer failed.
   */
  readonly why: 'same-recovery' | 'gone-already' | 'not-missed' | 'not-mended'
}

export interface SeenRepair extends AnswerRepair {
  readonly lostPeerIds: readonly string[]
}

/** Follows an answer's progress, of which each repair tells only the stages' numbers. */
export class RepairWatch {
  readonly #lostPeerIds: (readonly string[])[] = []
  #repairs: readonly AnswerRepair[] = []
  #route: AskProgress['route'] = []

  handle({ repairs, route }: Pick<AskProgress, 'repairs' | 'route'>): void {
    for (const { stageIndexes } of repairs.slice(this.#lostPeerIds.length))
      this.#lostPeerIds.push(stageIndexes.flatMap((index) => this.#route[index]?.peerId ?? []))
    this.#repairs = repairs
    this.#route = route
  }

  get repairs(): readonly SeenRepair[] {
    return this.#repairs.map((repair, index) => ({ ...repair, lostPeerIds: this.#lostPeerIds[index] ?? [] }))
  }
}

/** Repairs up to one that brought results. */
interface Mending {
  readonly first: SeenRepair
  readonly last: SeenRepair
  readonly lostPeerIds: readonly string[]
}

/** Kills in the order in which they were done. `failed`: the answer ended with an error. */
export function bookRepairs(
  kills: readonly DoneKill[],
  repairs: readonly SeenRepair[],
  failed: boolean,
): { readonly recoveries: readonly Recovery[]; readonly unrecovered: readonly Unrecovered[] } {
  const mendings = mendingsOf(repairs)
  const booked = new Map<DoneKill, Mending>()
  for (const mending of mendings) {
    const { lostMs } = mending.first
    const before = kills.filter(({ atMs, victim }) => atMs <= lostMs && victim !== null)
    const open = before.filter((kill) => !booked.has(kill))
    const cause = open.find((kill) => isVictim(kill, mending)) ?? open.at(-1) ?? before.at(-1)
    if (cause === undefined) continue
    // A kill that took two repairs is over with the second.
    booked.set(cause, { ...mending, first: booked.get(cause)?.first ?? mending.first })
  }
  const recoveries = kills.flatMap((kill) => recoveryOf(kill, booked.get(kill)))
  const unrecovered = kills
    .filter((kill) => !booked.has(kill))
    .map((kill) => ({ kind: kill.kind, atToken: kill.atToken, why: reasonOf(kill, mendings, failed) }))
  return { recoveries, unrecovered }
}

function mendingsOf(repairs: readonly SeenRepair[]): Mending[] {
  const mendings: Mending[] = []
  let begun: SeenRepair[] = []
  for (const repair of repairs) {
    begun.push(repair)
    if (repair.doneMs === null) continue
    mendings.push({ first: begun[0] ?? repair, last: repair, lostPeerIds: begun.flatMap(({ lostPeerIds }) => lostPeerIds) })
    begun = []
  }
  return mendings
}

function isVictim({ victim }: DoneKill, { lostPeerIds }: Mending): boolean {
  return victim === 'all' || (victim !== null && lostPeerIds.includes(victim))
}

function recoveryOf(kill: DoneKill, mending: Mending | undefined): Recovery[] {
  if (mending === undefined) return []
  const { first, last } = mending
  const { lostMs } = first
  const [grantedMs, openedMs, doneMs] = [last.grantedMs ?? lostMs, last.openedMs ?? lostMs, last.doneMs ?? lostMs]
  return [
    {
      kind: kill.kind,
      atToken: kill.atToken,
      replayedPositions: last.replayedPositions ?? 0,
      detectMs: lostMs - kill.atMs,
      loadMs: grantedMs - lostMs,
      reconnectMs: openedMs - grantedMs,
      replayMs: doneMs - openedMs,
      ms: doneMs - kill.atMs,
    },
  ]
}

function reasonOf({ victim, atMs }: DoneKill, mendings: readonly Mending[], failed: boolean): Unrecovered['why'] {
  if (victim === null) return 'gone-already'
  if (mendings.some(({ last }) => atMs <= (last.doneMs ?? atMs))) return 'same-recovery'
  return failed ? 'not-mended' : 'not-missed'
}

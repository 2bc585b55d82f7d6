/** Kills and repairs are laid out by hand: each repair must be booked to what caused it, and each other kill explained. */

import { describe, expect, it } from 'vitest'
import type { AnswerRepair, AskProgress } from '../peer/index.ts'
import type { PeerId } from '../shared/index.ts'
import { type KillKind, tabsNeeded } from './chaosPlan.ts'
import { bookRepairs, type DoneKill, RepairWatch, type SeenRepair } from './chaosRecoveries.ts'

function kill(kind: KillKind, atMs: number, victim: string | null): DoneKill {
  return { kind, atMs, victim, atToken: atMs / 100, stageIndex: 0 }
}

/** Noticed at `lostMs`, mended 300 ms later unless told otherwise. */
function repair(lostMs: number, lostPeerIds: readonly string[], changes: Partial<SeenRepair> = {}): SeenRepair {
  const times = { lostMs, grantedMs: lostMs + 50, openedMs: lostMs + 100, doneMs: lostMs + 300 }
  return {
    stageIndexes: [],
    reason: 'stage-lost',
    message: '',
    positions: 58,
    replayedPositions: 60,
    completionTokens: 5,
    ...times,
    lostPeerIds,
    ...changes,
  }
}

describe('recoveries of an answer', () => {
  it('belong to the kill that caused them, when a second tab goes before the first is missed', () => {
    const kills = [kill('freeze', 400, 'a'), kill('close', 500, 'b')]
    const { recoveries, unrecovered } = bookRepairs(kills, [repair(1_600, ['a'])], false)
    expect(recoveries).toMatchObject([
      { kind: 'freeze', atToken: 4, detectMs: 1_200, loadMs: 50, reconnectMs: 50, replayMs: 200, ms: 1_500 },
    ])
    expect(unrecovered).toEqual([{ kind: 'close', atToken: 5, why: 'same-recovery' }])
  })

  it('are in the order of the kills, each with its own, when the later kill is noticed first', () => {
    const kills = [kill('freeze', 400, 'a'), kill('close', 500, 'b')]
    const { recoveries, unrecovered } = bookRepairs(kills, [repair(550, ['b']), repair(1_600, ['a'])], false)
    expect(recoveries.map(({ kind, detectMs }) => [kind, detectMs])).toEqual([
      ['freeze', 1_200],
      ['close', 50],
    ])
    expect(unrecovered).toEqual([])
  })

  it('last from the first loss to the first results, when a repair brings none and another follows', () => {
    const inVain = repair(1_000, ['a'], { doneMs: null })
    const { recoveries } = bookRepairs([kill('crash', 900, 'a')], [inVain, repair(1_500, ['c'])], false)
    expect(recoveries).toMatchObject([{ detectMs: 100, ms: 900 }])
  })

  it('count the positions that the repair that brought results sent again', () => {
    const inVain = repair(1_000, ['a'], { doneMs: null, replayedPositions: null })
    const { recoveries } = bookRepairs([kill('crash', 900, 'a')], [inVain, repair(1_500, ['c'], { replayedPositions: 64 })], false)
    expect(recoveries).toMatchObject([{ replayedPositions: 64 }])
  })

  it('count in answers that failed later, where what was not mended is said', () => {
    const kills = [kill('close', 100, 'a'), kill('crash', 2_000, 'b')]
    const { recoveries, unrecovered } = bookRepairs(kills, [repair(200, ['a']), repair(2_100, ['b'], { doneMs: null })], true)
    expect(recoveries).toMatchObject([{ kind: 'close' }])
    expect(unrecovered).toEqual([{ kind: 'crash', atToken: 20, why: 'not-mended' }])
  })

  it('are not there for a tab that was gone already, nor for one that nobody missed', () => {
    const kills = [kill('crash', 700, 'a'), kill('close', 800, null), kill('close', 5_000, 'b')]
    const { recoveries, unrecovered } = bookRepairs(kills, [repair(900, ['a'])], false)
    expect(recoveries).toHaveLength(1)
    expect(unrecovered.map(({ why }) => why)).toEqual(['gone-already', 'not-missed'])
  })
})

describe('what is seen of repairs', () => {
  const stage = (peerId: string, firstLayer: number) => ({ peerId: peerId as PeerId, firstLayer, endLayer: firstLayer + 1 })
  const begun: AnswerRepair = { ...repair(100, []), stageIndexes: [1], grantedMs: null, openedMs: null, doneMs: null }
  const seen = (after: readonly string[]) => {
    const watch = new RepairWatch()
    const tell = (repairs: readonly AnswerRepair[], peers: readonly string[]) =>
      watch.handle({ repairs, route: peers.map(stage) as unknown as AskProgress['route'] })
    tell([], ['a', 'b'])
    tell([begun], ['a', 'b'])
    tell([begun], after)
    tell([{ ...begun, doneMs: 400 }], after)
    return watch.repairs
  }

  it('names who was lost by the chain that broke', () => {
    for (const after of [
      ['a', 'c'],
      ['a', 'b'],
    ])
      expect(seen(after)).toMatchObject([{ lostPeerIds: ['b'], doneMs: 400 }])
  })
})

describe('tabs of a run', () => {
  it('are enough for a chain after all that one answer may lose', () => {
    expect([tabsNeeded(2, 1), tabsNeeded(2, 2), tabsNeeded(2, 10), tabsNeeded(1, 1)]).toEqual([3, 4, 4, 2])
  })
})

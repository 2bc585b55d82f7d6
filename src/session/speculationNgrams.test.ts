import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { DraftToken } from './drafter.ts'
import { createNgramDrafter } from './speculationNgrams.ts'

const { signal } = new AbortController()
const request = (limit: number) => ({ limit, countWorth: () => limit, signal })

/** What a drafter that has seen `ids` drafts; by words, where that reads better. */
async function draft(ids: readonly number[], limit: number): Promise<readonly DraftToken[]> {
  const drafter = createNgramDrafter()
  drafter.append(ids)
  return drafter.draft(request(limit))
}

const idsOf = (tokens: readonly DraftToken[]) => tokens.map(({ id }) => id)

describe('the n-gram drafter', () => {
  it('continues as the text did where it last was the same for longest', async () => {
    // 1 2 3 was followed by 4, the newer 2 3 by 9 and the newest 3 by 8.
    expect(idsOf(await draft([1, 2, 3, 4, 5, 0, 2, 3, 9, 3, 8, 1, 2, 3], 2))).toEqual([4, 5])
  })

  it('of equal matches takes the newest', async () => {
    expect(idsOf(await draft([1, 2, 7, 1, 2, 8, 1, 2], 1))).toEqual([8])
  })

  it('follows one passage to its end although newer ones match as well', async () => {
    const passage = Array.from({ length: 40 }, (_, index) => index)
    const drafter = createNgramDrafter()
    drafter.append([...passage, 99, ...passage, 98])
    // The second copy is followed from its start, and the 16 tokens that are compared are in both from then on.
    drafter.append(passage.slice(0, 1))
    for (const id of passage.slice(1)) {
      expect(idsOf(await drafter.draft(request(1)))).toEqual([id])
      drafter.append([id])
    }
    expect(idsOf(await drafter.draft(request(1)))).toEqual([98])
  })

  it('goes on with itself where the text repeats at its very end', async () => {
    expect(idsOf(await draft([5, 6, 7, 5, 6, 7, 5], 7))).toEqual([6, 7, 5, 6, 7, 5, 6])
    expect(idsOf(await draft([5, 5], 3))).toEqual([5, 5, 5])
  })

  it('drafts nothing without an earlier place, without room, and without a text', async () => {
    expect(await draft([1, 2, 3], 4)).toEqual([])
    expect(await draft([1, 1], 0)).toEqual([])
    expect(await draft([], 4)).toEqual([])
  })

  it('is surer the longer the match, and the further the match would have become', async () => {
    const short = await draft([1, 2, 3, 4, 9, 2], 2)
    const long = await draft([1, 2, 3, 4, 9, 1, 2], 2)
    const [first = 0, second = 0] = short.map(({ likelihood }) => likelihood)
    expect(first).toBeGreaterThan(0)
    expect(second).toBeGreaterThan(first)
    expect(second).toBeLessThan(1)
    expect(long[0]?.likelihood).toBe(second)
  })

  it('finds a match as long as any there is, whatever the text and however it came', async () => {
    const pieces = fc.array(fc.array(fc.nat(3), { maxLength: 8 }), { maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(pieces, fc.integer({ min: 1, max: 20 }), async (parts, limit) => {
        const drafter = createNgramDrafter()
        for (const part of parts) {
          drafter.append(part)
          await drafter.draft(request(limit))
        }
        const ids = parts.flat()
        const drafted = idsOf(await drafter.draft(request(limit)))
        const longest = Math.max(0, ...ids.map((_, distance) => (distance === 0 ? 0 : matchLength(ids, distance))))
        expect(drafted).toHaveLength(longest === 0 ? 0 : limit)
        const places = ids.map((_, distance) => distance).filter((distance) => distance > 0 && matchLength(ids, distance) === longest)
        const continuations = places.map((distance) => continuation(ids, distance, limit))
        if (longest > 0) expect(continuations).toContainEqual(drafted)
      }),
    )
  })
})

/** How many tokens at the end equal those `distance` before; all pairs, token by token. */
function matchLength(ids: readonly number[], distance: number): number {
  const end = ids.length
  for (let length = 0; length < 16; length++)
    if (end - 1 - length < distance || ids[end - 1 - length] !== ids[end - 1 - length - distance]) return length
  return 16
}

function continuation(ids: readonly number[], distance: number, limit: number): number[] {
  const all = [...ids]
  while (all.length < ids.length + limit) all.push(all[all.length - distance] ?? -1)
  return all.slice(ids.length)
}

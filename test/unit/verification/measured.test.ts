/** The tolerance in use is the one that was measured, and the simulation over what was measured finds every cheat. */

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { DATA_CHEATS, MEASURED_TOLERANCE, parseDistanceTable } from '../../../src/coordinator/verification/index.ts'
import { detectOften } from '../../../src/sim/index.ts'

const parsed = parseDistanceTable(readFileSync(new URL('../../../docs/benchmarks/tolerance.json', import.meta.url), 'utf8'))
if (!parsed.ok) throw new Error(parsed.error)
const table = parsed.value

describe('the measured distances', () => {
  it('lead to the tolerance in use', () => {
    expect(table.tolerance).toEqual(MEASURED_TOLERANCE)
  })

  it('lie below it between honest engines, by a factor of four, and above it where a cheat was at work, by three', () => {
    const ends = (spreads: readonly { readonly spread: readonly (readonly [number, number])[] }[]) =>
      spreads.flatMap(({ spread }) => spread.map(([, distance]) => distance))
    expect(Math.max(...ends(table.honest))).toBeLessThan(MEASURED_TOLERANCE.default / 4)
    expect(Math.min(...ends(table.cheats))).toBeGreaterThan(3 * MEASURED_TOLERANCE.default)
    expect(new Set(table.cheats.map(({ cheat }) => cheat))).toEqual(new Set(DATA_CHEATS))
  })

  it('of engines of one class are none: they give equal bits', () => {
    const own = table.honest.filter(({ classes: [one, other] }) => one === other)
    expect(own.length).toBeGreaterThan(1)
    for (const { spread } of own) expect(spread.every(([, distance]) => distance === 0)).toBe(true)
  })

  it('let audits find a cheat in a few requests, and fail nobody else', () => {
    const { detected, falsePositives } = detectOften(table, 'skip-layer', 1, 20, 50)
    expect(detected).toBeGreaterThanOrEqual(0.9)
    expect(falsePositives).toBe(0)
    expect(detectOften(table, 'none', 1, 10, 50)).toMatchObject({ detected: 0, falsePositives: 0 })
  })
})

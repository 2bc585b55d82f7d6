/** The table of distances (verification's distanceTable.ts) out of what was measured: of the engines that tabs run, so of those that have cheated. */

import { ENGINE_CHEATS } from '../cheats/index.ts'
import type { DistanceTable } from '../coordinator/verification/index.ts'
import { quantile } from '../kernels/suite/index.ts'
import { type Compared, compareOutputs } from './distances.ts'
import type { EngineRows } from './measureEngine.ts'
import { cheatPairs, honestPairs, type Measured, type PairCompared, type ToleranceReport } from './tolerance.ts'

/** Points of a spread. */
const SHARES = [0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1]
/** Of a distance: another seed changes the second. */
const DIGITS = 4

export function distanceTable(measured: Measured, report: ToleranceReport, source: string): DistanceTable {
  const engines = measured.engines.filter(({ cheats }) => cheats.length > 0)
  const served = { ...measured, engines }
  const cheats = cheatPairs(served)
  const classPairs = engines.flatMap((one, index) => engines.slice(index).map((other) => [one, other] as const))
  const cheatEntries = ENGINE_CHEATS.flatMap((cheat) =>
    classPairs.map(([one, other]) => ({
      cheat,
      classes: classesOf(one, other),
      spread: spreadOf(
        between(
          cheats.filter((pair) => pair.cheat === cheat),
          one,
          other,
        ),
      ),
    })),
  )
  const own = engines.map((engine) => ({
    classes: classesOf(engine, engine),
    spread: spreadOf(compareOutputs(measured.places, measured.sessions, engine.honest, engine.again)),
  }))
  return {
    version: 1,
    source,
    tolerance: { default: report.tolerance, pairs: [] },
    honest: [
      ...own,
      ...honestPairs(served).map(({ one, other, compared }) => ({ classes: classesOf(one, other), spread: spreadOf(compared) })),
    ],
    cheats: [
      ...cheatEntries,
      // Who colludes computes what it likes: what comes nearest to honesty, at the best.
      ...cheatEntries.filter(({ cheat }) => cheat === report.margin.nearestCheat).map((entry) => ({ ...entry, cheat: 'collude' as const })),
    ],
  }
}

/** As JSON, a spread a line. */
export function distanceTableText({ version, source, tolerance, honest, cheats }: DistanceTable): string {
  const lines = (entries: readonly object[]) => `[\n${entries.map((entry) => `    ${JSON.stringify(entry)}`).join(',\n')}\n  ]`
  const parts = Object.entries({ version, source, tolerance }).map(([name, value]) => `  "${name}": ${JSON.stringify(value)},\n`)
  return `{\n${parts.join('')}  "honest": ${lines(honest)},\n  "cheats": ${lines(cheats)}\n}\n`
}

function classesOf(one: EngineRows, other: EngineRows): [string, string] {
  return [one.numericClass, other.numericClass]
}

/** Whichever of the two cheated. */
function between(pairs: readonly PairCompared[], one: EngineRows, other: EngineRows): Compared[] {
  return pairs
    .filter((pair) => (pair.one === one && pair.other === other) || (pair.one === other && pair.other === one))
    .flatMap(({ compared }) => compared)
}

function spreadOf(compared: readonly Compared[]): [number, number][] {
  const slices = compared.flatMap((entry) => entry.slices)
  return SHARES.map((share) => [share, Number(quantile(slices, share).toPrecision(DIGITS))])
}

/**
 * What was measured, as figures and as the table that verification and simulation read: how far honest engines are apart, how near cheats come, and
 * the tolerance between the two.
 */

import type { EngineCheat } from '../cheats/index.ts'
import { quantile } from '../kernels/suite/index.ts'
import type { RowEncoding } from '../protocol/index.ts'
import { required } from '../shared/index.ts'
import { type Compared, compareOutputs, type Places } from './distances.ts'
import type { EngineRows } from './measureEngine.ts'
import type { RecordedSession } from './recording.ts'
import { type TailBound, tailBound } from './tail.ts'

export interface Measured {
  readonly places: Places
  readonly sessions: readonly RecordedSession[]
  /** Two or more, of different numeric classes; at least one of them has cheated. */
  readonly engines: readonly EngineRows[]
}

/** Of rows. */
export interface HonestSpread {
  readonly rows: number
  readonly equalRows: number
  readonly median: number
  readonly p99: number
  readonly p999: number
  readonly most: number
}

export interface HonestPair extends HonestSpread {
  readonly engines: readonly [string, string]
  /** null: of all boundaries together. */
  readonly boundary: { readonly encoding: RowEncoding; readonly after: string } | null
}

/** Of slices that hold a row that was not computed as it should be. */
export interface CheatSpread {
  readonly cheat: EngineCheat
  readonly slices: number
  readonly least: number
  readonly p1: number
  readonly median: number
  /** That the tolerance lets pass. */
  readonly missed: number
  /** Who cheated and who audited where it came nearest. */
  readonly nearest: readonly [string, string]
}

export interface ToleranceReport {
  readonly honest: readonly HonestPair[]
  readonly all: HonestSpread
  /** Of honest engines against each other: slices of all pairs, and how many of them the tolerance would fail. */
  readonly audits: { readonly slices: number; readonly falsePositives: number }
  /** Rows of each engine against its own in passes of other sizes. */
  readonly again: { readonly rows: number; readonly equalRows: number; readonly most: number }
  readonly cheats: readonly CheatSpread[]
  readonly margin: {
    readonly nearestCheat: EngineCheat
    readonly least: number
    /** Its least distance ÷ the honest 99.9th percentile, and ÷ the largest honest distance. */
    readonly overP999: number
    readonly overMost: number
  }
  /** The geometric middle of the largest honest distance and the nearest cheat's, as what is uncertain about both is a factor. */
  readonly tolerance: number
  /** By encoding, whose rows have tails of their own. null: the tolerance is not above all honest rows, so nothing separates them from cheats. */
  readonly tails: readonly (TailBound & { readonly encoding: RowEncoding })[] | null
}

export function toleranceReport(measured: Measured): ToleranceReport {
  const { places } = measured
  const pairs = honestPairs(measured)
  const compared = pairs.flatMap((pair) => pair.compared)
  const slices = compared.flatMap((entry) => entry.slices)
  const again = measured.engines.flatMap((engine) => compareOutputs(places, measured.sessions, engine.honest, engine.again))
  const all = spreadOf(compared)
  const cheats = cheatPairs(measured)
  const nearest = required(
    cheats.map((pair) => ({ cheat: pair.cheat, least: leastOf(pair) })).toSorted((a, b) => a.least - b.least)[0],
    'a cheat',
  )
  const tolerance = Number(Math.sqrt(all.most * nearest.least).toPrecision(2))
  return {
    honest: [
      ...pairs.map((pair) => ({ engines: namesOf(pair), boundary: null, ...spreadOf(pair.compared) })),
      ...pairs.flatMap((pair) => byBoundary(pair, places)),
    ],
    all,
    audits: { slices: slices.length, falsePositives: slices.filter((distance) => distance > tolerance).length },
    again: countsOf(again),
    cheats: [...new Set(cheats.map(({ cheat }) => cheat))].map((cheat) => cheatSpread(cheat, cheats, tolerance)),
    margin: {
      nearestCheat: nearest.cheat,
      least: nearest.least,
      overP999: nearest.least / all.p999,
      overMost: nearest.least / all.most,
    },
    tolerance,
    tails: all.most < tolerance ? tailsOf(compared, tolerance) : null,
  }
}

export interface PairCompared {
  readonly one: EngineRows
  readonly other: EngineRows
  readonly compared: readonly Compared[]
}

/** Each two engines, once. */
export function honestPairs({ places, sessions, engines }: Measured): PairCompared[] {
  return engines.flatMap((one, index) =>
    engines.slice(index + 1).map((other) => ({ one, other, compared: compareOutputs(places, sessions, one.honest, other.honest) })),
  )
}

/**
 * `one` cheats, `other` audits it honestly: each with each, itself too. Slices in which the cheat has sent what it computed are left out: of eight rows one
 * is lazy, and sessions that begin with the same words have the same rows there.
 */
export function cheatPairs({ places, sessions, engines }: Measured): (PairCompared & { readonly cheat: EngineCheat })[] {
  return engines.flatMap((one) =>
    one.cheats.flatMap(({ cheat, outputs }) => {
      const changed = compareOutputs(places, sessions, outputs, one.honest)
      return engines.map((other) => {
        const compared = compareOutputs(places, sessions, outputs, other.honest).map((entry) => {
          const own = required(
            changed.find(({ session, span }) => session === entry.session && span === entry.span),
            `span ${entry.span} of session ${entry.session}`,
          )
          return { ...entry, slices: entry.slices.filter((_, slice) => (own.slices[slice] ?? 0) > 0) }
        })
        return { one, other, cheat, compared }
      })
    }),
  )
}

function namesOf({ one, other }: PairCompared): [string, string] {
  return [one.engine, other.engine]
}

function tailsOf(compared: readonly Compared[], tolerance: number) {
  return encodingsOf(compared).map((encoding) => {
    const rows = compared.flatMap((entry) => (entry.encoding === encoding ? entry.rows : []))
    return { encoding, ...tailBound(rows, tolerance) }
  })
}

function encodingsOf(compared: readonly Compared[]): RowEncoding[] {
  return [...new Set(compared.map(({ encoding }) => encoding))]
}

function byBoundary(pair: PairCompared, { spans }: Places): HonestPair[] {
  return encodingsOf(pair.compared).flatMap((encoding) =>
    spans.map(({ endLayer }, span) => ({
      engines: namesOf(pair),
      boundary: { encoding, after: span === spans.length - 1 ? 'results' : `layer ${endLayer - 1}` },
      ...spreadOf(pair.compared.filter((entry) => entry.encoding === encoding && entry.span === span)),
    })),
  )
}

function spreadOf(compared: readonly Compared[]): HonestSpread {
  const rows = compared.flatMap((entry) => entry.rows)
  const { equalRows, most } = countsOf(compared)
  return { rows: rows.length, equalRows, median: quantile(rows, 0.5), p99: quantile(rows, 0.99), p999: quantile(rows, 0.999), most }
}

function countsOf(compared: readonly Compared[]) {
  return {
    rows: compared.reduce((sum, { rows }) => sum + rows.length, 0),
    equalRows: compared.reduce((sum, { equalRows }) => sum + equalRows, 0),
    most: compared.reduce((most, { rows }) => rows.reduce((a, b) => Math.max(a, b), most), 0),
  }
}

function cheatSpread(cheat: EngineCheat, cheats: ReturnType<typeof cheatPairs>, tolerance: number): CheatSpread {
  const own = cheats.filter((pair) => pair.cheat === cheat && Number.isFinite(leastOf(pair)))
  const slices = own.flatMap(({ compared }) => compared.flatMap((entry) => entry.slices))
  const nearest = required(own.toSorted((a, b) => leastOf(a) - leastOf(b))[0], `slices of ${cheat}`)
  return {
    cheat,
    slices: slices.length,
    least: leastOf(nearest),
    p1: quantile(slices, 0.01),
    median: quantile(slices, 0.5),
    missed: slices.filter((distance) => distance <= tolerance).length,
    nearest: namesOf(nearest),
  }
}

function leastOf({ compared }: PairCompared): number {
  return compared.reduce((least, { slices }) => slices.reduce((a, b) => Math.min(a, b), least), Number.POSITIVE_INFINITY)
}

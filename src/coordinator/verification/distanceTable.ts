/**
 * DistanceTable: what was measured of honest engines against each other, and of cheats against honest ones, with the tolerances derived
 * from it. A JSON file, written by the benchmark of tolerances; parsed and bounded here alone.
 */

import * as v from 'valibot'
import { err, ok, type Result } from '../../shared/index.ts'

/** Cheats that change what a stage computes. */
export const DATA_CHEATS = ['skip-layer', 'coarse-quantization', 'noise', 'other-session', 'repeat-row', 'lazy', 'collude'] as const
export type DataCheat = (typeof DATA_CHEATS)[number]

/** Two numeric classes; their order says nothing. */
const classes = v.tuple([v.pipe(v.string(), v.maxLength(300)), v.pipe(v.string(), v.maxLength(300))])
const distance = v.pipe(v.number(), v.finite(), v.minValue(0), v.maxValue(1e6))

/** Worst rows' distances of audits, as points [share of audits, distance] of their distribution, both rising from share 0 to 1. */
const spread = v.pipe(
  v.array(v.tuple([v.pipe(v.number(), v.minValue(0), v.maxValue(1)), distance])),
  v.minLength(2),
  v.maxLength(1_000),
  v.check((points) => points[0]?.[0] === 0 && points.at(-1)?.[0] === 1, 'a spread goes from share 0 to share 1'),
  v.check(
    (points) =>
      points.every(([share, value], at) => at === 0 || (share > (points[at - 1]?.[0] ?? 0) && value >= (points[at - 1]?.[1] ?? 0))),
    'shares and distances of a spread rise',
  ),
)
export type Spread = v.InferOutput<typeof spread>

const tableSchema = v.strictObject({
  version: v.literal(1),
  /** Which model, engines and commands; for the reader. */
  source: v.pipe(v.string(), v.maxLength(2_000)),
  tolerance: v.strictObject({
    default: distance,
    pairs: v.pipe(v.array(v.strictObject({ classes, distance })), v.maxLength(1_000)),
  }),
  honest: v.pipe(v.array(v.strictObject({ classes, spread })), v.minLength(1), v.maxLength(1_000)),
  cheats: v.pipe(v.array(v.strictObject({ cheat: v.picklist(DATA_CHEATS), classes, spread })), v.maxLength(10_000)),
})
export type DistanceTable = v.InferOutput<typeof tableSchema>

export function parseDistanceTable(json: string): Result<DistanceTable, string> {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    return err('the table of distances is not JSON')
  }
  const parsed = v.safeParse(tableSchema, value)
  if (parsed.success) {
    const missing = missingSpread(parsed.output)
    return missing === null ? ok(parsed.output) : err(`the table of distances has no spread of ${missing}; measure it`)
  }
  const [issue] = parsed.issues
  return err(`the table of distances: ${v.getDotPath(issue) ?? 'the file'}: ${issue.message}`)
}

type Pair = readonly [string, string]

export function isPair([a, b]: Pair, one: string, other: string): boolean {
  return (a === one && b === other) || (a === other && b === one)
}

/** Each two classes of the table, and each with itself, have to be measured: of honest engines, and of every cheat that is in it. */
function missingSpread({ honest, cheats }: DistanceTable): string | null {
  const names = [...new Set(honest.flatMap(({ classes: pair }) => pair))]
  const kinds = [...new Set(cheats.map(({ cheat }) => cheat))]
  const sets = [
    { name: 'honest engines', entries: honest },
    ...kinds.map((name) => ({ name, entries: cheats.filter(({ cheat }) => cheat === name) })),
  ]
  for (const { name, entries } of sets)
    for (const one of names)
      for (const other of names)
        if (!entries.some(({ classes: pair }) => isPair(pair, one, other))) return `${name} between "${one}" and "${other}"`
  return null
}

/** The largest distance that counts as honest between engines of these classes. */
export function toleranceOf({ tolerance }: Pick<DistanceTable, 'tolerance'>, one: string, other: string): number {
  const found = tolerance.pairs.find(({ classes: pair }) => isPair(pair, one, other))
  return found?.distance ?? tolerance.default
}

/** The distance at that share of a spread, 0 … 1, between its points in a straight line. */
export function distanceAt(points: Spread, share: number): number {
  const at = points.findIndex(([below]) => below >= share)
  const [shareAbove, above] = points[Math.max(0, at)] ?? [1, Number.POSITIVE_INFINITY]
  const [shareBelow, below] = points[Math.max(0, at - 1)] ?? [shareAbove, above]
  return shareAbove === shareBelow ? above : below + ((above - below) * (share - shareBelow)) / (shareAbove - shareBelow)
}

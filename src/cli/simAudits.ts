/**
 * `tabswarm sim --audits FILE`: each cheat against the real verification, with distances drawn from a measured table. Ends with code 1 where
 * a cheat is found less often than promised, audits cost more, or a lie about speed pays.
 */

import { readFileSync } from 'node:fs'
import { SPEED_LIES } from '../cheats/index.ts'
import { DATA_CHEATS, type DistanceTable, parseDistanceTable } from '../coordinator/verification/index.ts'
import type { Cheat, DetectionSummary, SpeedLieSummary } from '../sim/index.ts'
import { printJson, printLine, UsageError } from './output.ts'

export interface AuditOptions {
  readonly audits: string
  readonly seed: number
  /** Of each cheat. */
  readonly runs: number
  readonly json: boolean
}

const REQUESTS = 50
/** Of a day, in which a lie about speed has to pay or not. */
const SPEED_SESSIONS = 200
const DETECTED_MIN = 0.95
const EXTRA_PERCENT_MAX = 10

export async function simAudits({ audits, seed, runs, json }: AuditOptions): Promise<void> {
  const table = readTable(audits)
  const { detectOften, lieOften } = await import('../sim/index.ts')
  const cheats: Cheat[] = ['none', 'replay-receipt', ...DATA_CHEATS.filter((name) => table.cheats.some(({ cheat }) => cheat === name))]
  const results = cheats.map((cheat) => detectOften(table, cheat, seed, runs, REQUESTS))
  const speed = Object.entries(SPEED_LIES).map(([cheat, factor]) => lieOften({ cheat, factor }, seed, runs, SPEED_SESSIONS))
  if (json) printJson({ source: table.source, seed, results, speed })
  else for (const line of [...linesOf(results), '', ...speedLines(speed)]) printLine(line)
  const isWorthless = speed.every(({ paidToCheater, paidToHonestTwin }) => paidToCheater <= paidToHonestTwin)
  if (!results.every(isKept) || !isWorthless) process.exitCode = 1
}

function readTable(path: string): DistanceTable {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new UsageError(
      `--audits must name a table of distances; ${path} cannot be read (${error instanceof Error ? error.message : error})`,
    )
  }
  const table = parseDistanceTable(text)
  if (!table.ok) throw new UsageError(`--audits ${path}: ${table.error}`)
  return table.value
}

/** Steady state is where nobody cheats: that is what audits cost. */
function isKept({ cheat, detected, extraComputePercent, falsePositives }: DetectionSummary): boolean {
  return cheat === 'none' ? extraComputePercent <= EXTRA_PERCENT_MAX && falsePositives === 0 : detected >= DETECTED_MIN
}

function linesOf(results: readonly DetectionSummary[]): string[] {
  const percent = (share: number) => (100 * share).toFixed(1)
  const head = `cheat                within ${REQUESTS}   95 % interval   median   extra   cheater paid   twin paid   false`
  return [
    head,
    ...results.map(({ cheat, detected, detectedInterval: [from, to], ...rest }) =>
      [
        cheat.padEnd(20),
        `${percent(detected)} %`.padStart(9),
        `${percent(from)} … ${percent(to)}`.padStart(15),
        `${rest.requestsUntilDetectedMedian ?? '–'}`.padStart(8),
        `${rest.extraComputePercent.toFixed(1)} %`.padStart(7),
        `${rest.paidToCheater}`.padStart(14),
        `${rest.paidToHonestTwin}`.padStart(11),
        `${rest.falsePositives}`.padStart(7),
      ].join(' '),
    ),
  ]
}

function speedLines(summaries: readonly SpeedLieSummary[]): string[] {
  const head = `of ${SPEED_SESSIONS} sessions     cheater   twin`
  const line = ({ cheat, paidToCheater, paidToHonestTwin }: SpeedLieSummary) =>
    `${cheat.padEnd(20)} ${paidToCheater.toFixed(1).padStart(7)} ${paidToHonestTwin.toFixed(1).padStart(6)}`
  return [head, ...summaries.map(line)]
}

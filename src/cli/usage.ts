/** `tabswarm usage export`: what `serve --usage-log FILE` has written of API requests, oldest first, as the lines that they are. */

import { createReadStream, existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Command } from 'commander'
import { TabswarmError } from '../shared/index.ts'
import { printLine, printNote, UsageError } from './output.ts'
import { olderFile } from './usageFile.ts'

interface ExportFlags {
  readonly file: string
  readonly since?: number
  readonly account?: string
}

interface Line {
  readonly created: number
  readonly account: string | null
}

export function registerUsageCommand(program: Command): void {
  program
    .command('usage')
    .description('what API requests have asked for and cost')
    .command('export')
    .description('print the requests that serve --usage-log FILE has written, a line of JSON each')
    .requiredOption('--file <file>', 'the file')
    .option('--since <day>', 'from that day on, as in 2027-01-31, UTC', parseDay)
    .option('--account <id>', 'of one account alone')
    .action(exportUsage)
}

async function exportUsage(flags: ExportFlags): Promise<void> {
  let broken = 0
  await readUsage(flags, {
    onLine: printLine,
    onBroken: () => broken++,
  })
  if (broken > 0) printNote(`${broken} lines were left out: they are no JSON, as where a process was killed while it wrote`)
}

/** Rejects with `not-found` where there is no such file. */
export async function readUsage(
  { file, since = 0, account }: ExportFlags,
  { onLine, onBroken }: { readonly onLine: (line: string) => void; readonly onBroken: () => void },
): Promise<void> {
  const files = [olderFile(file), file].filter((one) => existsSync(one))
  if (files.length === 0) throw new TabswarmError('not-found', `there is no ${file}: serve --usage-log writes it`)
  for (const one of files) {
    for await (const line of createInterface({ input: createReadStream(one, 'utf8'), crlfDelay: Number.POSITIVE_INFINITY })) {
      if (line === '') continue
      const read = parseLine(line)
      if (read === null) onBroken()
      else if (read.created >= since && (account === undefined || read.account === account)) onLine(line)
    }
  }
}

function parseLine(line: string): Line | null {
  try {
    const value: unknown = JSON.parse(line)
    const isUsage = typeof value === 'object' && value !== null && 'object' in value && value.object === 'usage' && 'created' in value
    return isUsage ? (value as unknown as Line) : null
  } catch {
    return null
  }
}

/** Seconds since the epoch. */
function parseDay(text: string): number {
  const ms = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN
  if (Number.isNaN(ms)) throw new UsageError(`--since must be a day as in 2027-01-31, not "${text}"`)
  return ms / 1_000
}

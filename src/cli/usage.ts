/** `tabswarm usage export`: what `serve --usage-log FILE` has written of API requests, oldest first, as the lines that they are. */

import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { TabswarmError } from '../shared/index.ts'
import { jsonLines, parseDay } from './jsonLines.ts'
import { printLine, printNote } from './output.ts'
import { olderFile } from './usageFile.ts'

interface ExportFlags {
  readonly file: string
  /** Milliseconds since the epoch. */
  readonly since?: number
  readonly account?: string
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
  const broken = await readUsage(flags, printLine)
  if (broken > 0) printNote(`${broken} lines were left out: they are no JSON, as where a process was killed while it wrote`)
}

/** How many lines are broken. Rejects with `not-found` where there is no such file. */
export async function readUsage({ file, since = 0, account }: ExportFlags, onLine: (line: string) => void): Promise<number> {
  const files = [olderFile(file), file].filter((one) => existsSync(one))
  if (files.length === 0) throw new TabswarmError('not-found', `there is no ${file}: serve --usage-log writes it`)
  let broken = 0
  for (const one of files) {
    for await (const read of jsonLines(one)) {
      if (read === null) broken++
      else if (Number(read.value.created) * 1_000 >= since && (account === undefined || read.value.account === account)) onLine(read.line)
    }
  }
  return broken
}

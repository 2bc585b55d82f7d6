/** `tabswarm audit-log`: who did what to accounts, keys, teams and credits, oldest first. See actionFile.ts. */

import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { actionFile } from './actionFile.ts'
import { jsonLines, parseDay } from './jsonLines.ts'
import { printLine, printNote } from './output.ts'
import { addStoreOption, type StoreFlags } from './storePlace.ts'

interface AuditLogFlags extends StoreFlags {
  /** Milliseconds since the epoch. */
  readonly since?: number
  readonly about?: string
  readonly json: boolean
}

export function registerAuditLogCommand(program: Command): void {
  addStoreOption(program.command('audit-log').description('who did what to accounts, keys, teams and credits'))
    .option('--since <day>', 'from that day on, as in 2027-01-31, UTC', parseDay)
    .option('--about <id>', 'of one account, team or key alone: what it did, and what was done to it')
    .option('--json', 'a line of JSON each', false)
    .action(auditLog)
}

async function auditLog({ data, since = 0, about, json }: AuditLogFlags): Promise<void> {
  const file = actionFile(data)
  if (!existsSync(file)) return printNote(`nothing was recorded in ${file}`)
  let broken = 0
  for await (const read of jsonLines(file)) {
    if (read === null) broken++
    else if (Date.parse(String(read.value.at)) >= since && (about === undefined || isAbout(read.value, about)))
      printLine(json ? read.line : textOf(read.value))
  }
  if (broken > 0) printNote(`${broken} lines were left out: they are no JSON, as where a process was killed while it wrote`)
}

function isAbout({ by, on, details }: Readonly<Record<string, unknown>>, id: string): boolean {
  return by === id || on === id || (typeof details === 'object' && details !== null && Object.values(details).includes(id))
}

function textOf({ at, by, action, on, details }: Readonly<Record<string, unknown>>): string {
  const more = Object.entries(details ?? {}).map(([name, value]) => `${name} ${Array.isArray(value) ? value.join(',') : (value ?? '–')}`)
  return [`${at}  ${by}  ${action}  ${on}`, ...more].join('  ')
}

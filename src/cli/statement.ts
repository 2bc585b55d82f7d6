/** `tabswarm ledger statement`: what an account earned and spent in one month, as CSV for a spreadsheet or as JSON. */

import type { Command } from 'commander'
import type { StatementSummary } from '../coordinator/ledger/index.ts'
import {
  formatCredits,
  isoTime,
  STATEMENT_CSV_HEADER,
  type StatementAmounts,
  type StatementLine,
  statementCsvBalance,
  statementCsvLine,
} from '../shared/index.ts'
import { oneOf } from './listOptions.ts'
import { printJson, printLine, UsageError } from './output.ts'
import { addStoreOption, type StoreFlags, withLedger } from './storePlace.ts'

interface StatementFlags extends StoreFlags {
  readonly account: string
  readonly month: string
  readonly format: 'csv' | 'json'
}

export function registerStatementCommand(ledger: Command): void {
  addStoreOption(ledger.command('statement').description('what an account earned and spent in a month (UTC), line by line'))
    .requiredOption('--account <account>')
    .requiredOption('--month <month>', 'as 2027-01')
    .option('--format <format>', 'csv: micro-credits; json: credits, with totals', oneOf('--format', ['csv', 'json']), 'csv')
    .action(statement)
}

async function statement({ account, month, format, ...flags }: StatementFlags): Promise<void> {
  const { monthSpan } = await import('../coordinator/ledger/index.ts')
  if (monthSpan(month) === null) throw new UsageError(`--month must be a month, as 2027-01, not "${month}"`)
  if (format === 'json') return printStatement(flags, account, month)
  const { closing } = await withLedger(flags, false, (store) =>
    store.statement(account, month, {
      opening(opening) {
        printLine(STATEMENT_CSV_HEADER)
        printLine(statementCsvBalance('opening', opening))
      },
      line: (line) => printLine(statementCsvLine(line)),
    }),
  )
  printLine(statementCsvBalance('closing', closing))
}

async function printStatement(flags: StoreFlags, account: string, month: string): Promise<void> {
  const lines: StatementLine[] = []
  const take = { opening: () => undefined, line: (line: StatementLine) => void lines.push(line) }
  const summary = await withLedger(flags, false, (store) => store.statement(account, month, take))
  printJson({
    unit: 'credits',
    ...inCredits(summary),
    lines: lines.map(({ atMs, ...line }) => ({ time: isoTime(atMs), ...inCredits(line) })),
  })

  /** Every amount as exact decimals of credits, at whatever depth. */
  function inCredits(value: StatementSummary | StatementAmounts | Omit<StatementLine, 'atMs'>): object {
    const entries = Object.entries(value).map(([key, part]) => [
      key,
      typeof part === 'bigint' ? formatCredits(part) : typeof part === 'object' ? inCredits(part) : part,
    ])
    return Object.fromEntries(entries)
  }
}

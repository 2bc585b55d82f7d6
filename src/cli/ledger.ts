/** `tabswarm ledger …`: what an operator does with the ledger, and what anybody can do with its export. */

import { randomUUID } from 'node:crypto'
import type { Command } from 'commander'
import type { AuditSummary, LedgerLine, Purse } from '../coordinator/ledger/index.ts'
import { formatCredits, GRANT_DAYS_MAX, NOTE_CHARACTERS_MAX, parseCredits, TabswarmError } from '../shared/index.ts'
import { recordCommand } from './actionFile.ts'
import { oneOf } from './listOptions.ts'
import { printJson, printLine, UsageError, wholeNumber } from './output.ts'
import { registerStatementCommand } from './statement.ts'
import { addStoreOption, type StoreFlags, withLedger } from './storePlace.ts'
import { textLines } from './textLines.ts'

interface JsonFlags extends StoreFlags {
  readonly json: boolean
}

interface GrantFlags extends JsonFlags {
  readonly days: number
  readonly earned: boolean
  readonly reference?: string
  readonly note: string
}

const JSON_HELP = 'one JSON value on stdout'
const DAY_MS = 86_400_000

export function registerLedgerCommands(program: Command): void {
  const ledger = program.command('ledger').description('the accounts: check, export, look at, issue credits')
  addStoreOption(ledger.command('verify').description('recompute every balance, hash and signed head; name the first line that is wrong'))
    .option('--file <file>', 'an export in JSONL, instead of the store')
    .option('--json', JSON_HELP, false)
    .action(verify)
  addStoreOption(ledger.command('export').description('every line of the ledger on stdout'))
    .option('--format <format>', 'jsonl: what verify reads; csv: a line a posting', oneOf('--format', ['jsonl', 'csv']), 'jsonl')
    .action(exportLines)
  addStoreOption(ledger.command('balance').description('what an account has, or all accounts').argument('[account]'))
    .option('--json', JSON_HELP, false)
    .action(balance)
  addStoreOption(ledger.command('grant').description('issue credits to an account').argument('<account>').argument('<credits>'))
    .option('--days <n>', 'days until what was not spent goes back', wholeNumber('--days', 1, GRANT_DAYS_MAX), 30)
    .option('--earned', 'credits that do not end and can be transferred, as if earned', false)
    .option('--reference <name>', 'a name of your own: repeated, it grants once')
    .option('--note <text>', 'why, for the record', '')
    .option('--json', JSON_HELP, false)
    .action(grant)
  registerStatementCommand(ledger)
  addStoreOption(ledger.command('rebuild').description('make all balances again from the postings')).action(rebuild)
}

async function verify({ file, json, ...flags }: JsonFlags & { readonly file?: string }): Promise<void> {
  const summary = file === undefined ? await withLedger(flags, false, (store) => store.audit()) : await auditFile(file)
  const { events, heads, accounts } = summary
  const outstanding = formatCredits(summary.outstanding)
  if (json) printJson({ events, heads, accounts, outstandingCredits: outstanding })
  else printLine(`${events} events under ${heads} signed heads are right; ${outstanding} credits are outstanding in ${accounts} accounts`)
}

async function auditFile(file: string): Promise<AuditSummary> {
  const [{ LedgerAudit, parseLine }, { sha256Of, signatureVerifier }] = await Promise.all([
    import('../coordinator/ledger/index.ts'),
    import('../network/index.ts'),
  ])
  const audit = new LedgerAudit(sha256Of(crypto.subtle), signatureVerifier(crypto.subtle))
  let number = 0
  for await (const text of textLines(file, 'plain')) {
    number++
    const line = parseLine(text)
    if (!line.ok) throw new TabswarmError('broken', `line ${number} ${line.error.message}`)
    await audit.take(line.value).catch((error: unknown) => {
      throw new TabswarmError('broken', `line ${number}: ${error instanceof Error ? error.message : String(error)}`)
    })
  }
  if (number === 0) throw new TabswarmError('broken', `${file} is empty: the export was cut off, or nothing was ever posted`)
  return audit.finish()
}

async function exportLines({ format, ...flags }: StoreFlags & { readonly format: 'jsonl' | 'csv' }): Promise<void> {
  const { CSV_HEADER, csvLines, encodeLine } = await import('../coordinator/ledger/index.ts')
  const write = (text: string) =>
    new Promise<void>((resolve) => (process.stdout.write(`${text}\n`) ? resolve() : process.stdout.once('drain', resolve)))
  if (format === 'csv') await write(CSV_HEADER)
  const take = async (line: LedgerLine) => {
    if (format === 'jsonl') await write(encodeLine(line))
    else if (line.kind === 'event') for (const text of csvLines(line.event)) await write(text)
  }
  await withLedger(flags, false, (store) => store.forEachLine(take))
}

async function balance(account: string | undefined, { json, ...flags }: JsonFlags): Promise<void> {
  const balances = await withLedger(flags, false, (store) => store.balances(account))
  const { accountId } = await import('../coordinator/ledger/index.ts')
  const rows = balances.map(({ account, amount }) => ({ account: accountId(account), credits: formatCredits(amount) }))
  if (json) return printJson({ balances: rows })
  if (rows.length === 0) printLine(account === undefined ? 'no credits were issued yet' : `${account} has no credits`)
  const width = Math.max(...rows.map(({ credits }) => credits.length))
  for (const { account, credits } of rows) printLine(`${credits.padStart(width)}  ${account}`)
}

async function grant(account: string, text: string, options: GrantFlags): Promise<void> {
  const { EARNED, dayOf, grantedUntil, NAME } = await import('../coordinator/ledger/index.ts')
  const { earned, days, reference = randomUUID(), note, json } = options
  const amount = parseCredits(text)
  if (amount === null) throw new UsageError(`<credits> must be a positive number below 10¹² with at most six decimals, not "${text}"`)
  for (const [what, name] of [['<account>', account] as const, ['--reference', reference] as const])
    if (!NAME.test(name)) throw new UsageError(`${what} must be 1 to 64 letters, digits, dots, dashes or underscores, not "${name}"`)
  if (note.length > NOTE_CHARACTERS_MAX) throw new UsageError(`--note has at most ${NOTE_CHARACTERS_MAX} characters`)
  const purse: Purse = earned ? EARNED : grantedUntil(dayOf(Date.now() + days * DAY_MS))
  const { event, repeated } = await withLedger(options, true, (store) =>
    store.post({ kind: 'issue', reference, account, purse, amount, note }),
  )
  const credits = formatCredits(amount)
  if (!repeated) await recordCommand(options, { action: 'grant', on: account, details: { credits, purse, reference } })
  if (json) printJson({ event: `issue/${reference}`, sequence: event.sequence, account, purse, credits, repeated })
  else printLine(`${repeated ? 'was granted before' : 'granted'}: ${credits} credits to ${account} (${purse}), event issue/${reference}`)
}

async function rebuild(flags: StoreFlags): Promise<void> {
  await withLedger(flags, false, (store) => store.rebuild())
  await recordCommand(flags, { action: 'rebuild-balances', on: 'ledger' })
  printLine('all balances were made again from the postings; tabswarm ledger verify checks them')
}

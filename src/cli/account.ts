/** `tabswarm account …`: what an operator does with accounts: look at them, name them, give them roles, hand out and erase what is known of them. */

import type { Command } from 'commander'
import type { ApiKey } from '../coordinator/accounts/index.ts'
import { type AccountRole, accountRoles, formatCredits, isoTime } from '../shared/index.ts'
import { listOf } from './listOptions.ts'
import { printJson, printLine, UsageError } from './output.ts'
import { addStoreOption, type OpenedAccounts, type StoreFlags, withAccounts } from './storePlace.ts'

interface JsonFlags extends StoreFlags {
  readonly json: boolean
}

interface ChangeFlags extends JsonFlags {
  readonly name?: string
  readonly roles?: readonly AccountRole[]
}

const JSON_HELP = 'one JSON value on stdout'
/** Events in memory at a time when an account's lines are read. */
const PAGE_EVENTS = 1_000

export function registerAccountCommands(program: Command): void {
  const account = program.command('account').description('who earns and pays: list, look at, name, export, erase')
  addStoreOption(account.command('list').description('all accounts')).option('--json', JSON_HELP, false).action(list)
  addStoreOption(account.command('show').description('what is known of an account, and what it has').argument('<account>'))
    .option('--json', JSON_HELP, false)
    .action(show)
  addStoreOption(account.command('change').description('name an account, or say what it may be').argument('<account>'))
    .option('--name <name>', 'what people call it')
    .option('--roles <list>', `all that it is from now on: ${accountRoles.join(', ')}`, listOf('--roles', accountRoles))
    .option('--json', JSON_HELP, false)
    .action(change)
  addStoreOption(
    account.command('export').description('all that is kept of an account, ledger lines too, as JSON').argument('<account>'),
  ).action(exportAccount)
  addStoreOption(
    account.command('erase').description('erase names, identities and addresses for good; ledger lines stay').argument('<account>'),
  )
    .option('--yes', 'really: its credits and its way in are lost', false)
    .option('--json', JSON_HELP, false)
    .action(erase)
  addStoreOption(
    account.command('tidy').description('what a day brings: ended grants go back, left accounts are emptied, old address blocks forgotten'),
  )
    .option('--json', JSON_HELP, false)
    .action(tidy)
}

async function list({ json, ...flags }: JsonFlags): Promise<void> {
  let count = 0
  const rows: unknown[] = []
  await withAccounts(flags, false, ({ accounts }) =>
    accounts.forEach((record) => {
      count++
      if (json) rows.push({ ...record, createdAtMs: undefined, erasedAtMs: undefined, ...times(record) })
      else printLine(`${record.id}  ${record.erasedAtMs === null ? record.roles.join(',') : 'erased'}  ${record.name}`.trimEnd())
    }),
  )
  if (json) printJson({ accounts: rows })
  else if (count === 0) printLine('there are no accounts yet; the first visitor’s is the first')
}

async function show(id: string, { json, ...flags }: JsonFlags): Promise<void> {
  const { details, balances, keys } = await withAccounts(flags, false, async ({ accounts, ledger, keys }) => ({
    details: await accounts.details(id),
    balances: await ledger.balances(id),
    keys: await keys.list(id),
  }))
  const { createdAtMs, erasedAtMs: _, ...known } = details
  const credits = balances.map(({ account: { kind, session, purse }, amount }) => ({
    kind,
    session,
    purse,
    credits: formatCredits(amount),
  }))
  if (json) return printJson({ ...known, created: isoTime(createdAtMs), balances: credits, keys: keys.map(keyForPeople) })
  printLine(`${id}${details.name === '' ? '' : `, ${details.name}`}: ${details.roles.join(', ')}; since ${isoTime(createdAtMs)}`)
  for (const { kind, subject } of details.identities) printLine(`  ${kind} ${subject}`)
  for (const team of details.teams) printLine(`  team ${team}`)
  for (const { kind, session, purse, credits: text } of credits) printLine(`  ${text} credits: ${kind} ${purse} ${session}`.trimEnd())
  printLine(`  API keys: ${keys.filter(({ revokedAtMs }) => revokedAtMs === null).length}; tabswarm key list ${id}`)
}

async function change(id: string, { name, roles, json, ...flags }: ChangeFlags): Promise<void> {
  if (name === undefined && roles === undefined) throw new UsageError('say what to change: --name, --roles, or both')
  const wanted = { ...(name === undefined ? {} : { name }), ...(roles === undefined ? {} : { roles }) }
  const record = await withAccounts(flags, false, ({ accounts }) => accounts.change(id, wanted))
  if (json) printJson({ id, name: record.name, roles: record.roles })
  else printLine(`${id}: ${record.name === '' ? 'no name' : record.name}; ${record.roles.join(', ') || 'no role'}`)
}

async function exportAccount(id: string, flags: StoreFlags): Promise<void> {
  const whole = await withAccounts(flags, false, async ({ accounts, keys, teams, recovery, ledger }) => {
    const { createdAtMs, erasedAtMs: _, ...known } = await accounts.details(id)
    const ties = (await accounts.ties([id])).get(id)
    const own = (await teams.list()).filter((team) => team.id === id || team.members.includes(id))
    return {
      ...known,
      created: isoTime(createdAtMs),
      addressBlocks: ties?.blocks ?? [],
      family: ties?.family,
      recoveryCopies: (await recovery.list(id)).map(({ keptAtMs, ...copy }) => ({ ...copy, kept: isoTime(keptAtMs) })),
      keys: (await keys.list(id)).map(keyForPeople),
      teams: own.map(({ id, name }) => ({ id, name })),
      ledger: await linesOf(id, ledger),
    }
  })
  printJson(whole)
}

async function erase(id: string, { yes, json, ...flags }: JsonFlags & { readonly yes: boolean }): Promise<void> {
  if (!yes) throw new UsageError(`this cannot be undone; tabswarm account export ${id} first, then erase with --yes`)
  await withAccounts(flags, false, ({ accounts }) => accounts.erase(id))
  if (json) printJson({ id, erased: true })
  else printLine(`${id} is erased; its lines in the ledger stay under this id, and nothing says whose they were`)
}

async function tidy({ json, ...flags }: JsonFlags): Promise<void> {
  const expired = await withAccounts(flags, false, async ({ accounts, pairing, starters }) => {
    await pairing.forward()
    await accounts.forgetBlocks()
    return starters.expire()
  })
  if (json) printJson({ expired })
  else printLine(`${expired} accounts had grants that have ended; what was not spent went back to issuance`)
}

/** Every posting to one of the account's own. */
async function linesOf(id: string, ledger: OpenedAccounts['ledger']): Promise<readonly unknown[]> {
  const [{ accountId, businessId }, lines] = [await import('../coordinator/ledger/index.ts'), [] as unknown[]]
  for (let from = 0; ; ) {
    const events = await ledger.events(id, from, PAGE_EVENTS)
    for (const { event } of events) {
      const { sequence, atMs, command, postings } = event
      for (const { account, amount } of postings)
        if (account.owner === id)
          lines.push({
            sequence,
            time: isoTime(atMs),
            event: businessId(command),
            account: accountId(account),
            credits: formatCredits(amount),
          })
    }
    const last = events.at(-1)
    if (last === undefined) return lines
    from = last.event.sequence + 1
  }
}

/** A key as its owner may see it: all but its secret. */
export function keyForPeople({ budget, spent, createdAtMs, usedAtMs, revokedAtMs, ...key }: ApiKey): object {
  return {
    ...key,
    budgetCredits: budget === null ? null : formatCredits(budget),
    spentCredits: formatCredits(spent),
    created: isoTime(createdAtMs),
    used: usedAtMs === null ? null : isoTime(usedAtMs),
    revoked: revokedAtMs === null ? null : isoTime(revokedAtMs),
  }
}

function times({ createdAtMs, erasedAtMs }: { readonly createdAtMs: number; readonly erasedAtMs: number | null }): object {
  return { created: isoTime(createdAtMs), erased: erasedAtMs === null ? null : isoTime(erasedAtMs) }
}

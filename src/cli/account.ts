/** `tabswarm account …`: what an operator does with accounts: look at them, name them, give them roles, hand out and erase what is known of them. */

import type { Command } from 'commander'
import type { ExportPage, ExportRecord } from '../coordinator/store/index.ts'
import { type AccountRole, accountRoles, formatCredits, isoTime } from '../shared/index.ts'
import { recordCommand } from './actionFile.ts'
import { listOf } from './listOptions.ts'
import { printJson, printLine, UsageError } from './output.ts'
import { addStoreOption, type StoreFlags, withAccounts } from './storePlace.ts'

interface JsonFlags extends StoreFlags {
  readonly json: boolean
}

interface ChangeFlags extends JsonFlags {
  readonly name?: string
  readonly roles?: readonly AccountRole[]
}

const JSON_HELP = 'one JSON value on stdout'

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
    account
      .command('remove-device')
      .description('a device, as one that was lost, speaks for its account no more')
      .argument('<account>')
      .argument('<key>', 'the device’s, as account show has it'),
  )
    .option('--json', JSON_HELP, false)
    .action(removeDevice)
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
  const { exportedKey } = await import('../coordinator/store/index.ts')
  const { details, devices, balances, keys } = await withAccounts(flags, false, async ({ accounts, devices, ledger, keys }) => ({
    details: await accounts.details(id),
    devices: await devices.list(id),
    balances: await ledger.balances(id),
    keys: await keys.list(id),
  }))
  const { createdAtMs, erasedAtMs: _, identities: __, ...known } = details
  const credits = balances.map(({ account: { kind, session, purse }, amount }) => ({
    kind,
    session,
    purse,
    credits: formatCredits(amount),
  }))
  const shown = devices.map(({ subject, name, addedAtMs, seenAtMs }) => {
    return { key: subject, name, added: isoTime(addedAtMs), seen: isoTime(seenAtMs) }
  })
  if (json) return printJson({ ...known, created: isoTime(createdAtMs), devices: shown, balances: credits, keys: keys.map(exportedKey) })
  printLine(`${id}${details.name === '' ? '' : `, ${details.name}`}: ${details.roles.join(', ')}; since ${isoTime(createdAtMs)}`)
  for (const { key, name, added, seen } of shown) printLine(`  device ${key} ${name === '' ? '' : `${name}, `}since ${added}, seen ${seen}`)
  for (const team of details.teams) printLine(`  team ${team}`)
  for (const { kind, session, purse, credits: text } of credits) printLine(`  ${text} credits: ${kind} ${purse} ${session}`.trimEnd())
  printLine(`  API keys: ${keys.filter(({ revokedAtMs }) => revokedAtMs === null).length}; tabswarm key list ${id}`)
}

async function change(id: string, { name, roles, json, ...flags }: ChangeFlags): Promise<void> {
  if (name === undefined && roles === undefined) throw new UsageError('say what to change: --name, --roles, or both')
  const wanted = { ...(name === undefined ? {} : { name }), ...(roles === undefined ? {} : { roles }) }
  const record = await withAccounts(flags, false, ({ accounts }) => accounts.change(id, wanted))
  await recordCommand(flags, { action: 'change-account', on: id, details: { isNamed: name !== undefined, roles: record.roles } })
  if (json) printJson({ id, name: record.name, roles: record.roles })
  else printLine(`${id}: ${record.name === '' ? 'no name' : record.name}; ${record.roles.join(', ') || 'no role'}`)
}

async function exportAccount(id: string, flags: StoreFlags): Promise<void> {
  const whole = await withAccounts(flags, false, async ({ exports }) => {
    const [facts] = (await exports.facts(id)).records
    return {
      ...facts,
      keys: await allPages((from) => exports.keys(id, from)),
      ledger: await allPages((from) => exports.lines(id, from)),
    }
  })
  printJson(whole)
}

async function allPages(read: (from: number) => Promise<ExportPage>): Promise<readonly ExportRecord[]> {
  const all: ExportRecord[] = []
  for (let from: number | null = 0; from !== null; ) {
    const { records, next }: ExportPage = await read(from)
    all.push(...records)
    from = next
  }
  return all
}

async function removeDevice(id: string, key: string, { json, ...flags }: JsonFlags): Promise<void> {
  await withAccounts(flags, false, ({ devices }) => devices.remove(id, key))
  await recordCommand(flags, { action: 'remove-device', on: id })
  if (json) printJson({ id, removed: key })
  else printLine(`that device speaks for ${id} no more; it has an account of its own, and is told so when it connects`)
}

async function erase(id: string, { yes, json, ...flags }: JsonFlags & { readonly yes: boolean }): Promise<void> {
  if (!yes) throw new UsageError(`this cannot be undone; tabswarm account export ${id} first, then erase with --yes`)
  await withAccounts(flags, false, ({ accounts }) => accounts.erase(id))
  await recordCommand(flags, { action: 'erase', on: id })
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

function times({ createdAtMs, erasedAtMs }: { readonly createdAtMs: number; readonly erasedAtMs: number | null }): object {
  return { created: isoTime(createdAtMs), erased: erasedAtMs === null ? null : isoTime(erasedAtMs) }
}

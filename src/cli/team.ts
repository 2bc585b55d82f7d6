/** `tabswarm team …`: several keys, one balance. A team is an account: credits are granted to it, and keys made for it, under its id. */

import type { Command } from 'commander'
import { formatCredits, isoTime } from '../shared/index.ts'
import { recordCommand } from './actionFile.ts'
import { parseBudget } from './budget.ts'
import { namesOrAll, someNames } from './listOptions.ts'
import { printJson, printLine, printNote, UsageError } from './output.ts'
import { addStoreOption, type StoreFlags, withAccounts } from './storePlace.ts'

interface JsonFlags extends StoreFlags {
  readonly json: boolean
}

interface CreateFlags extends JsonFlags {
  readonly models?: readonly string[]
  readonly pools?: readonly string[]
}

interface ChangeFlags extends JsonFlags {
  readonly name?: string
  readonly models?: readonly string[] | null
  readonly pools?: readonly string[] | null
}

const JSON_HELP = 'one JSON value on stdout'

export function registerTeamCommands(program: Command): void {
  const team = program.command('team').description('teams: several API keys, one balance')
  addStoreOption(team.command('create').description('make a team').argument('<name>'))
    .option('--models <list>', 'the only models that its keys may use', someNames)
    .option('--pools <list>', 'the only pools that its keys may use', someNames)
    .option('--json', JSON_HELP, false)
    .action(create)
  addStoreOption(team.command('change').description('say anew what a team is called, or what its keys may use').argument('<team>'))
    .option('--name <name>', 'what people call it')
    .option('--models <list>', 'the only models that its keys may use, or all', namesOrAll)
    .option('--pools <list>', 'the only pools that its keys may use, or all', namesOrAll)
    .option('--json', JSON_HELP, false)
    .action(change)
  addStoreOption(
    team.command('add').description('make an account a member, or say anew what it is').argument('<team>').argument('<account>'),
  )
    .option('--owner', 'who manages the team on the Account page', false)
    .option('--json', JSON_HELP, false)
    .action(add)
  addStoreOption(team.command('remove').description('an account is no member any more').argument('<team>').argument('<account>'))
    .option('--json', JSON_HELP, false)
    .action(remove)
  addStoreOption(
    team.command('invite').description('print a code by which one account becomes a member: once, within a week').argument('<team>'),
  )
    .option('--json', JSON_HELP, false)
    .action(invite)
  addStoreOption(
    team
      .command('budget')
      .description('say what one of its keys may spend in all')
      .argument('<team>')
      .argument('<key>', 'the key’s id')
      .argument('<credits>', 'or none: as much as the team has', parseBudget('<credits>')),
  )
    .option('--json', JSON_HELP, false)
    .action(budget)
  addStoreOption(team.command('list').description('all teams, their balances and members')).option('--json', JSON_HELP, false).action(list)
}

async function create(name: string, { models, pools, json, ...flags }: CreateFlags): Promise<void> {
  const team = await withAccounts(flags, true, ({ teams }) => teams.create(name, { models: models ?? null, pools: pools ?? null }, null))
  await recordCommand(flags, { action: 'create-team', on: team.id, details: { models: models ?? null, pools: pools ?? null } })
  if (json) printJson(team)
  else printLine(`${team.id}  ${name}; make its keys with: tabswarm key create ${team.id} NAME --budget CREDITS`)
}

async function change(id: string, { name, models, pools, json, ...flags }: ChangeFlags): Promise<void> {
  if (name === undefined && models === undefined && pools === undefined)
    throw new UsageError('say what to change: --name, --models, --pools')
  const changed = await withAccounts(flags, false, async ({ teams }) => {
    const before = await teams.team(id)
    const next = {
      name: name ?? before.name,
      models: models === undefined ? before.models : models,
      pools: pools === undefined ? before.pools : pools,
    }
    await teams.change(id, next)
    return next
  })
  await recordCommand(flags, { action: 'change-team', on: id, details: { models: changed.models, pools: changed.pools } })
  if (json) printJson({ id, ...changed })
  else printLine(`${id}  ${changed.name}: ${changed.models?.join(', ') ?? 'all models'}; ${changed.pools?.join(', ') ?? 'all pools'}`)
}

async function add(team: string, account: string, { owner, json, ...flags }: JsonFlags & { readonly owner: boolean }): Promise<void> {
  const role = owner ? 'owner' : 'member'
  await withAccounts(flags, false, ({ teams }) => teams.add(team, account, role))
  await recordCommand(flags, { action: 'change-member', on: team, details: { account, isOwner: owner } })
  if (json) printJson({ team, account, role })
  else printLine(owner ? `${account} owns team ${team}` : `${account} is a member of team ${team}`)
}

async function remove(team: string, account: string, { json, ...flags }: JsonFlags): Promise<void> {
  await withAccounts(flags, false, ({ teams }) => teams.remove(team, account))
  await recordCommand(flags, { action: 'remove-member', on: team, details: { account } })
  if (json) printJson({ team, account, removed: true })
  else printLine(`${account} is no member of team ${team} any more`)
}

async function invite(team: string, { json, ...flags }: JsonFlags): Promise<void> {
  const { text, expiresAtMs } = await withAccounts(flags, false, ({ invitations }) => invitations.create(team, null))
  await recordCommand(flags, { action: 'invite', on: team })
  if (json) return printJson({ team, code: text, expires: isoTime(expiresAtMs) })
  printLine(text)
  printNote(`works once, until ${isoTime(expiresAtMs)}, on the Account page`)
}

async function budget(team: string, key: string, amount: bigint | null, { json, ...flags }: JsonFlags): Promise<void> {
  await withAccounts(flags, false, ({ teams }) => teams.setBudget(team, key, amount))
  const credits = amount === null ? null : formatCredits(amount)
  await recordCommand(flags, { action: 'key-budget', on: key, details: { payer: team, budget: credits } })
  if (json) printJson({ team, key, budgetCredits: credits })
  else printLine(`key ${key} of team ${team} may spend ${credits === null ? 'what the team has' : `${credits} credits in all`}`)
}

async function list({ json, ...flags }: JsonFlags): Promise<void> {
  const rows = await withAccounts(flags, false, async ({ teams, ledger }) =>
    Promise.all(
      (await teams.list()).map(async (team) => {
        const own = (await ledger.balances(team.id)).filter(({ account }) => account.kind === 'user')
        return { ...team, credits: formatCredits(own.reduce((sum, { amount }) => sum + amount, 0n)) }
      }),
    ),
  )
  if (json) return printJson({ teams: rows })
  if (rows.length === 0) printLine('there are no teams; tabswarm team create NAME makes one')
  for (const { id, name, credits, members } of rows) printLine(`${id}  ${name}: ${credits} credits, ${members.length} members`)
}

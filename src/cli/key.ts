/** `tabswarm key …`: API keys of accounts and teams. A key is printed once, when it is made. */

import type { Command } from 'commander'
import { formatCredits, REQUESTS_A_MINUTE_MAX } from '../shared/index.ts'
import { recordCommand } from './actionFile.ts'
import { parseBudget } from './budget.ts'
import { someNames } from './listOptions.ts'
import { printJson, printLine, printNote, UsageError, wholeNumber } from './output.ts'
import { addStoreOption, type StoreFlags, withAccounts } from './storePlace.ts'

interface JsonFlags extends StoreFlags {
  readonly json: boolean
}

interface CreateFlags extends JsonFlags {
  readonly models?: readonly string[]
  readonly pools?: readonly string[]
  readonly budget?: bigint | null
  readonly rate?: number
  readonly name?: string
  readonly storeResponses: boolean
}

const JSON_HELP = 'one JSON value on stdout'

export function registerKeyCommands(program: Command): void {
  const key = program.command('key').description('API keys: make, list, revoke')
  addStoreOption(
    key
      .command('create')
      .description('make a key, and print it for the only time')
      .argument('[account]', 'an account’s id, or a team’s; left out: an account of its own')
      .argument('[name]', 'what it is for'),
  )
    .option('--name <name>', 'what it is for, where no account is named')
    .option('--models <list>', 'the only models that it may use', someNames)
    .option('--pools <list>', 'the only pools that it may use', someNames)
    .option('--budget <credits>', 'what it may spend in all', parseBudget('--budget'))
    .option('--rate <n>', 'requests a minute', wholeNumber('--rate', 1, REQUESTS_A_MINUTE_MAX))
    .option('--store-responses', 'it may have responses kept here, sealed with the key, for a day (docs/API.md)', false)
    .option('--json', JSON_HELP, false)
    .action(create)
  addStoreOption(key.command('list').description('the keys of an account or a team; their secrets are not kept').argument('<account>'))
    .option('--json', JSON_HELP, false)
    .action(list)
  addStoreOption(key.command('revoke').description('end a key, now and for good').argument('<key>', 'its id'))
    .option('--json', JSON_HELP, false)
    .action(revoke)
}

async function create(account: string | undefined, argument: string | undefined, flags: CreateFlags): Promise<void> {
  const { models, pools, budget, rate, json, storeResponses, name = argument, ...place } = flags
  if (name === undefined) throw new UsageError('say what the key is for: --name NAME, or ACCOUNT NAME')
  const scope = { models: models ?? null, pools: pools ?? null, budget: budget ?? null, requestsAMinute: rate ?? null }
  const { exportedKey } = await import('../coordinator/store/index.ts')
  const { key, text } = await withAccounts(place, account === undefined, async ({ accounts, keys }) =>
    keys.create(account ?? (await accounts.createNamed(name)).id, name, scope, storeResponses),
  )
  const { id, account: payer, models: itsModels, pools: itsPools, budget: itsBudget, requestsAMinute } = key
  const details = {
    payer,
    models: itsModels,
    pools: itsPools,
    budget: itsBudget === null ? null : formatCredits(itsBudget),
    requestsAMinute,
  }
  await recordCommand(place, { action: 'create-key', on: id, details })
  if (json) return printJson({ ...exportedKey(key), key: text })
  printLine(text)
  printNote('keep it now: it is not shown again, and cannot be found out')
  printNote(
    'what it sends passes through the coordinator’s memory, and is kept nowhere but for what you have it keep, sealed; the web app’s chat avoids even that',
  )
}

async function list(account: string, { json, ...flags }: JsonFlags): Promise<void> {
  const keys = await withAccounts(flags, false, async ({ accounts, keys }) => {
    await accounts.details(account)
    return keys.list(account)
  })
  const { exportedKey } = await import('../coordinator/store/index.ts')
  if (json) return printJson({ keys: keys.map(exportedKey) })
  if (keys.length === 0) printLine(`${account} has no API key`)
  for (const { id, name, budget, spent, revokedAtMs } of keys) {
    const of = budget === null ? '' : ` of ${formatCredits(budget)}`
    printLine(`${id}  ${revokedAtMs === null ? '' : 'revoked, '}${formatCredits(spent)}${of} credits spent  ${name}`.trimEnd())
  }
}

async function revoke(id: string, { json, ...flags }: JsonFlags): Promise<void> {
  await withAccounts(flags, false, ({ keys }) => keys.revoke(id, null))
  await recordCommand(flags, { action: 'revoke-key', on: id })
  if (json) printJson({ id, revoked: true })
  else printLine(`${id} opens nothing any more; what it has open ends as usual`)
}

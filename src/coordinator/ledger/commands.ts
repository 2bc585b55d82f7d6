/**
 * Commands: what may be asked of the ledger, as the JSON that is recorded and hashed. Each names its own business id, so that a retry is
 * the same event: it posts once, and the same id with other contents is refused. What a command does to balances: rules/.
 */

import * as v from 'valibot'
import { canonicalJson } from '../../model/index.ts'
import { NOTE_CHARACTERS_MAX, TIERS } from '../../shared/index.ts'
import { isDay, isPurse, NAME, type Purse } from './accounts.ts'
import { AMOUNT_MAX } from './amounts.ts'
import { priceTableSchema } from './prices.ts'

const STAGES_MAX = 256
/** Of one stage's work in one settlement: a context of a million positions in the largest model that is accepted is less. */
const WORK_DIGITS_MAX = 30
/** A price table's versions, and the settlements of one session. */
const COUNT_MAX = 1_000_000

const name = v.pipe(v.string(), v.regex(NAME))
const amount = v.pipe(
  v.string(),
  v.regex(/^[1-9]\d{0,18}$/),
  v.transform((digits) => BigInt(digits)),
  v.check((value) => value <= AMOUNT_MAX, `more than ${AMOUNT_MAX}`),
)
const macs = v.pipe(
  v.string(),
  v.regex(/^(0|[1-9]\d*)$/),
  v.maxLength(WORK_DIGITS_MAX),
  v.transform((digits) => BigInt(digits)),
)
const work = v.strictObject({ decode: macs, prompt: macs, cachedPrompt: macs })
const stages = v.pipe(
  v.array(v.strictObject({ account: name, work, newcomer: v.boolean() })),
  v.minLength(1),
  v.maxLength(STAGES_MAX),
  v.check((all) => all.some((stage) => Object.values(stage.work).some((macs) => macs > 0n)), 'no stage has worked'),
)
const count = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(COUNT_MAX))
const day = v.pipe(v.string(), v.check(isDay, 'not a day'))
const purse = v.custom<Purse>((value) => typeof value === 'string' && isPurse(value), 'not a purse')
const note = v.pipe(v.string(), v.maxLength(NOTE_CHARACTERS_MAX))

export const commandSchema = v.variant('kind', [
  /** A price table comes into force. */
  v.strictObject({ kind: v.literal('price'), version: count, table: priceTableSchema }),
  /** New credits, by the operator alone: to a user, or to the reserve where `account` is null. */
  v.strictObject({ kind: v.literal('issue'), reference: name, account: v.nullable(name), purse, amount, note }),
  /** What the account did not spend of grants that ended before `day` goes back to issuance. */
  v.strictObject({ kind: v.literal('expire'), account: name, day }),
  /** Sets an account's credits aside for a session, at the prices in force: its own, or of what `from` names, which was set aside for many. */
  v.strictObject({
    kind: v.literal('hold'),
    session: name,
    account: name,
    amount,
    priceVersion: count,
    tier: v.picklist(TIERS),
    from: v.exactOptional(name),
  }),
  /** Pays for work out of the session's hold: stages into escrow. `work` is what the requester pays for, `part` counts settlements. */
  v.strictObject({ kind: v.literal('settle'), session: name, part: count, work, stages }),
  /** Pays the stages of a session that the network failed out of the reserve, as far as that goes: its requester pays nothing. */
  v.strictObject({ kind: v.literal('cover'), session: name, work, stages }),
  /** Gives back what is left of the session's hold. */
  v.strictObject({ kind: v.literal('release'), session: name }),
  /** Gives an account what lies in escrow for its work in a session; `part` counts its payouts. */
  v.strictObject({ kind: v.literal('payout'), session: name, account: name, part: count }),
  /** Gives what lies in escrow for an account's work in a session back to who paid it; `part` counts its refunds. */
  v.strictObject({ kind: v.literal('refund'), session: name, account: name, part: count }),
  /** Pays an auditor out of verification, as far as that goes, for computing what a stage of the session had: `work` is the auditor's. */
  v.strictObject({ kind: v.literal('audit'), session: name, stage: name, account: name, work }),
  /** Gives who asks canaries what verification has, for one question. */
  v.strictObject({ kind: v.literal('canary'), reference: name, account: name, amount }),
  /** Earned credits from one user to another. */
  v.strictObject({ kind: v.literal('transfer'), reference: name, from: name, to: name, amount }),
  /** The opposite of an event that should not have been. */
  v.strictObject({ kind: v.literal('compensate'), event: v.pipe(v.string(), v.maxLength(200)), note }),
])

export type Command = v.InferOutput<typeof commandSchema>
export type CommandOf<Kind extends Command['kind']> = Extract<Command, { kind: Kind }>

/** The business id: the same for the same intention, whoever repeats it. */
export function businessId(command: Command): string {
  switch (command.kind) {
    case 'price':
      return priceId(command.version)
    case 'issue':
    case 'canary':
    case 'transfer':
      return `${command.kind}/${command.reference}`
    case 'expire':
      return `expire/${command.account}/${command.day}`
    case 'hold':
      return holdId(command.session)
    case 'settle':
      return settleId(command.session, command.part)
    case 'cover':
      return coverId(command.session)
    case 'release':
      return releaseId(command.session)
    case 'audit':
      return `audit/${command.session}/${command.stage}/${command.account}`
    case 'payout':
    case 'refund':
      return `${command.kind}/${command.session}/${command.account}/${command.part}`
    case 'compensate':
      return `compensate/${command.event}`
  }
}

export function priceId(version: number): string {
  return `price/${version}`
}

export function holdId(session: string): string {
  return `hold/${session}`
}

export function settleId(session: string, part: number): string {
  return `settle/${session}/${part}`
}

export function coverId(session: string): string {
  return `cover/${session}`
}

export function releaseId(session: string): string {
  return `release/${session}`
}

/** Commands never change, and each is compared, hashed and stored. */
const encoded = new WeakMap<Command, string>()

/** Canonical JSON, amounts as decimal digits: one command, one text. */
export function encodeCommand(command: Command): string {
  const text = encoded.get(command) ?? canonicalJson(command)
  encoded.set(command, text)
  return text
}

/** Throws valibot's ValiError on a value that is no command. */
export function parseCommand(value: unknown): Command {
  return v.parse(commandSchema, value)
}

/** The command as it will be read again, checked. Throws valibot's ValiError on one that its types should have ruled out. */
export function checkedCommand(command: Command): Command {
  const text = encodeCommand(command)
  const checked = parseCommand(JSON.parse(text))
  encoded.set(checked, text)
  return checked
}

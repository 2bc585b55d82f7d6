/**
 * The export's lines, JSON each: every event with its hash, every signed head behind the last event that it covers. Whoever has them can
 * recompute every balance: audit.ts.
 */

import * as v from 'valibot'
import { err, isManifestHash, isoTime, ok, type Result } from '../../shared/index.ts'
import { type Account, accountId, parseAccountId } from './accounts.ts'
import { businessId, commandSchema, encodeCommand } from './commands.ts'
import { LedgerError } from './errors.ts'
import type { LedgerEvent } from './event.ts'
import type { SignedHead } from './head.ts'

export type LedgerLine =
  | { readonly kind: 'event'; readonly event: LedgerEvent; readonly hash: string }
  | { readonly kind: 'head'; readonly head: SignedHead }

/** Longer than the settlement of 256 stages. */
const LINE_CHARACTERS_MAX = 512 * 1024

const whole = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER))
const hash = v.pipe(v.string(), v.check(isManifestHash, 'not 64 hex digits'))
const account = v.pipe(
  v.string(),
  v.transform(parseAccountId),
  v.check((value): value is Account => value !== null, 'not an account'),
  v.transform((value) => value as Account),
)
const amount = v.pipe(
  v.string(),
  v.regex(/^-?[1-9]\d{0,18}$/),
  v.transform((digits) => BigInt(digits)),
)

const lineSchema = v.union([
  v.strictObject({
    id: v.string(),
    sequence: whole,
    atMs: whole,
    command: commandSchema,
    postings: v.array(
      v.pipe(
        v.strictTuple([account, amount]),
        v.transform(([account, amount]) => ({ account, amount })),
      ),
    ),
    hash,
  }),
  v.strictObject({ head: v.strictObject({ size: whole, root: hash, atMs: whole, publicKey: v.string(), signature: v.string() }) }),
])

export function encodeLine(line: LedgerLine): string {
  if (line.kind === 'head') return JSON.stringify({ head: line.head })
  const { event, hash } = line
  const { sequence, atMs, command } = event
  const postings = event.postings.map(({ account, amount }) => [accountId(account), amount.toString()])
  return JSON.stringify({ sequence, id: businessId(command), atMs, command: JSON.parse(encodeCommand(command)), postings, hash })
}

export function parseLine(text: string): Result<LedgerLine, LedgerError> {
  const broken = (what: string) => err(new LedgerError('broken', `is not a line of a ledger: ${what}`))
  if (text.length > LINE_CHARACTERS_MAX) return broken(`it has ${text.length} characters`)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return broken(error instanceof Error ? error.message.slice(0, 200) : String(error))
  }
  const parsed = v.safeParse(lineSchema, value)
  if (!parsed.success) return broken(`${v.getDotPath(parsed.issues[0]) ?? 'the whole'}: ${parsed.issues[0].message.slice(0, 200)}`)
  if ('head' in parsed.output) return ok({ kind: 'head', head: parsed.output.head })
  const { id, hash, ...event } = parsed.output
  return id === businessId(event.command) ? ok({ kind: 'event', event, hash }) : broken(`its id should be ${businessId(event.command)}`)
}

/** One line a posting; `credits` is exact. */
export const CSV_HEADER = 'sequence,time,event,kind,account_kind,owner,session,purse,micro_credits'

export function csvLines({ sequence, atMs, command, postings }: LedgerEvent): readonly string[] {
  const time = isoTime(atMs)
  return postings.map(({ account, amount }) =>
    [sequence, time, businessId(command), command.kind, account.kind, account.owner, account.session, account.purse, amount].join(','),
  )
}

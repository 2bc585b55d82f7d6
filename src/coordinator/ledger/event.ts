/**
 * Events: what is recorded, one line after another, never changed. Each is hashed together with the hash of the one before, and these
 * hashes are the leaves of the tree that heads sign (tree.ts). The laws that every event keeps, whatever rule made it, are checked here.
 */

import { canonicalJson } from '../../model/index.ts'
import { concatBytes, err, fromHex, ok, type Result, type Sha256, toHex, utf8Encode } from '../../shared/index.ts'
import { accountId, EARNED, issuance, type Posting } from './accounts.ts'
import { businessId, type Command, encodeCommand } from './commands.ts'
import { LedgerError } from './errors.ts'

export interface LedgerEvent {
  /** Its place in the ledger, from 0. */
  readonly sequence: number
  /** Coordinator time, milliseconds since the epoch. */
  readonly atMs: number
  readonly command: Command
  readonly postings: readonly Posting[]
}

/** Stands for the hash before the first event. */
export const FIRST_PREVIOUS = '0'.repeat(64)
/** RFC 6962: what a leaf's hash begins with. */
const LEAF = new Uint8Array([0])

/** SHA-256 over 0x00 ‖ hash of the event before ‖ the event as canonical JSON; hex. */
export function hashEvent(event: LedgerEvent, previous: string, sha256: Sha256): Promise<string> {
  return hashEventText(eventText(event), previous, sha256)
}

/** The same of an event that is there as text, as an account is given its own. */
export async function hashEventText(text: string, previous: string, sha256: Sha256): Promise<string> {
  return toHex(await sha256(concatBytes([LEAF, fromHex(previous), utf8Encode(text)])))
}

/** What is hashed of it: canonical JSON. */
export function eventText({ sequence, atMs, command, postings }: LedgerEvent): string {
  const lines = postings.map(({ account, amount }) => [accountId(account), amount.toString()])
  return `{"at":${atMs},"command":${encodeCommand(command)},"postings":${canonicalJson(lines)},"sequence":${sequence}}`
}

/**
 * The laws of one event: its postings sum to zero, name each account once, and make no granted credit an earned one. Only issuing makes earned
 * credits; what any other event moves may at most leave fewer of them.
 */
export function checkLaws({ command, postings }: LedgerEvent): Result<null, LedgerError> {
  const broken = (what: string) => err(new LedgerError('broken', `the event ${businessId(command)} ${what}`))
  let sum = 0n
  let earned = 0n
  const accounts = new Set<string>()
  for (const { account, amount } of postings) {
    sum += amount
    if (account.kind !== issuance.kind && account.purse === EARNED) earned += amount
    if (amount === 0n) return broken(`posts nothing to ${accountId(account)}`)
    accounts.add(accountId(account))
  }
  if (sum !== 0n) return broken(`does not sum to zero but to ${sum}`)
  if (accounts.size !== postings.length) return broken('names an account twice')
  if (earned > 0n && command.kind !== 'issue') return broken(`makes ${earned} granted micro-credits transferable`)
  return ok(null)
}

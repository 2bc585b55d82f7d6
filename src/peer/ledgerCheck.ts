/**
 * The ledger, checked by an account: its head is signed by the key that signed before and extends the one that this browser saw last, and every line of the
 * account is in it. What is found wrong is never taken for the last that was seen.
 */

import { hashEventText, verifyConsistency, verifyHead, verifyInclusion } from '../coordinator/ledger/index.ts'
import type { AccountAnswerTo, LedgerHead } from '../protocol/index.ts'
import type { Sha256, VerifySignature } from '../shared/index.ts'

/** The last head that was checked, kept in this browser. */
export interface HeadVault {
  read(): Promise<LedgerHead | null>
  write(head: LedgerHead): Promise<void>
  /** The next check is the first. */
  forget(): Promise<void>
}

export type LedgerCheck =
  | {
      readonly kind: 'right'
      /** Null: the ledger has no event yet. */
      readonly head: LedgerHead | null
      /** The one before; null: this was the first. */
      readonly seen: LedgerHead | null
      /** Events of the account, all in it. */
      readonly lines: number
    }
  | {
      readonly kind: 'broken'
      /** A sentence. */
      readonly what: string
      /** What the coordinator told, and what it had told before: together they prove it. */
      readonly head: LedgerHead
      readonly seen: LedgerHead | null
    }

/** What a page asks. */
export interface LedgerCalls {
  /** Rejects with a TabswarmError, for example `offline`. */
  check(): Promise<LedgerCheck>
  /** What was seen before counts no more: for a coordinator that was set up anew. */
  forget(): Promise<void>
}

export interface LedgerCheckPorts {
  readonly askHead: (seen: number | null) => Promise<AccountAnswerTo<'ledger-head'>>
  readonly askLines: (from: number, size: number) => Promise<AccountAnswerTo<'proven-lines'>>
  readonly vault: HeadVault
  readonly sha256: Sha256
  readonly verify: VerifySignature
}

/** `accountId`: whose lines. Rejects as its ports do. */
export async function checkLedger(accountId: string, ports: LedgerCheckPorts): Promise<LedgerCheck> {
  const seen = await ports.vault.read()
  const { head, path } = await ports.askHead(seen?.size ?? null)
  if (head === null) return { kind: 'right', head, seen, lines: 0 }
  const broken = (what: string): LedgerCheck => ({ kind: 'broken', what, head, seen })
  if (!(await verifyHead(head, ports.verify))) return broken('The head of the ledger is not signed by its key.')
  if (seen !== null) {
    if (seen.publicKey !== head.publicKey) return broken('The ledger is signed by another key than before.')
    const claim = { oldSize: seen.size, oldRoot: seen.root, size: head.size, root: head.root }
    if (!(await verifyConsistency(claim, path, ports.sha256)))
      return broken('The ledger does not extend what this browser saw before: its past was changed.')
  }
  let lines = 0
  for (let from: number | null = 0; from !== null; ) {
    const page: AccountAnswerTo<'proven-lines'> = await ports.askLines(from, head.size)
    for (const line of page.lines) {
      const leaf = await hashEventText(line.text, line.previous, ports.sha256)
      const claim = { leaf, index: line.sequence, size: head.size, root: head.root }
      if (!line.text.includes(accountId) || !(await verifyInclusion(claim, line.path, ports.sha256)))
        return broken(`Line ${line.sequence}, which is said to be this account’s, is not in the ledger.`)
      lines++
    }
    from = page.next !== null && page.next > from ? page.next : null
  }
  await ports.vault.write(head)
  return { kind: 'right', head, seen, lines }
}

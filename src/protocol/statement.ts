/** A month of an account, as the control socket asks for it and brings it, part by part. */

import * as v from 'valibot'
import { statementRoles } from '../shared/index.ts'
import { STATEMENT_LINES_MAX } from './limits.ts'
import { amount, count, creditsChange, month, text } from './schemas.ts'

/** Micro-credits, see shared's StatementAmounts. */
const statementAmounts = { available: creditsChange, held: creditsChange, escrow: creditsChange, granted: creditsChange }
const ledgerSequence = count(Number.MAX_SAFE_INTEGER)

/** The server's answer. */
export const statementSchema = v.strictObject({
  type: v.literal('statement'),
  requestId: text(64),
  month,
  /** What the account had when the month began, and what it has at its end, or now; whichever lines follow. */
  opening: v.strictObject(statementAmounts),
  closing: v.strictObject(statementAmounts),
  lines: v.pipe(
    v.array(
      v.strictObject({
        sequence: ledgerSequence,
        atMs: amount,
        event: text(200),
        kind: text(32),
        role: v.picklist(statementRoles),
        session: text(64),
        ...statementAmounts,
      }),
    ),
    v.maxLength(STATEMENT_LINES_MAX),
  ),
  /** To ask for the lines that follow with; null: there are none. */
  cursor: v.nullable(ledgerSequence),
})

/** Asks for a month (UTC) of this peer's account: from its beginning, or on from where an answer's `cursor` says. */
export const statementAskSchema = v.strictObject({
  type: v.literal('statement'),
  requestId: text(64),
  month,
  cursor: v.nullable(ledgerSequence),
})

/** coordinator/ledger: the rules of credits. Pure: what a command does to balances, what is hashed and signed, how a ledger is checked. */

export {
  type Account,
  type AccountKind,
  accountId,
  dayOf,
  EARNED,
  GRANTED_FOR_GOOD,
  grantedUntil,
  isGranted,
  NAME,
  type Posting,
  type Purse,
  parseAccountId,
} from './accounts.ts'
export { type AuditSummary, LedgerAudit } from './audit.ts'
export { Book, type Posted } from './book.ts'
export { businessId, type Command, type CommandOf, checkedCommand, encodeCommand, parseCommand, priceId } from './commands.ts'
export { LedgerError, type LedgerErrorReason } from './errors.ts'
export { eventText, FIRST_PREVIOUS, hashEvent, hashEventText, type LedgerEvent } from './event.ts'
export { CSV_HEADER, csvLines, encodeLine, type LedgerLine, parseLine } from './export.ts'
export { type SignedHead, signHead, type TreeHead, verifyHead } from './head.ts'
export { DEFAULT_PRICES, type PriceTable, priceOf, tierFactors, type Work } from './prices.ts'
export { type AccountGroup, accountsTouched, eventsAsked, postingsAsked } from './rules/reach.ts'
export { monthSpan, type OpeningBalance, Statement, type StatementSummary, sumUp } from './statement.ts'
export {
  consistencyProof,
  inclusionProof,
  NODE_LEVELS,
  type ReadNodes,
  TreeEdge,
  type TreeNode,
  verifyConsistency,
  verifyInclusion,
} from './tree.ts'
export { addWork, type ListPrice, listPrice, NO_WORK, workOf } from './work.ts'

/** receipts: what stages and drivers sign: rows counted and hashed at both ends of each link. */

export type { PassingRow } from './linkEnd.ts'
export type { Part, PartLinks } from './part.ts'
export { ReceiptBook, type ReceiptBookOptions, type ReceiptRequest } from './receiptBook.ts'
export { RowBudget } from './rowBudget.ts'

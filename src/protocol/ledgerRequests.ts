/**
 * What a tab asks of the ledger to check it: its signed head, that this extends the one it saw last, and the lines of its own account with what shows that they
 * are in it. Kinds of account requests, and the heads that all are told. Rules E13, E14, E16 and E17.
 */

import * as v from 'valibot'
import { PROOF_HASHES_MAX, PROVEN_LINES_MAX } from './limits.ts'
import { amount, base64Url, count, text } from './schemas.ts'

const hash = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))
const path = v.pipe(v.array(hash), v.maxLength(PROOF_HASHES_MAX))
const place = count(Number.MAX_SAFE_INTEGER)

export const headSchema = v.strictObject({
  /** Events in the ledger. */
  size: place,
  root: hash,
  atMs: amount,
  publicKey: base64Url(87),
  signature: base64Url(128),
})
export type LedgerHead = v.InferOutput<typeof headSchema>

const lineSchema = v.strictObject({
  sequence: place,
  /** The event as it is hashed: canonical JSON. */
  text: text(10_000),
  /** Hash of the event before. */
  previous: hash,
  path,
})

/** To every peer: when it has come, and to all when it has changed. */
export const headMessageSchema = v.strictObject({
  type: v.literal('head'),
  head: headSchema,
  /** Size of the one that was told to all before, which `path` shows that it extends; null: none was. */
  from: v.nullable(place),
  path,
})

export const ledgerAskSchema = v.variant('kind', [
  /** `seen`: the size of the head that was seen last; null: none was. */
  v.strictObject({ kind: v.literal('ledger-head'), seen: v.nullable(place) }),
  v.strictObject({ kind: v.literal('proven-lines'), from: place, size: place }),
  /** What shows that the ledger of `to` events extends that of `from`. */
  v.strictObject({ kind: v.literal('ledger-path'), from: place, to: place }),
])

export const ledgerAnswerSchema = v.variant('kind', [
  /** Null: there is no event yet. `path` shows that it extends the one that was seen. */
  v.strictObject({ kind: v.literal('ledger-head'), head: v.nullable(headSchema), path }),
  /** Null: there are not so many. */
  v.strictObject({ kind: v.literal('ledger-path'), path: v.nullable(path) }),
  v.strictObject({
    kind: v.literal('proven-lines'),
    lines: v.pipe(v.array(lineSchema), v.maxLength(PROVEN_LINES_MAX)),
    /** Null: there are no more. */
    next: v.nullable(place),
  }),
])

/** Receipts as bytes: signed by a stage or a driver, opened by the coordinator and by stages. Rules V1 … V5 of SPEC.md. */

import * as v from 'valibot'
import { err, fromBase64Url, type Result, type Signer, type VerifySignature } from '../shared/index.ts'
import { headSchema } from './ledgerRequests.ts'
import {
  POSITIONS_MAX,
  RECEIPT_AHEAD_MS_MAX,
  RECEIPT_CHARACTERS_MAX,
  RECEIPTS_MAX,
  REVISIONS_MAX,
  STAGES_MAX,
  WINDOW_TOTAL_MAX,
} from './limits.ts'
import { EMPTY_HASH, type Receipt, rowTotal, type SignedReceipt, waitedRows } from './receipt.ts'
import { amount, count, layer, peerId, sessionId } from './schemas.ts'
import { type DocumentKind, openDocument, parseDocument, signDocument } from './signedDocument.ts'

const rows = count(WINDOW_TOTAL_MAX)
const counts = { prompt: rows, decode: rows, results: rows }
const rowCounts = v.pipe(
  v.strictObject(counts),
  v.check((counted) => counted.results <= rowTotal(counted), 'more results than rows'),
)
const linkTally = v.pipe(
  v.strictObject({
    ...counts,
    firstPosition: count(POSITIONS_MAX),
    endPosition: count(POSITIONS_MAX),
    hash: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  }),
  v.check((tally) => tally.results <= rowTotal(tally), 'more results than rows'),
  v.check(({ firstPosition, endPosition }) => firstPosition <= endPosition, 'ends before it begins'),
  v.check((tally) => rowTotal(tally) >= tally.endPosition - tally.firstPosition, 'fewer rows than positions'),
  v.check(
    ({ hash, firstPosition, endPosition }) => (hash === EMPTY_HASH) === (firstPosition === endPosition),
    'a hash of no rows, or none of rows',
  ),
)

const receiptSchema = v.pipe(
  v.strictObject({
    version: v.literal(1),
    sessionId,
    revision: count(REVISIONS_MAX),
    peerId,
    party: v.variant('kind', [
      v.strictObject({ kind: v.literal('stage'), index: count(STAGES_MAX - 1), firstLayer: layer, endLayer: layer, computed: rowCounts }),
      v.strictObject({ kind: v.literal('driver'), resent: rowCounts }),
    ]),
    epoch: count(2 ** 32 - 1),
    received: linkTally,
    sent: linkTally,
    sequence: count(RECEIPTS_MAX),
    timeMs: amount,
    final: v.boolean(),
    head: v.nullable(headSchema),
  }),
  v.check(
    ({ party, ...links }) => party.kind === 'driver' || within(party.computed, links.received, waitedRows(links)),
    'more rows computed than received',
  ),
  v.check(({ party, sent }) => party.kind === 'stage' || within(party.resent, sent, 0), 'more rows repeated than sent'),
  v.check(
    ({ party, revision }) => party.kind === 'stage' || revision > 0 || rowTotal(party.resent) === 0,
    'rows repeated before the first repair',
  ),
)

type Counted = { readonly prompt: number; readonly decode: number; readonly results: number }

function within(part: Counted, whole: Counted, more: number): boolean {
  const isWithin = rowTotal(part) <= rowTotal(whole) + more
  return isWithin && part.prompt <= whole.prompt + more && part.decode <= whole.decode + more && part.results <= whole.results + more
}

const receiptKind: DocumentKind<Receipt> = { name: 'receipt', context: 'tabswarm receipt 1\n', schema: receiptSchema }

export function signReceipt(receipt: Receipt, signer: Pick<Signer, 'sign'>): Promise<SignedReceipt> {
  return signDocument(receiptKind, receipt, signer)
}

/**
 * The receipt inside, once its signature by the peer's raw public key, its fields and its time hold; else why it is refused. Whose
 * key that is, and whether a grant names it, is left to the caller (receiptMisfit). `nowMs` is coordinator time.
 */
export async function openReceipt(
  signed: SignedReceipt,
  publicKey: Uint8Array,
  verify: VerifySignature,
  nowMs: number,
): Promise<Result<Receipt, string>> {
  if (signed.body.length > RECEIPT_CHARACTERS_MAX)
    return err(`the receipt has ${signed.body.length} characters; the limit is ${RECEIPT_CHARACTERS_MAX}`)
  const receipt = await openDocument(receiptKind, signed, publicKey, verify)
  if (receipt.ok && receipt.value.timeMs > nowMs + RECEIPT_AHEAD_MS_MAX)
    return err(`the receipt is ${Math.round(receipt.value.timeMs - nowMs)} ms ahead of the coordinator's time`)
  return receipt
}

/** The receipt inside, its signature unchecked: for who has it from its signer, over a link that proves who that is. */
export function readReceipt({ body }: SignedReceipt): Result<Receipt, string> {
  const bytes = fromBase64Url(body)
  return bytes === null ? err('the receipt is not base64url') : parseReceipt(bytes)
}

/** The fields of a receipt's bytes, or the first that is wrong; never throws. */
export function parseReceipt(body: Uint8Array): Result<Receipt, string> {
  return parseDocument(receiptKind, body)
}

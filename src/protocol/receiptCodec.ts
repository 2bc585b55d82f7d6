/** Receipts as bytes: signed by a stage or a driver, opened by the coordinator and by stages. Rules V1 … V5 of SPEC.md. */

import * as v from 'valibot'
import {
  concatBytes,
  err,
  fromBase64Url,
  ok,
  type Result,
  type Signer,
  toBase64Url,
  utf8Decode,
  utf8Encode,
  type VerifySignature,
} from '../shared/index.ts'
import {
  POSITIONS_MAX,
  RECEIPT_AHEAD_MS_MAX,
  RECEIPT_CHARACTERS_MAX,
  RECEIPTS_MAX,
  REVISIONS_MAX,
  STAGES_MAX,
  WINDOW_TOTAL_MAX,
} from './limits.ts'
import { EMPTY_HASH, RECEIPT_CONTEXT, type Receipt, rowTotal, type SignedReceipt } from './receipt.ts'
import { amount, count, describeIssue, layer, peerId, sessionId } from './schemas.ts'

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
  }),
  v.check(({ party, received }) => party.kind === 'driver' || within(party.computed, received), 'more rows computed than received'),
  v.check(({ party, sent }) => party.kind === 'stage' || within(party.resent, sent), 'more rows repeated than sent'),
  v.check(
    ({ party, revision }) => party.kind === 'stage' || revision > 0 || rowTotal(party.resent) === 0,
    'rows repeated before the first repair',
  ),
)

type Counted = { readonly prompt: number; readonly decode: number; readonly results: number }

function within(part: Counted, whole: Counted): boolean {
  return part.prompt <= whole.prompt && part.decode <= whole.decode && part.results <= whole.results
}

export async function signReceipt(receipt: Receipt, signer: Signer): Promise<SignedReceipt> {
  const body = utf8Encode(JSON.stringify(receipt))
  const signature = await signer.sign(concatBytes([utf8Encode(RECEIPT_CONTEXT), body]))
  return { body: toBase64Url(body), signature: toBase64Url(signature) }
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
  const body = fromBase64Url(signed.body)
  const signature = fromBase64Url(signed.signature)
  if (body === null || signature === null) return err('the receipt is not base64url')
  if (!(await verify(publicKey, concatBytes([utf8Encode(RECEIPT_CONTEXT), body]), signature)))
    return err("the receipt's signature is not this peer's")
  const receipt = parseReceipt(body)
  if (receipt.ok && receipt.value.timeMs > nowMs + RECEIPT_AHEAD_MS_MAX)
    return err(`the receipt is ${Math.round(receipt.value.timeMs - nowMs)} ms ahead of the coordinator's time`)
  return receipt
}

/** The fields of a receipt's bytes, or the first that is wrong; never throws. */
export function parseReceipt(body: Uint8Array): Result<Receipt, string> {
  let value: unknown
  try {
    value = JSON.parse(utf8Decode(body))
  } catch {
    return err('the receipt is not JSON in UTF-8')
  }
  const parsed = v.safeParse(receiptSchema, value)
  return parsed.success ? ok(parsed.output) : err(`the receipt's ${describeIssue(parsed.issues[0])}`)
}

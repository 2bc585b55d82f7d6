/** Grants as bytes: signed by the coordinator, opened by every stage that serves one. Rules G1 … G6 and G10 of SPEC.md. */

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
import { GRANT_CONTEXT, type Grant, type SignedGrant } from './grant.ts'
import { GRANT_LIFE_MS_MAX, POSITIONS_MAX, REVISIONS_MAX, STAGES_MAX, TOP_K_MAX } from './limits.ts'
import { ROW_ENCODINGS } from './rows.ts'
import { amount, count, describeIssue, layer, manifestHash, modelId, peerId, sessionId } from './schemas.ts'

const atLeastOne = (max: number) => v.pipe(count(max), v.minValue(1))

const grantSchema = v.strictObject({
  version: v.literal(1),
  sessionId,
  revision: count(REVISIONS_MAX),
  modelId,
  manifestHash,
  driver: peerId,
  stages: v.pipe(
    v.array(v.strictObject({ peerId, firstLayer: layer, endLayer: layer })),
    v.minLength(1),
    v.maxLength(STAGES_MAX),
    v.check(
      (stages) => stages.every(({ firstLayer }, index) => firstLayer === (stages[index - 1]?.endLayer ?? 0)),
      'layers are not contiguous from 0',
    ),
    v.check((stages) => stages.every(({ firstLayer, endLayer }) => firstLayer < endLayer), 'a stage is empty'),
    v.check((stages) => new Set(stages.map((stage) => stage.peerId)).size === stages.length, 'a peer holds two stages'),
  ),
  maxPositions: atLeastOne(POSITIONS_MAX),
  topK: atLeastOne(TOP_K_MAX),
  rowEncoding: v.picklist(ROW_ENCODINGS),
  issuedAtMs: amount,
  expiresAtMs: amount,
})

export async function signGrant(grant: Grant, signer: Signer): Promise<SignedGrant> {
  const body = utf8Encode(JSON.stringify(grant))
  const signature = await signer.sign(concatBytes([utf8Encode(GRANT_CONTEXT), body]))
  return { body: toBase64Url(body), signature: toBase64Url(signature) }
}

/** The grant inside, once its signature, fields and times hold; else why it is refused. `nowMs` is coordinator time. */
export async function openGrant(
  signed: SignedGrant,
  coordinatorKey: Uint8Array,
  verify: VerifySignature,
  nowMs: number,
): Promise<Result<Grant, string>> {
  const body = fromBase64Url(signed.body)
  const signature = fromBase64Url(signed.signature)
  if (body === null || signature === null) return err('the grant is not base64url')
  if (!(await verify(coordinatorKey, concatBytes([utf8Encode(GRANT_CONTEXT), body]), signature)))
    return err("the grant's signature is not this coordinator's")
  const grant = parseGrant(body)
  if (!grant.ok) return grant
  const { issuedAtMs, expiresAtMs } = grant.value
  if (!(issuedAtMs < expiresAtMs && expiresAtMs - issuedAtMs <= GRANT_LIFE_MS_MAX)) return err('the grant lives too long, or not at all')
  if (nowMs >= expiresAtMs) return err(`the grant expired ${Math.round(nowMs - expiresAtMs)} ms ago; ask the coordinator for a new one`)
  return grant
}

function parseGrant(body: Uint8Array): Result<Grant, string> {
  let value: unknown
  try {
    value = JSON.parse(utf8Decode(body))
  } catch {
    return err('the grant is not JSON in UTF-8')
  }
  const parsed = v.safeParse(grantSchema, value)
  return parsed.success ? ok(parsed.output) : err(`the grant's ${describeIssue(parsed.issues[0])}`)
}

/** Grants as bytes: signed by the coordinator, opened by every stage that serves one. Rules G1 … G6 and G10 of SPEC.md. */

import * as v from 'valibot'
import { err, type Result, type Signer, type VerifySignature } from '../shared/index.ts'
import { GRANT_CONTEXT, type Grant, type SignedGrant } from './grant.ts'
import { GRANT_LIFE_MS_MAX, POSITIONS_MAX, REVISIONS_MAX, STAGES_MAX, TOP_K_MAX } from './limits.ts'
import { ROW_ENCODINGS } from './rows.ts'
import { amount, count, layer, manifestHash, modelId, peerId, sessionId } from './schemas.ts'
import { type DocumentKind, lifeFault, openDocument, signDocument } from './signedDocument.ts'

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

const grantKind: DocumentKind<Grant> = { name: 'grant', context: GRANT_CONTEXT, schema: grantSchema }

export function signGrant(grant: Grant, signer: Signer): Promise<SignedGrant> {
  return signDocument(grantKind, grant, signer)
}

/** The grant inside, once its signature, fields and times hold; else why it is refused. `nowMs` is coordinator time. */
export async function openGrant(
  signed: SignedGrant,
  coordinatorKey: Uint8Array,
  verify: VerifySignature,
  nowMs: number,
): Promise<Result<Grant, string>> {
  const grant = await openDocument(grantKind, signed, coordinatorKey, verify)
  if (!grant.ok) return grant
  const fault = lifeFault(grantKind.name, grant.value, GRANT_LIFE_MS_MAX, nowMs)
  return fault === null ? grant : err(fault)
}

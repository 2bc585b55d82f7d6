/**
 * The coordinator's control socket: every message, both ways, as schemas. One JSON text a message. Parsed here and nowhere
 * else; what does not fit is refused with the rule it broke, and the socket closes.
 *
 * Order: server `challenge` → client `identify` → server `welcome`; then anything. A client may be a volunteer (`pledge`),
 * a requester (`admit`), a watcher (`watch`), or all of them.
 */

import * as v from 'valibot'
import { err, ok, type Result, TIERS } from '../shared/index.ts'
import { accountAnswerSchema, accountAskSchema } from './accountRequests.ts'
import { auditedSchema, auditSchema, sendLogSchema, standingSchema, verdictSchema } from './auditMessages.ts'
import { headMessageSchema } from './ledgerRequests.ts'
import {
  CONTROL_MESSAGE_BYTES_MAX,
  MACS_PER_SECOND_MAX,
  POSITIONS_MAX,
  QUEUE_WAIT_MS_MAX,
  REVISIONS_MAX,
  RTT_MS_MAX,
  STAGES_MAX,
} from './limits.ts'
import {
  amount,
  base64Url,
  byteCount,
  count,
  credits,
  describeIssue,
  layer,
  manifestHash,
  modelId,
  peerId,
  sessionId,
  signedCertificate,
  signedGrant,
  signedReceipt,
  span,
  text,
} from './schemas.ts'
import { statementAskSchema, statementSchema } from './statement.ts'

/** Reason of an `away` that ends with `serving` of the same order. */
export const AWAY_RECOVERING = 'recovering'

const engineName = v.picklist(['webgpu', 'wasm', 'cpu'])

const chainStageSchema = v.strictObject({ peerId, firstLayer: layer, endLayer: layer, engine: engineName, adapter: text(200) })
/** A stage of an admitted chain, with what the route panel says of it. */
export type ChainStage = v.InferOutput<typeof chainStageSchema>

const volunteerSummarySchema = v.strictObject({
  /** First 8 digits of the peer's id: enough to tell cells apart. */
  shortId: text(8),
  engine: engineName,
  adapter: text(200),
  state: v.picklist(['waiting', 'loading', 'serving', 'away']),
  span: v.nullable(span),
  /** 0 … 1 while loading. */
  progress: amount,
})

const swarmSummarySchema = v.strictObject({
  modelId,
  manifestHash,
  name: text(200),
  layerCount: layer,
  contextLength: count(POSITIONS_MAX),
  /** Weights of the whole model, bytes. */
  weightBytes: byteCount,
  minStages: count(64),
  /** ready: every layer is served. */
  state: v.picklist(['empty', 'incomplete', 'ready']),
  /** How many more bytes must be pledged before every layer has a home; 0 when ready. */
  missingBytes: byteCount,
  sessions: count(1_000_000),
  volunteers: v.pipe(v.array(volunteerSummarySchema), v.maxLength(1_000)),
})

const networkSummarySchema = v.strictObject({ tabs: count(1_000_000), swarms: v.pipe(v.array(swarmSummarySchema), v.maxLength(100)) })
/** What anybody may know of the network: home page, empty-network messages. */
export type NetworkSummary = v.InferOutput<typeof networkSummarySchema>

const assignmentSchema = v.strictObject({
  type: v.literal('assign'),
  assignmentId: count(2 ** 31),
  modelId,
  manifestHash,
  span,
  kvPositions: count(POSITIONS_MAX),
  /** Of the pledge: weights, KV and scratch of this span must stay below. */
  memoryBytesMax: byteCount,
})
/**
 * The coordinator's order to host a span. A span inside the one already loaded takes effect at once; any other is loaded
 * after the open sessions have ended.
 */
export type Assignment = v.InferOutput<typeof assignmentSchema>

const pathsSchema = v.strictObject({
  /** STUN and TURN; none: only peers of one network connect directly. */
  iceServers: v.pipe(
    v.array(v.strictObject({ urls: v.array(text(300)), username: v.optional(text(300)), credential: v.optional(text(300)) })),
    v.maxLength(8),
  ),
  /** `relay`: over TURN servers alone, which is for tests of them. */
  iceTransportPolicy: v.picklist(['all', 'relay']),
  /** Whether the coordinator carries frames for pairs that find no path of their own. */
  relay: v.boolean(),
  /** Of the credentials in `iceServers`, coordinator time; null: of none. */
  expiresAtMs: v.nullable(amount),
})
/** How a peer may connect to others, as the operator has set it. */
export type Paths = v.InferOutput<typeof pathsSchema>

/** Of a relay: each of a coordinator has a greater one than those before. 0: none. */
const relayNumber = count(Number.MAX_SAFE_INTEGER)

export const serverMessageSchema = v.variant('type', [
  v.strictObject({
    type: v.literal('challenge'),
    protocol: count(65_535),
    nonce: base64Url(64),
    coordinatorKey: base64Url(128),
    timeMs: amount,
  }),
  v.strictObject({
    type: v.literal('welcome'),
    peerId,
    timeMs: amount,
    /** Path of the signalling server at the coordinator's own origin. */
    signalPath: text(200),
    /** Binds the signalling connection to this peer's id. */
    signalToken: base64Url(128),
    paths: pathsSchema,
    defaultModelId: modelId,
  }),
  /** In place of those in `welcome`, before their credentials expire. */
  v.strictObject({ type: v.literal('paths'), paths: pathsSchema }),
  /** A relayed channel to that peer: each end opens a WebSocket at this path of the coordinator's origin, once, with its token. */
  v.strictObject({
    type: v.literal('relay'),
    peerId,
    role: v.picklist(['dialer', 'listener']),
    path: text(200),
    token: base64Url(128),
    number: relayNumber,
  }),
  v.strictObject({ type: v.literal('relay-refused'), peerId, reason: text(64), message: text(1_000) }),
  assignmentSchema,
  v.strictObject({ type: v.literal('release') }),
  v.strictObject({ type: v.literal('ping'), sequence: count(2 ** 31), timeMs: amount }),
  v.strictObject({
    type: v.literal('admitted'),
    requestId: text(64),
    grant: signedGrant,
    chain: v.pipe(v.array(chainStageSchema), v.minLength(1), v.maxLength(64)),
    /** Micro-credits that are set aside for it, and so the most that it costs; null where nobody pays. */
    held: v.nullable(credits),
  }),
  /** An `admit` waits, behind so many of its model. */
  v.strictObject({ type: v.literal('queued'), requestId: text(64), ahead: count(1_000_000) }),
  v.strictObject({
    type: v.literal('refused'),
    requestId: text(64),
    reason: text(64),
    message: text(1_000),
    retryAfterMs: v.nullable(amount),
  }),
  /** To drivers: a peer of one of their chains has left, or its socket has ended. Its links may not know it yet. */
  v.strictObject({ type: v.literal('gone'), peerId }),
  /** To drivers: a peer of one of their chains is about to stop, and serves on until others have taken over. */
  v.strictObject({ type: v.literal('draining'), peerId }),
  /** To who takes part: a receipt at this position, once all rows before it have passed. */
  v.strictObject({ type: v.literal('ask-receipt'), sessionId, revision: count(REVISIONS_MAX), endPosition: count(POSITIONS_MAX) }),
  /** To a stage whose part has ended: nobody will ask for the session's log any more. */
  v.strictObject({ type: v.literal('release-log'), sessionId }),
  /** To a driver: what its session cost in the end, in micro-credits; the rest of what was held has gone back. */
  v.strictObject({ type: v.literal('settled'), sessionId, charged: credits }),
  statementSchema,
  v.strictObject({ type: v.literal('account-answer'), requestId: text(64), answer: accountAnswerSchema }),
  headMessageSchema,
  verdictSchema,
  auditedSchema,
  sendLogSchema,
  auditSchema,
  /** Micro-credits as decimal digits, of the account that this peer belongs to. */
  v.strictObject({
    type: v.literal('account'),
    accountId: text(64),
    /** Now, what was granted included. */
    spendable: credits,
    /** Of it, what came from grants: it can be spent, never transferred. */
    granted: credits,
    /** Set aside for its open answers. */
    held: credits,
    /** Earned, and not paid out yet. */
    escrow: credits,
    /** All that it was ever paid for computing. */
    earned: credits,
    standing: standingSchema,
  }),
  v.strictObject({ type: v.literal('network'), summary: networkSummarySchema }),
  /** The last message before the coordinator closes the socket. */
  v.strictObject({ type: v.literal('error'), reason: text(64), message: text(1_000) }),
])
export type ServerMessage = v.InferOutput<typeof serverMessageSchema>

export const clientMessageSchema = v.variant('type', [
  v.strictObject({
    type: v.literal('identify'),
    protocol: count(65_535),
    publicKey: base64Url(128),
    /** Over IDENTIFY_CONTEXT ‖ nonce ‖ coordinator's raw public key. */
    signature: base64Url(128),
    /** Whose peer this is; null: nobody's. */
    certificate: v.nullable(signedCertificate),
  }),
  v.strictObject({
    type: v.literal('pledge'),
    memoryBytes: byteCount,
    engine: engineName,
    adapter: text(200),
    numericClass: text(300),
    kernelVersion: text(64),
    /** Measured by a short probe of the decode mat-vec, multiply-accumulates a second. */
    macsPerSecond: v.pipe(amount, v.maxValue(MACS_PER_SECOND_MAX)),
  }),
  v.strictObject({ type: v.literal('progress'), assignmentId: count(2 ** 31), bytesLoaded: byteCount, bytesTotal: byteCount }),
  v.strictObject({ type: v.literal('serving'), assignmentId: count(2 ** 31), span, kvPositions: count(POSITIONS_MAX) }),
  v.strictObject({ type: v.literal('assignment-failed'), assignmentId: count(2 ** 31), reason: text(64), message: text(1_000) }),
  /** Cannot serve for now (a lost device, a frozen page); `pledge` ends it. */
  // Its GPU was lost: with the reason AWAY_RECOVERING it brings back what it served, with any other its pledge ends.
  v.strictObject({ type: v.literal('away'), reason: text(64) }),
  /** Its machine is wanted elsewhere: serves what is open, nothing new, and leaves soon. `pledge` ends it. */
  v.strictObject({ type: v.literal('drain'), reason: text(64) }),
  /** Stops volunteering; the socket stays open. */
  v.strictObject({ type: v.literal('leave') }),
  v.strictObject({ type: v.literal('pong'), sequence: count(2 ** 31), sessions: count(10_000), kvPositionsFree: count(POSITIONS_MAX) }),
  /** What was measured since the last such message; told where there is something to tell. */
  v.strictObject({
    type: v.literal('measured'),
    /** Whose passes are told; null: of a peer that has none. */
    assignmentId: v.nullable(count(2 ** 31)),
    /** Passes of one decode row each, from the engine's call to its result: layers, heads and milliseconds of all together. */
    passes: v.strictObject({
      count: count(1_000_000),
      layers: count(2 ** 31),
      heads: count(1_000_000),
      ms: v.pipe(amount, v.maxValue(86_400_000)),
    }),
    /** Round trips to peers of its chains. */
    links: v.pipe(v.array(v.strictObject({ peerId, rttMs: v.pipe(amount, v.maxValue(RTT_MS_MAX)) })), v.maxLength(64)),
  }),
  v.strictObject({
    type: v.literal('admit'),
    requestId: text(64),
    modelId,
    promptTokens: count(POSITIONS_MAX),
    maxTokens: count(POSITIONS_MAX),
    /** `standard` where it is not given. */
    tier: v.optional(v.picklist(TIERS)),
    /** Where there is no room for it now: how long it waits; not at all where it is not given. */
    waitMs: v.optional(v.pipe(amount, v.maxValue(QUEUE_WAIT_MS_MAX))),
    /** Who pays, where it is not the peer's own account: what the coordinator's gateway was given for it. */
    voucher: v.optional(text(64)),
  }),
  /** An `admit` that waits does so no more: it is answered by `refused` with `cancelled`, or has been answered. */
  v.strictObject({ type: v.literal('withdraw'), requestId: text(64) }),
  /** The session's chain lost these peers, or, with none, a link between two: asks for a grant over another chain. */
  v.strictObject({
    type: v.literal('repair'),
    requestId: text(64),
    sessionId,
    revision: count(REVISIONS_MAX),
    lostPeerIds: v.pipe(v.array(peerId), v.maxLength(STAGES_MAX)),
  }),
  v.strictObject({
    type: v.literal('ended'),
    sessionId,
    outcome: v.picklist(['finished', 'cancelled', 'failed']),
    failedPeerId: v.nullable(peerId),
    /** Laps of one decode row over its last chain, from their submission to their result: how many, and their median. */
    laps: v.nullable(v.strictObject({ count: count(POSITIONS_MAX), medianMs: v.pipe(amount, v.maxValue(600_000)) })),
  }),
  /** What this peer took and sent in a session, signed by its own key. */
  v.strictObject({ type: v.literal('receipt'), receipt: signedReceipt }),
  statementAskSchema,
  /** Something of this peer's account, see accountRequests.ts. */
  v.strictObject({ type: v.literal('account-request'), requestId: text(64), ask: accountAskSchema }),
  /** Asks for a relayed channel to a peer that no direct path leads to. */
  v.strictObject({
    type: v.literal('relay'),
    peerId,
    /** The last one that this peer had been told of. */
    heardOf: relayNumber,
  }),
  v.strictObject({ type: v.literal('watch') }),
])
export type ClientMessage = v.InferOutput<typeof clientMessageSchema>

/** Domain separation of the signature in `identify`. */
export const IDENTIFY_CONTEXT = 'tabswarm identify 1\n'

export function parseServerMessage(json: string): Result<ServerMessage, string> {
  return parse(serverMessageSchema, json)
}

export function parseClientMessage(json: string): Result<ClientMessage, string> {
  return parse(clientMessageSchema, json)
}

function parse<Schema extends typeof serverMessageSchema | typeof clientMessageSchema>(
  schema: Schema,
  json: string,
): Result<v.InferOutput<Schema>, string> {
  if (json.length > CONTROL_MESSAGE_BYTES_MAX) return err(`message of ${json.length} characters; the limit is ${CONTROL_MESSAGE_BYTES_MAX}`)
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    return err('message is not JSON')
  }
  const parsed = v.safeParse(schema, value)
  if (parsed.success) return ok(parsed.output)
  return err(describeIssue(parsed.issues[0]))
}

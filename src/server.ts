/**
 * Composition root of the coordinator: real clock, chance and keys. The coordinator's key is made anew at each start and kept in
 * memory: grants of an earlier run are void, and so are the sessions that they opened once they end.
 */

import { DEFAULT_STARTER_POLICY, DEMO_STARTER_POLICY } from './coordinator/accounts/index.ts'
import { RESERVE_A_DAY } from './coordinator/economy/index.ts'
import { type ApiRequestEntry, type UsageEvent, UsageWebhook } from './coordinator/gateway/index.ts'
import {
  type Coordinator,
  type CoordinatorEconomy,
  type PathOptions,
  type ServedModel,
  startCoordinator,
} from './coordinator/server/index.ts'
import type { CoordinatorStore, StorePlace } from './coordinator/store/index.ts'
import type { VerificationLimits } from './coordinator/verification/index.ts'
import { createIdentity, sha256Of, signatureVerifier } from './network/index.ts'
import type { RowEncoding } from './protocol/index.ts'
import type { Clock } from './shared/index.ts'
import { KERNEL_VERSION } from './worker/index.ts'

export { SESSIONS_PER_REQUESTER_MAX, smallestPledgeBytes } from './coordinator/core/index.ts'

export interface ServerOptions {
  readonly host: string
  /** 0: a free one. */
  readonly port: number
  /** PEM. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** The first is the default. */
  readonly models: readonly ServedModel[]
  /** What requesters may load to draft with; none where it is left out. */
  readonly draftModels?: readonly ServedModel[]
  readonly minStages: number
  /** Folder of the built web app. */
  readonly webRoot: string
  /** How activations travel: `f16e` has half the bytes of f32, and `i8b` half of those. */
  readonly rowEncoding?: RowEncoding
  /** What is left out is as in PATHS_DEFAULT. */
  readonly paths?: Partial<PathOptions>
  readonly log?: (line: string) => void
  /** Each request to the API, once it is over. */
  readonly onRequest?: (entry: ApiRequestEntry) => void
  /** Who says it may read /metrics from anywhere; left out: programs on this machine may. */
  readonly metricsToken?: string
  /** Each request to the API that is over, once its cost is known or will not be. */
  readonly onUsage?: (event: UsageEvent) => void
  /**
   * Accounts, credits and trust, closed with the server. Left out: in memory, gone with the process, and whoever asks is given credits, as in `demo`.
   * It may still be opening: nobody is admitted before it is there, and nothing else waits for it.
   */
  readonly store?: Promise<CoordinatorStore>
  /** Bounds of audits and escrow; what is left out is as in VERIFICATION_DEFAULTS. */
  readonly verification?: Partial<VerificationLimits>
  /** What accounts have done to accounts, keys, teams and credits, for who records it. */
  readonly onAction?: CoordinatorEconomy['onAction']
  /** Of this machine's memory, for an engine that audits what no tab can; left out: none. */
  readonly ownEngineBytes?: number
  /** Everything that verification decides, for who wants to count. */
  readonly onVerification?: CoordinatorEconomy['onVerification']
}

export type Server = Coordinator
export type { ApiRequestEntry, UsageEvent } from './coordinator/gateway/index.ts'
export type { PathOptions, TurnOptions } from './coordinator/server/index.ts'
export type { CoordinatorStore, StorePlace } from './coordinator/store/index.ts'

/** No STUN and no TURN, so that no tab asks another host; pairs without a direct path go through the coordinator. */
const PATHS_DEFAULT: PathOptions = { stunUrls: [], turn: null, iceTransportPolicy: 'all', relay: true }

/** Milliseconds since the epoch as of the start, monotonic from then on. */
const clock: Clock = {
  nowMs: () => performance.timeOrigin + performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
}

const randomBytes = (count: number) => crypto.getRandomValues(new Uint8Array(count))

/** What a running server keeps. Rejects with a StoreError. */
export async function openServerStore(place: StorePlace): Promise<CoordinatorStore> {
  // It brings a whole database: loaded only here.
  const { openStore } = await import('./coordinator/store/index.ts')
  return openStore(place, { clock, randomBytes })
}

/** Throws a TabswarmError `bad-webhook`. */
export function openUsageWebhook(options: {
  readonly url: string
  readonly secret: string
  readonly log: (line: string) => void
}): UsageWebhook {
  return new UsageWebhook({ ...options, send: fetch, clock, randomBytes })
}

/** Resolves once it listens. Rejects with a CoordinatorError, and has then closed the store. */
export async function createServer(options: ServerOptions): Promise<Server> {
  const store = options.store ?? openServerStore({ kind: 'memory' })
  try {
    return await listen(options, store)
  } catch (error) {
    await store.then((opened) => opened.close()).catch(() => undefined)
    throw error
  }
}

async function listen(options: ServerOptions, store: Promise<CoordinatorStore>): Promise<Server> {
  const { subtle } = crypto
  const {
    draftModels = [],
    rowEncoding = 'f16e',
    paths = {},
    log = () => undefined,
    store: kept,
    verification = {},
    onVerification,
    metricsToken = null,
    onAction,
    ownEngineBytes = 0,
    ...rest
  } = options
  const starters = kept === undefined ? DEMO_STARTER_POLICY : DEFAULT_STARTER_POLICY
  const watched = { ...(onVerification !== undefined && { onVerification }), ...(onAction !== undefined && { onAction }) }
  return startCoordinator({
    ...rest,
    economy: { store, starters, reserveADay: RESERVE_A_DAY, verification, ownEngineBytes, ...watched },
    draftModels,
    metricsToken,
    rowEncoding,
    paths: { ...PATHS_DEFAULT, ...paths },
    // The web app that is served here computes with these; a tab of an older one has to reload.
    kernelVersion: KERNEL_VERSION,
    signer: await createIdentity(subtle),
    clock,
    randomBytes,
    sha256: sha256Of(subtle),
    verify: signatureVerifier(subtle),
    log,
  })
}

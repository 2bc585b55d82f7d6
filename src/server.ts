/**
 * Composition root of the coordinator: real clock, chance and keys. The coordinator's key is made anew at each start and kept in
 * memory: grants of an earlier run are void, and so are the sessions that they opened once they end.
 */

import { type Coordinator, type PathOptions, type ServedModel, startCoordinator } from './coordinator/server/index.ts'
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
}

export type Server = Coordinator
export type { PathOptions, TurnOptions } from './coordinator/server/index.ts'

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

/** Resolves once it listens. Rejects with a CoordinatorError. */
export async function createServer(options: ServerOptions): Promise<Server> {
  const { subtle } = crypto
  const { draftModels = [], rowEncoding = 'f16e', paths = {}, log = () => undefined, ...rest } = options
  return startCoordinator({
    ...rest,
    draftModels,
    rowEncoding,
    paths: { ...PATHS_DEFAULT, ...paths },
    // The web app that is served here computes with these; a tab of an older one has to reload.
    kernelVersion: KERNEL_VERSION,
    signer: await createIdentity(subtle),
    clock,
    randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
    sha256: sha256Of(subtle),
    verify: signatureVerifier(subtle),
    log,
  })
}

/**
 * replay: one audit, as a tab that has room for the layers does it: fetches the rows, loads the span that they went through and nothing else, computes them,
 * and brings the output. What cannot be done is refused at the same path.
 */

import type { OwnArithmetic } from '../coordinator/verification/index.ts'
import type { Manifest } from '../model/index.ts'
import { AuditErrands, SpareLayers } from '../peer/index.ts'
import type { AuditOrder } from '../protocol/index.ts'
import { type Clock, type Sha256, TabswarmError } from '../shared/index.ts'
import { Auditing } from '../stage/index.ts'
import type { Engine } from '../worker/index.ts'

export interface Replay {
  readonly order: AuditOrder
  readonly arithmetic: OwnArithmetic
  readonly manifest: Manifest
  /** Where the coordinator listens. */
  readonly origin: string
}

export interface ReplayPorts {
  readonly openEngine: (arithmetic: OwnArithmetic) => Promise<Engine>
  readonly fetch: (url: string, init?: RequestInit) => Promise<Response>
  readonly clock: Clock
  readonly sha256: Sha256
}

/** Weights come from the coordinator, which has them on its disk: they are not kept twice. */
const NO_CACHE = { get: async () => null, put: async () => undefined, remove: async () => undefined }

/** Never rejects: what fails here the coordinator notices. */
export async function replay({ order, arithmetic, manifest, origin }: Replay, ports: ReplayPorts): Promise<void> {
  const { openEngine, ...tensors } = ports
  const spare = new SpareLayers({ openEngine: () => openEngine(arithmetic), tensors: { ...tensors, cache: NO_CACHE } })
  const auditing = new Auditing({ engine: servesNothing, served: () => null, onReady: () => void computeAll(auditing) })
  const stage = { served: null, encodeLog: () => null, audit: auditing.add.bind(auditing) }
  const errands = new AuditErrands({ fetch: ports.fetch, stage: () => stage, spare })
  const modelUrl = new URL(`/models/${manifest.id}/file`, origin).href
  await errands.run(order, new URL(order.path, origin).href, { manifest, modelUrl })
}

async function computeAll(auditing: Auditing): Promise<void> {
  while (await auditing.pass());
}

function servesNothing(): never {
  throw new TabswarmError('not-serving', 'the coordinator serves no layers')
}

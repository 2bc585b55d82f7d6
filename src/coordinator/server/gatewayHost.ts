/**
 * GatewayHost: what the gateway needs of this coordinator: its driver, which begins with the first question, its models, and what their swarms can do now.
 */

import { type DriverModel, DriverProcess } from '../../driver/index.ts'
import type { Manifest, Span } from '../../model/index.ts'
import type { ClientMessage, NetworkSummary } from '../../protocol/index.ts'
import { type ModelId, type PeerId, type Pool, required } from '../../shared/index.ts'
import type { MayServe } from '../core/index.ts'
import type { GatewayModels, OfferedModel } from '../gateway/index.ts'
import { DEFAULT_PRICES, listPrice, tierFactors } from '../ledger/index.ts'
import { layersCovered } from './coverage.ts'
import { GATEWAY_SHARE } from './limits.ts'
import type { ServedModel } from './modelRoutes.ts'

export interface GatewayHostOptions {
  readonly models: readonly ServedModel[]
  readonly summary: () => NetworkSummary
  /** Whether the peer's `admit` would get a chain at once. */
  readonly mayAdmit: (peerId: PeerId, message: Extract<ClientMessage, { type: 'admit' }>, mayServe: MayServe | null) => boolean
  /** What tabs serve of the model that may be asked for more now. */
  readonly served: (modelId: ModelId, mayServe: MayServe | null) => readonly Span[]
  /** Who is in that pool of the account; null: everybody. */
  readonly poolOf: (pool: Pool, account: string) => MayServe | null
  readonly log: (line: string) => void
}

const NOBODY = '0'.repeat(32) as PeerId

export class GatewayHost {
  readonly driver: DriverProcess
  readonly models: GatewayModels
  #origin: string | null = null
  #peerId: PeerId | null = null

  constructor({ models, summary, mayAdmit, served, poolOf, log }: GatewayHostOptions) {
    this.driver = new DriverProcess({
      origin: () => this.origin,
      models: () => Promise.all(models.map(readDriverModel)),
      onIdentity: (peerId) => {
        this.#peerId = peerId
      },
      log,
    })
    const offered = models.map(({ hashedManifest: { manifest } }, index) => offeredModel(manifest, index === 0))
    this.models = {
      list: () => offered,
      // Before its driver has begun it is nobody, who has no other session.
      hasRoom: (modelId, size, among) =>
        mayAdmit(
          this.#peerId ?? NOBODY,
          { type: 'admit', requestId: '', modelId, ...size },
          among === undefined ? null : poolOf(among.pool, among.account),
        ),
      capacity(modelId, among) {
        const mayServe = among === undefined ? null : poolOf(among.pool, among.account)
        const swarm = required(
          summary().swarms.find((known) => known.modelId === modelId),
          `the swarm of ${modelId}`,
        )
        const spans = served(modelId, mayServe)
        return { peers: spans.length, layersCovered: layersCovered(spans), layerCount: swarm.layerCount, sessions: swarm.sessions }
      },
    }
  }

  /** Where this coordinator listens; before the first question. */
  listens(origin: string): void {
    this.#origin = origin
  }

  /** Once it listens. */
  get origin(): string {
    return required(this.#origin, 'an address')
  }

  shareOf(peerId: PeerId): number {
    return peerId === this.#peerId ? GATEWAY_SHARE : 1
  }
}

async function readDriverModel({ hashedManifest: { manifest, hash }, source }: ServedModel): Promise<DriverModel> {
  const { signal } = new AbortController()
  const header = await source.read({ byteOffset: 0, byteLength: manifest.header.byteLength }, signal)
  return { manifest, manifestHash: hash, header }
}

function offeredModel(manifest: Manifest, isDefault: boolean): OfferedModel {
  const { id, name, license, config } = manifest
  const { decode, prompt, cachedPrompt } = listPrice(config, DEFAULT_PRICES, 'standard')
  const tiers = tierFactors(DEFAULT_PRICES)
  const { contextLength } = config
  const price = { decode, prompt, cachedPrompt }
  return { id, name, license, contextLength, quantization: quantizationOf(manifest), price, tiers, isDefault }
}

/** The type of most of its bytes. */
function quantizationOf({ tensors }: Manifest): string | null {
  const bytes = new Map<string, number>()
  for (const { type, byteLength } of tensors) bytes.set(type, (bytes.get(type) ?? 0) + byteLength)
  const [most] = [...bytes].sort(([, one], [, other]) => other - one)
  return most?.[0] ?? null
}

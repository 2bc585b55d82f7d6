/** Where this peer stands in a session's chain, or why it does not serve it. The grant's signature is checked before. */

import type { ModelConfig, Span } from '../model/index.ts'
import type { FailureReason, Grant } from '../protocol/index.ts'
import { err, type ManifestHash, ok, type PeerId, type Result } from '../shared/index.ts'

/** What this peer serves now. */
export interface ServedSpan {
  readonly manifestHash: ManifestHash
  readonly span: Span
  readonly config: ModelConfig
}

export interface Place {
  readonly index: number
  readonly span: Span
  readonly isFirst: boolean
  readonly isLast: boolean
  readonly driver: PeerId
  /** Who sends rows: the driver for stage 0. */
  readonly upstream: PeerId
  /** Who gets the outputs: the driver for the last stage. */
  readonly downstream: PeerId
}

export interface Refusal {
  readonly reason: FailureReason
  readonly message: string
}

export function findPlace(grant: Grant, served: ServedSpan, own: PeerId): Result<Place, Refusal> {
  const refuse = (reason: FailureReason, message: string) => err({ reason, message })
  const index = grant.stages.findIndex((stage) => stage.peerId === own)
  const stage = grant.stages[index]
  if (stage === undefined) return refuse('bad-grant', `the grant names no stage for peer ${own}`)
  const { span, config, manifestHash } = served
  if (grant.manifestHash !== manifestHash) {
    return refuse(
      'not-serving',
      `this peer serves manifest ${manifestHash.slice(0, 12)}, the grant names ${grant.manifestHash.slice(0, 12)}`,
    )
  }
  if (stage.firstLayer < span.firstLayer || stage.endLayer > span.endLayer) {
    const loaded = `${span.firstLayer}–${span.endLayer - 1}`
    return refuse('not-serving', `this peer holds layers ${loaded}, the grant names ${stage.firstLayer}–${stage.endLayer - 1}`)
  }
  const isLast = index === grant.stages.length - 1
  const chainEnd = grant.stages.at(-1)?.endLayer
  if (chainEnd !== config.layerCount) {
    return refuse('bad-grant', `the chain ends with layer ${(chainEnd ?? 0) - 1}, the model has ${config.layerCount} layers`)
  }
  if (grant.maxPositions > config.contextLength) {
    return refuse('bad-grant', `${grant.maxPositions} positions are granted, the model's context has ${config.contextLength}`)
  }
  return ok({
    index,
    span: { firstLayer: stage.firstLayer, endLayer: stage.endLayer },
    isFirst: index === 0,
    isLast,
    driver: grant.driver,
    upstream: grant.stages[index - 1]?.peerId ?? grant.driver,
    downstream: grant.stages[index + 1]?.peerId ?? grant.driver,
  })
}

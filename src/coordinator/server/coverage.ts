/** Coverage: how much of a model its volunteers serve. */

import type { Span } from '../../model/index.ts'

/** Layers that are in at least one of the spans. */
export function layersCovered(spans: readonly Span[]): number {
  const layers = new Set<number>()
  for (const { firstLayer, endLayer } of spans) for (let layer = firstLayer; layer < endLayer; layer++) layers.add(layer)
  return layers.size
}

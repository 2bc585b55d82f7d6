/** Coverage: how much of a model its volunteers serve. */

import type { NetworkSummary } from '../../protocol/index.ts'

type Volunteers = NetworkSummary['swarms'][number]['volunteers']

/** Layers that at least one of them serves. */
export function layersCovered(volunteers: Volunteers): number {
  const layers = new Set<number>()
  for (const { state, span } of volunteers) {
    if (state !== 'serving' || span === null) continue
    for (let layer = span.firstLayer; layer < span.endLayer; layer++) layers.add(layer)
  }
  return layers.size
}

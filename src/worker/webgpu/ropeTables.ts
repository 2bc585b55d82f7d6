/**
 * RoPE tables: the different ways in which the layers of a model rotate. Each row of a submission carries one table of cosines and
 * sines for each; a layer knows which one is its own.
 */

import { type LayerRope, layerTraits, type ModelConfig } from '../../model/index.ts'

/** Mostly one; two where windowed layers have a base of their own. */
export function ropeTables(config: ModelConfig): LayerRope[] {
  const tables: LayerRope[] = []
  for (let layer = 0; layer < config.layerCount; layer++) {
    const { rope } = layerTraits(config, layer)
    if (!tables.some((table) => sameRope(table, rope))) tables.push(rope)
  }
  return tables
}

/** The table of layer `layer`. */
export function ropeTableIndex(config: ModelConfig, layer: number): number {
  const { rope } = layerTraits(config, layer)
  return ropeTables(config).findIndex((table) => sameRope(table, rope))
}

function sameRope(a: LayerRope, b: LayerRope): boolean {
  return a.base === b.base && a.positionScale === b.positionScale && a.divisors === b.divisors
}

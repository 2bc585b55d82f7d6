/** A model's configuration for people: what `tabswarm model inspect` prints of a file that can be run. */

import { layerTraits, type ModelConfig } from '../model/index.ts'

/** What the engines will compute, in words. */
export function describeConfig(config: ModelConfig): string[] {
  const { layerCount, headCount, kvHeadCount, headSize, experts } = config
  const lines = [
    `${config.architecture}, ${layerCount} layers of width ${config.width}, vocabulary of ${config.vocabularySize}${config.tiedHead ? ', tied head' : ''}`,
    `${headCount} query and ${kvHeadCount} key-value heads of ${headSize}, scores × ${short(config.attentionScale)}`,
    experts === null
      ? `feed-forward of ${config.feedForwardWidth}`
      : `${experts.used} of ${experts.count} experts a token, each a feed-forward of ${config.feedForwardWidth}`,
    `up to ${config.contextLength} positions, RoPE over ${config.ropeDimensions} of ${headSize} dimensions, base ${config.ropeBase}`,
  ]
  if (config.ropePositionScale !== 1) lines.push(`positions × ${short(config.ropePositionScale)} before RoPE`)
  if (config.ropeMagnitude !== 1) lines.push(`RoPE's cosines and sines × ${short(config.ropeMagnitude)}`)
  if (config.slidingWindow !== null) {
    const windowed = Array.from({ length: layerCount }, (_, layer) => layer).filter((layer) => layerTraits(config, layer).window !== null)
    const base = config.windowRopeBase === null ? '' : `, RoPE base ${config.windowRopeBase} in them`
    lines.push(`${windowed.length} of ${layerCount} layers see only the last ${config.slidingWindow} positions${base}`)
  }
  if (config.attentionSoftCap !== null) lines.push(`scores capped at ±${config.attentionSoftCap}`)
  if (config.logitSoftCap !== null) lines.push(`logits capped at ±${config.logitSoftCap}`)
  return lines
}

function short(value: number): string {
  return String(Number(value.toPrecision(6)))
}

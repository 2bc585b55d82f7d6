/** What the address asks of a contribution: how much memory is offered at first, and which engine computes. */

import { type EngineChoice, engineChoices } from '../../peer/index.ts'
import type { BrowserFacts } from '../browser.ts'

export const PLEDGE_MB_MIN = 32
/** The largest models of today in one tab; nobody's browser allows more. */
export const PLEDGE_MB_MAX = 65_536
/** The slider's end; the number beside it goes further. */
export const PLEDGE_MB_SLIDER_MAX = 8_192
const PLEDGE_MB_DEFAULT = 2_048
/** A quarter of a small device's memory: the rest of its tabs need some too. */
const SHARE_OF_DEVICE = 0.25

/** `?pledge-mb=N` wins; else 2,048 MB, less on small devices. */
export function initialPledgeMb({ search, deviceMemoryGb }: Pick<BrowserFacts, 'search' | 'deviceMemoryGb'>): number {
  const asked = new URLSearchParams(search).get('pledge-mb')
  if (asked !== null && /^\d{1,6}$/.test(asked)) return clampPledgeMb(Number(asked))
  const fits = deviceMemoryGb === null ? PLEDGE_MB_DEFAULT : deviceMemoryGb * 1024 * SHARE_OF_DEVICE
  return clampPledgeMb(Math.min(PLEDGE_MB_DEFAULT, Math.floor(fits)))
}

/** `?pledge-mb-wasm=N`: what automation pledges where the tab computes without a GPU; null: the same. */
export function wasmPledgeMb({ search }: Pick<BrowserFacts, 'search'>): number | null {
  const asked = new URLSearchParams(search).get('pledge-mb-wasm')
  return asked !== null && /^\d{1,6}$/.test(asked) ? clampPledgeMb(Number(asked)) : null
}

export function clampPledgeMb(megabytes: number): number {
  return Math.min(PLEDGE_MB_MAX, Math.max(PLEDGE_MB_MIN, Math.round(megabytes)))
}

/** Memory as the coordinator counts it: 1 MB = 10⁶ bytes. */
export function pledgeBytes(megabytes: number): number {
  return megabytes * 1_000_000
}

/** `?pressure=off`: what automation that opens many tabs on one machine asks for, since each would pause for the others. */
export function yieldsToOthers({ search }: Pick<BrowserFacts, 'search'>): boolean {
  return new URLSearchParams(search).get('pressure') !== 'off'
}

/** `?engine=webgpu` and `?engine=wasm` force one; else the tab takes what is fastest. */
export function initialEngine({ search }: Pick<BrowserFacts, 'search'>): EngineChoice {
  const asked = new URLSearchParams(search).get('engine')
  return engineChoices.find((choice) => choice === asked) ?? 'auto'
}

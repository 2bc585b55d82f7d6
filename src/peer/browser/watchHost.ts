/**
 * watchHost: the machine's load as far as this browser shows it, in the words of pressure.ts. Each source is asked for by its feature, and
 * nothing is asked of the user: a person's presence is watched only where that was allowed before. Chromium 147 has all four, on
 * secure addresses; Firefox and Safari have none, and there only the passes tell.
 */

import type { HostSignals } from '../index.ts'

type Listen = (signals: Partial<HostSignals>) => void

/** Not in TypeScript's DOM library: https://www.w3.org/TR/battery-status/ */
interface Battery extends EventTarget {
  readonly charging: boolean
  readonly level: number
}

/** Not in TypeScript's DOM library: https://www.w3.org/TR/compute-pressure/ */
type PressureObserverType = new (
  callback: (records: readonly { readonly state: NonNullable<HostSignals['processor']> }[]) => void,
) => { observe(source: 'cpu', options: { readonly sampleInterval: number }): Promise<void>; disconnect(): void }

/** Not in TypeScript's DOM library: https://wicg.github.io/idle-detection/ */
type IdleDetectorType = new () => EventTarget & {
  readonly userState: 'active' | 'idle' | null
  start(options: { readonly threshold: number; readonly signal: AbortSignal }): Promise<void>
}

/** Chromium's own: https://developer.mozilla.org/docs/Web/API/Performance/memory */
interface MemoryInfo {
  readonly usedJSHeapSize: number
  readonly jsHeapSizeLimit: number
}

const PROCESSOR_INTERVAL_MS = 2_000
const MEMORY_INTERVAL_MS = 10_000
/** Who has touched nothing for so long is away; the API allows no less. */
const IDLE_AFTER_MS = 60_000

/** Tells each signal once it is known, and again as it changes. */
export function watchHost(listen: Listen): () => void {
  const controller = new AbortController()
  const { signal } = controller
  const watches = [watchBattery, watchProcessor, watchMemory, watchUser]
  // A source that a policy forbids, or that fails later, is one that this browser has not.
  for (const watch of watches) void watch((signals) => (signal.aborted ? undefined : listen(signals)), signal).catch(() => undefined)
  return () => controller.abort()
}

async function watchBattery(listen: Listen, signal: AbortSignal): Promise<void> {
  const { getBattery } = navigator as { getBattery?: () => Promise<Battery> }
  const battery = await getBattery?.call(navigator)
  if (battery === undefined) return
  const tell = () => listen({ battery: { charging: battery.charging, level: battery.level } })
  battery.addEventListener('chargingchange', tell, { signal })
  battery.addEventListener('levelchange', tell, { signal })
  tell()
}

async function watchProcessor(listen: Listen, signal: AbortSignal): Promise<void> {
  const { PressureObserver } = globalThis as { PressureObserver?: PressureObserverType }
  if (PressureObserver === undefined) return
  const observer = new PressureObserver((records) => listen({ processor: records.at(-1)?.state ?? null }))
  signal.addEventListener('abort', () => observer.disconnect(), { once: true })
  // Hidden pages are told nothing: what was said last is out of date there.
  document.addEventListener('visibilitychange', () => listen({ processor: null }), { signal })
  await observer.observe('cpu', { sampleInterval: PROCESSOR_INTERVAL_MS })
}

async function watchMemory(listen: Listen, signal: AbortSignal): Promise<void> {
  const { memory } = performance as { memory?: MemoryInfo }
  if (memory === undefined) return
  const timer = setInterval(() => {
    const now = (performance as { memory?: MemoryInfo }).memory ?? memory
    listen({ memoryShare: now.usedJSHeapSize / now.jsHeapSizeLimit })
  }, MEMORY_INTERVAL_MS)
  signal.addEventListener('abort', () => clearInterval(timer), { once: true })
}

async function watchUser(listen: Listen, signal: AbortSignal): Promise<void> {
  const { IdleDetector } = globalThis as { IdleDetector?: IdleDetectorType }
  if (IdleDetector === undefined) return
  const { state } = await navigator.permissions.query({ name: 'idle-detection' as PermissionName })
  if (state !== 'granted') return
  const detector = new IdleDetector()
  detector.addEventListener('change', () => listen({ userActive: detector.userState === 'active' }), { signal })
  await detector.start({ threshold: IDLE_AFTER_MS, signal })
}

/** Numbers as people read them. Bytes are decimal (1 MB = 10⁶ bytes), as browsers and shops count them. */

import type { Span } from '../model/index.ts'

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const

/** `98362432` → `98.4 MB`; three digits at most. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000
    unit++
  }
  const decimals = unit === 0 || value >= 99.95 ? 0 : 1
  return `${value.toFixed(decimals)} ${UNITS[unit]}`
}

/** `0.42` → `42 %`; never 100 before the end. */
export function formatPercent(part: number, whole: number): string {
  if (whole <= 0) return '0 %'
  const percent = part >= whole ? 100 : Math.min(99, Math.floor((100 * part) / whole))
  return `${percent} %`
}

export function formatMs(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`
  return ms >= 10 ? `${Math.round(ms)} ms` : `${ms.toFixed(1)} ms`
}

export function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${Math.max(1, Math.ceil(seconds))} s`
  if (seconds < 3600) return `${Math.ceil(seconds / 60)} min`
  return `${Math.ceil(seconds / 3600)} h`
}

/** Multiply-accumulates a second, in billions. */
export function formatSpeed(macsPerSecond: number): string {
  const billions = macsPerSecond / 1e9
  return `${billions >= 10 ? Math.round(billions) : billions.toPrecision(2)} billion multiply-adds a second`
}

/** `{0, 15}` → `layers 1–15`: people count from one. */
export function formatSpan(span: Span): string {
  const first = span.firstLayer + 1
  return span.endLayer === first ? `layer ${first}` : `layers ${first}–${span.endLayer}`
}

export function formatCount(count: number, noun: string): string {
  return `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`
}

/** `4 January 2027`, in UTC, as statements count. */
export function formatDay(atMs: number): string {
  return DAY.format(atMs)
}

const DAY = new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', day: 'numeric', month: 'long', year: 'numeric' })

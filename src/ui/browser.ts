/** The UI's adapter to its browser: the only file here that reads the machine, the address and the clipboard. */

import { TabswarmError } from '../shared/index.ts'

export interface BrowserFacts {
  /** The query of the address that the page was opened with. */
  readonly search: string
  readonly hostname: string
  /** Of the coordinator. */
  readonly origin: string
  /** WebGPU and strong cryptography exist only in secure contexts: https, or this very machine. */
  readonly secure: boolean
  /** Rounded down by the browser and at most 8 or so; null where it does not say (Firefox, Safari). */
  readonly deviceMemoryGb: number | null
}

export function readBrowser(): BrowserFacts {
  const memory: unknown = Reflect.get(window.navigator, 'deviceMemory')
  return {
    search: window.location.search,
    hostname: window.location.hostname,
    origin: window.location.origin,
    secure: window.isSecureContext,
    deviceMemoryGb: typeof memory === 'number' ? memory : null,
  }
}

/** False where the browser refuses, as it does on insecure pages. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await window.navigator.clipboard.writeText(text)
    return true
  } catch {
    return false
  }
}

/** The JSON at an address of this coordinator. Rejects with a TabswarmError where there is none to be had. */
export async function fetchJson(path: string): Promise<unknown> {
  try {
    // biome-ignore lint/style/noRestrictedGlobals: this file is the adapter
    const response = await fetch(path)
    if (response.ok) return await response.json()
  } catch {
    // Told below.
  }
  throw new TabswarmError(
    'offline',
    `${path} could not be read: the coordinator cannot be reached, or does not serve it; try again in a moment`,
  )
}

/** This page's address with other search parameters; commas stay as they are, so that people can read it. */
export function pageAddress(parameters: URLSearchParams): string {
  const { origin, pathname } = window.location
  return `${origin}${pathname}?${String(parameters).replaceAll('%2C', ',')}`
}

/** Saves a text as a file, the way a download link does. */
export function saveFile(name: string, mediaType: string, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: mediaType }))
  const link = document.createElement('a')
  link.href = address
  link.download = name
  link.click()
  URL.revokeObjectURL(address)
}

/** `2027-01`, in UTC, as statements count. */
export function currentMonth(): string {
  // biome-ignore lint/style/noRestrictedGlobals: this file is the adapter
  return new Date().toISOString().slice(0, 7)
}

export function randomSeed(): number {
  const [seed] = window.crypto.getRandomValues(new Uint32Array(1))
  return seed ?? 0
}

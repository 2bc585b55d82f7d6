/**
 * The browser that runs tabs without hands: an installed Chromium or Chrome, else the one from npm. Used by `demo`, `serve --volunteers` and the
 * browser tests; what the tabs do there is tabs.ts.
 */

import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'
import { TabswarmError } from '../shared/index.ts'
import { CHROMIUM_VARIABLE, installedChromiums } from './chromiumPlaces.ts'
import { packagedChromium } from './packagedChromium.ts'

export interface FoundChromium {
  readonly executablePath: string
  readonly source: 'variable' | 'installed' | 'packaged'
  /** Known of the packaged one only; the others say theirs when they run. */
  readonly version?: string
  /** Added to the browser's environment. */
  readonly env: Readonly<Record<string, string>>
}

/** WebGPU on Linux, and on software adapters. A person's own browser does not need it where WebGPU has shipped. */
const WEBGPU_FLAG = '--enable-unsafe-webgpu'

/**
 * - `--no-sandbox`: Chromium's sandbox refuses to run as root and in most containers; the pages are this project's own.
 * - tabs on one machine tell each other its addresses and not mDNS names, which need multicast: containers have none;
 * - the rest keeps the browser from speaking to any host but the coordinator, and from asking questions.
 */
const FLAGS = [
  '--no-sandbox',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-quic',
  '--disable-features=WebRtcHideLocalIpsWithMdns',
]

/** TABSWARM_CHROMIUM, else an installed browser, else the packaged one. Rejects with `no-chromium`. */
export async function findChromium(): Promise<FoundChromium> {
  const named = process.env[CHROMIUM_VARIABLE]
  if (named !== undefined && named !== '') {
    if (!existsSync(named))
      throw new TabswarmError('no-chromium', `${CHROMIUM_VARIABLE} names ${named}, which does not exist. Correct or unset it.`)
    return { executablePath: named, source: 'variable', env: {} }
  }
  const installed = installedChromiums()[0]
  if (installed !== undefined) return { executablePath: installed, source: 'installed', env: {} }
  const { executablePath, version, env } = await packagedChromium()
  return { executablePath, version, source: 'packaged', env }
}

export interface ChromiumOptions {
  readonly webGpu: boolean
  /** Added to ours. */
  readonly flags?: readonly string[]
  /** Timers of hidden pages are slowed down, as in a person's browser; automation leaves that out unless told. */
  readonly throttlesHidden?: boolean
  /** Whether it outlives a signal to this process, which then closes it itself; else it ends at once. */
  readonly outlivesSignals?: boolean
}

/** What Playwright adds against it. */
const UNTHROTTLED = [
  '--disable-background-timer-throttling',
  '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding',
]

/** A headless browser, with WebGPU unless told otherwise. Rejects with `no-chromium`. */
export async function launchChromium(options: ChromiumOptions = { webGpu: true }): Promise<Browser> {
  const found = await findChromium()
  try {
    return await chromium.launch({
      executablePath: found.executablePath,
      args: [...FLAGS, ...(options.webGpu ? [WEBGPU_FLAG] : []), ...(options.flags ?? [])],
      ...(options.throttlesHidden === true && { ignoreDefaultArgs: UNTHROTTLED }),
      ...(options.outlivesSignals === true && { handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false }),
      env: { ...definedVariables(process.env), ...found.env },
    })
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.split('\n').slice(0, 3).join(' ') : String(cause)
    throw new TabswarmError(
      'no-chromium',
      `${found.executablePath} did not start: ${why}. Install Chrome or Chromium, or name another one in ${CHROMIUM_VARIABLE}.`,
      { cause },
    )
  }
}

function definedVariables(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined))
}

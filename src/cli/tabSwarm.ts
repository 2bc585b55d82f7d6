/** A whole swarm on this machine: a coordinator on a free port, headless volunteer tabs that all serve, one chain of them, and requesters' tabs. */

import type { Browser } from 'playwright-core'
import type { RequesterTab, ResolvedModel, VolunteerTab } from '../node/index.ts'
import type { EngineChoice } from '../peer/index.ts'
import type { RowEncoding } from '../protocol/index.ts'
import type { PathOptions } from '../server.ts'
import { printNote } from './output.ts'

export interface TabSwarmOptions {
  readonly model: ResolvedModel
  /** Loaded by each requester, to draft for its answers. */
  readonly draftModel?: ResolvedModel | null
  /** Volunteers; a chain has exactly as many stages. */
  readonly tabs: number
  readonly engine: EngineChoice
  /** Positions of all sessions at one time: tabs pledge memory for them. */
  readonly positions: number
  /** One-way delay of a message between two tabs, milliseconds. */
  readonly latencyMs: number
  /** Answers at one time: a requester may have only so many. One where it is left out. */
  readonly sessions?: number
  /** Of the coordinator's grants; its default where it is left out. */
  readonly rowEncoding?: RowEncoding
  /** How tabs may connect; the coordinator's default where it is left out. */
  readonly paths?: PathOptions
  /** JavaScript that runs in each page before its own. */
  readonly initScript?: string
}

export interface TabSwarm {
  readonly browser: Browser
  readonly volunteers: readonly VolunteerTab[]
  /** At least one. */
  readonly requesters: readonly RequesterTab[]
  /** Of messages between two tabs, one way, over connections that are made from now on, milliseconds. */
  setLatency(latencyMs: number): Promise<void>
  close(): Promise<void>
}

const VOLUNTEER_TIMEOUT_MS = 300_000
const DRAFT_MODEL_TIMEOUT_MS = 300_000

/** Resolves when all layers are served. Rejects with a TabswarmError, everything closed again. */
export async function openTabSwarm(options: TabSwarmOptions): Promise<TabSwarm> {
  const { model, draftModel, tabs, rowEncoding, paths } = options
  const { createServer } = await import('../server.ts')
  const { ensureWebApp, launchChromium } = await import('../node/index.ts')
  const webRoot = await ensureWebApp(printNote)
  const place = { host: '127.0.0.1', port: 0, models: [model], minStages: tabs, webRoot }
  const draftModels = draftModel == null ? [] : [draftModel]
  const chosen = { draftModels, ...(rowEncoding === undefined ? {} : { rowEncoding }), ...(paths === undefined ? {} : { paths }) }
  const coordinator = await createServer({ ...place, ...chosen })
  const closers: (() => Promise<void>)[] = [() => coordinator.close()]
  const close = async () => {
    for (const closeOne of closers.splice(0).reverse()) await closeOne()
  }
  try {
    const browser = await launchChromium()
    closers.push(() => browser.close())
    return { browser, ...(await openTabs(browser, coordinator.url, options)), close }
  } catch (error) {
    await close()
    throw error
  }
}

async function openTabs(browser: Browser, url: string, options: TabSwarmOptions): Promise<Omit<TabSwarm, 'browser' | 'close'>> {
  const { model, draftModel, tabs, engine, positions, latencyMs, sessions = 1, initScript } = options
  const { SESSIONS_PER_REQUESTER_MAX, smallestPledgeBytes } = await import('../server.ts')
  const { openRequesterTab, openVolunteerTab } = await import('../node/index.ts')
  const { manifest } = model.hashedManifest
  const megabytes = (form: 'blocks' | 'unpacked') => Math.ceil(smallestPledgeBytes(manifest, tabs, positions, form) / 1e6)
  const pledge = { engine, pledgeMb: megabytes('blocks'), pledgeMbWasm: megabytes('unpacked') }
  // Half of a hop's delay at each end.
  const tab = { url, latencyMs: latencyMs / 2, ...(initScript === undefined ? {} : { initScript }) }
  printNote(`opening ${tabs} volunteer tabs, each pledging ${pledge.pledgeMb} MB, or ${pledge.pledgeMbWasm} MB without a GPU`)
  const volunteers = await Promise.all(Array.from({ length: tabs }, () => openVolunteerTab(browser, { ...tab, ...pledge })))
  await Promise.all(volunteers.map((volunteer) => volunteer.serving(VOLUNTEER_TIMEOUT_MS)))
  const requesterCount = Math.ceil(sessions / SESSIONS_PER_REQUESTER_MAX)
  const requesters = await Promise.all(Array.from({ length: requesterCount }, () => openRequesterTab(browser, tab)))
  if (draftModel != null) {
    const { id } = draftModel.hashedManifest.manifest
    printNote(`loading the draft model ${id} in ${requesterCount === 1 ? "the requester's tab" : `${requesterCount} requesters' tabs`}`)
    await Promise.all(requesters.map((requester) => requester.loadDraftModel(id, engine, DRAFT_MODEL_TIMEOUT_MS)))
  }
  return {
    volunteers,
    requesters,
    async setLatency(ms) {
      await Promise.all([...volunteers, ...requesters].map((each) => each.setLatency(ms / 2)))
    },
  }
}

/** The swarm of `audit`: a coordinator with a store in memory, volunteer tabs of which one may cheat, a requester, and what the ledger paid whom. */

import type { Browser, Page } from 'playwright-core'
import { type Cheat, COLLUSION_PATH, Collusion, isSpeedLie } from '../cheats/index.ts'
import type { CoordinatorStore } from '../coordinator/store/index.ts'
import type { Neighbor } from '../node/index.ts'
import type { Answer, AskRequest } from '../peer/index.ts'
import { type PeerId, required, TabswarmError } from '../shared/index.ts'
import { AuditTally } from './auditTally.ts'
import { printNote } from './output.ts'

export interface AuditSwarmOptions {
  readonly model: Awaited<ReturnType<typeof import('../node/index.ts')['resolveModel']>>
  readonly tabs: number
  readonly stages: number
  /** Null: everybody is honest. */
  readonly cheat: { readonly kind: Cheat; readonly afterSessions: number } | null
  readonly maxTokens: number
}

type Node = typeof import('../node/index.ts')
type RequesterTab = Awaited<ReturnType<Node['openRequesterTab']>>

const SERVING_TIMEOUT_MS = 300_000
/** Receipts are waited for 5 s, up to three times, and an audit is one prefill for each of up to three auditors. */
const SETTLED_TIMEOUT_MS = 300_000
const LOOK_MS = 250
/** Requesters with addresses of their own, where somebody lies about its speed: laps of fewer say nothing. */
const ORIGINS = 3
/** Of a prompt, with the chat template around it. */
const PROMPT_POSITIONS = 128

/** Before any of the page's own scripts: its workers are told what to do by their name. */
function cheatScript(kind: Cheat | 'vouch', afterSessions: number): string {
  return `globalThis.Worker = class extends Worker {
    constructor(url, options) {
      super(url, { ...options, name: options.name + ' cheat=${kind},${afterSessions}' })
    }
  }`
}

interface AuditSwarmParts {
  readonly tally: AuditTally
  readonly peers: readonly PeerId[]
  readonly requesters: readonly RequesterTab[]
  readonly store: CoordinatorStore
  readonly close: () => Promise<void>
}

export class AuditSwarm {
  readonly tally: AuditTally
  /** The tab that cheats, where one does. */
  readonly suspect: PeerId
  /** It has one to collude with. */
  readonly accomplice: PeerId | null
  /** All others. */
  readonly honest: readonly PeerId[]
  readonly #requesters: readonly RequesterTab[]
  readonly #store: CoordinatorStore
  readonly #close: () => Promise<void>
  readonly #options: AuditSwarmOptions
  #asked = 0

  private constructor(options: AuditSwarmOptions, { tally, peers, requesters, store, close }: AuditSwarmParts) {
    this.#options = options
    this.tally = tally
    this.suspect = required(peers[0], 'the first tab')
    this.accomplice = options.cheat?.kind === 'collude' ? required(peers[1], 'a second tab') : null
    this.honest = peers.filter((peerId) => peerId !== this.suspect && peerId !== this.accomplice)
    this.#requesters = requesters
    this.#store = store
    this.#close = close
  }

  static async open(options: AuditSwarmOptions): Promise<AuditSwarm> {
    const { model, stages, cheat } = options
    const { createServer, openServerStore } = await import('../server.ts')
    const node = await import('../node/index.ts')
    const webRoot = await node.ensureWebApp(printNote, { canCheat: true })
    const tally = new AuditTally()
    const store = await openServerStore({ kind: 'memory' })
    const coordinator = await createServer({
      host: '127.0.0.1',
      port: 0,
      models: [model],
      minStages: stages,
      webRoot,
      store: Promise.resolve(store),
      onVerification: (effect, accountOf) => tally.take(effect, accountOf),
    })
    const browser = await node.launchChromium()
    const doors: Neighbor[] = []
    const close = async () => {
      await browser.close()
      for (const door of doors) await door.close()
      await coordinator.close()
    }
    try {
      const urls = [coordinator.url]
      if (cheat !== null && isSpeedLie(cheat.kind)) {
        for (let number = 1; number <= ORIGINS; number++) doors.push(await node.openNeighbor(number, coordinator.url))
        urls.splice(0, 1, ...doors.map(({ url }) => url))
      }
      const requesters = await Promise.all(urls.map((url) => node.openRequesterTab(browser, { url, latencyMs: 0 })))
      const peers = await openVolunteers(node, browser, coordinator.url, options)
      return new AuditSwarm(options, { tally, peers, requesters, store, close })
    } catch (error) {
      await close()
      throw error
    }
  }

  /** These questions at once, by one requester after the other, all sessions settled and all audits judged. */
  async ask(prompts: readonly string[]): Promise<readonly Answer[]> {
    const { model, maxTokens } = this.#options
    const requestOf = (prompt: string): AskRequest => ({
      modelId: model.hashedManifest.manifest.id,
      prompt: { kind: 'messages', messages: [{ role: 'user', content: prompt }] },
      maxTokens,
      sampling: { temperature: 0, topP: 1, topK: 0, minP: 0, seed: 0, stop: [] },
    })
    const answers = await Promise.all(prompts.map((prompt) => this.#next().askTogether(requestOf(prompt), 1)))
    await this.#settled()
    return answers.flat().map(({ answer }) => answer)
  }

  /** Micro-credits: what it was paid, and what waits for it. */
  async paidTo(peerId: PeerId): Promise<bigint> {
    const account = this.tally.accountOf(peerId)
    if (account === null) return 0n
    const escrow = (await this.#store.ledger.balances(account)).filter((balance) => balance.account.kind === 'escrow')
    return escrow.reduce((sum, { amount }) => sum + amount, await this.#store.ledger.paid(account))
  }

  close(): Promise<void> {
    return this.#close()
  }

  #next(): RequesterTab {
    return required(this.#requesters[this.#asked++ % this.#requesters.length], 'a requester')
  }

  async #settled(): Promise<void> {
    const endMs = performance.now() + SETTLED_TIMEOUT_MS
    while ((await this.#store.ledger.open('hold')).length > 0 || this.tally.open > 0) {
      if (performance.now() > endMs) throw new TabswarmError('stuck', `sessions are not settled after ${SETTLED_TIMEOUT_MS / 1000} s`)
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
  }
}

async function openVolunteers(node: Node, browser: Browser, url: string, options: AuditSwarmOptions): Promise<readonly PeerId[]> {
  const { model, tabs, stages, cheat, maxTokens } = options
  const { smallestPledgeBytes } = await import('../server.ts')
  const { manifest } = model.hashedManifest
  // All answers of a round at one tab, and an audit beside them.
  const positions = (tabs + 1) * (PROMPT_POSITIONS + maxTokens)
  const megabytes = (form: 'blocks' | 'unpacked') => Math.ceil(smallestPledgeBytes(manifest, stages, positions, form) / 1e6)
  const pledge = { engine: 'wasm', pledgeMb: megabytes('blocks'), pledgeMbWasm: megabytes('unpacked') } as const
  printNote(`opening ${tabs} volunteer tabs for chains of ${stages}, each pledging ${pledge.pledgeMbWasm} MB`)
  const cheats = cheat === null ? [] : cheat.kind === 'collude' ? [cheat.kind, 'vouch' as const] : [cheat.kind]
  const collusion = new Collusion()
  const open = async (index: number) => {
    const kind = cheats[index]
    const initScript = kind === undefined ? {} : { initScript: cheatScript(kind, cheat?.afterSessions ?? 0) }
    const tab = await node.openVolunteerTab(browser, { url, latencyMs: 0, ...pledge, ...initScript })
    if (kind !== undefined && cheats.length > 1) await joinCollusion(tab.page, collusion)
    return tab
  }
  // One after the other: a probe beside the start of the next tab makes a tab look slow, and who looks slow is hardly asked.
  const opened: Awaited<ReturnType<typeof open>>[] = []
  for (let index = 0; index < tabs; index++) opened.push(await open(index))
  // None is waited for before all are there: one alone has no chain to serve in.
  await Promise.all(opened.map((tab) => tab.serving(SERVING_TIMEOUT_MS)))
  return Promise.all(opened.map(async (tab) => required(await tab.peerId(), 'the key of a tab that serves')))
}

/** The two meet at an address that nobody but this browser answers: they are two accounts of two browsers for everybody else. */
async function joinCollusion(page: Page, collusion: Collusion): Promise<void> {
  await page.context().route(`**${COLLUSION_PATH}`, async (route) => {
    const request = route.request()
    const body = request.postDataBuffer() ?? new Uint8Array()
    if (request.method() === 'PUT') collusion.tell(body)
    const answer = request.method() === 'PUT' ? null : collusion.answerTo(body)
    if (answer !== null) printNote('the accomplice vouches for the cheat')
    await route.fulfill(answer === null ? { status: 204 } : { status: 200, body: Buffer.from(answer) })
  })
}

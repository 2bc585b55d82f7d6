/** The swarm that `chaos` harms: a coordinator, volunteer tabs, a requester, and the answers that nobody disturbed. */

import type { Browser } from 'playwright-core'
import { median } from '../kernels/suite/index.ts'
import type { Answer, AskProgress, AskRequest, EngineChoice } from '../peer/index.ts'
import { TabswarmError, toErrorBody } from '../shared/index.ts'
import type { Kill, KillKind, Round } from './chaosPlan.ts'
import { bookRepairs, type DoneKill, type Recovery, RepairWatch, type Unrecovered } from './chaosRecoveries.ts'
import { engineWorkerOf } from './frameProbe.ts'
import { printNote } from './output.ts'

type Verdict = 'same' | 'near-tie' | 'different' | 'failed'

export interface RoundOutcome {
  /** Those that hit a living tab before the answer's end. */
  readonly kills: number
  readonly recoveries: readonly Recovery[]
  readonly unrecovered: readonly Unrecovered[]
  /** near-tie: across numeric classes, from a choice on that rounding may turn. failed: it ended with an error. */
  readonly verdict: Verdict
  readonly note: string
}

export interface ChaosSwarmOptions {
  readonly model: Awaited<ReturnType<typeof import('../node/index.ts')['resolveModel']>>
  readonly tabs: number
  readonly stages: number
  readonly engine: EngineChoice
  readonly maxTokens: number
}

const SERVING_TIMEOUT_MS = 300_000
/** Of a choice that engines of different classes may make differently. */
const NEAR_TIE_MARGIN = 0.05
/** Chromium gives a page no GPU any more after the third crash of its GPU process. */
const ANY_NUMBER_OF_GPU_CRASHES = '--disable-gpu-process-crash-limit'
/** An answer that takes longer than this is stuck: the coordinator waits 240 s for tabs that load. */
const ANSWER_TIMEOUT_MS = 600_000

const PROMPTS = [
  'Write a short story about a lighthouse keeper who finds a message in a bottle.',
  `Summarize in three sentences. ${'The ferry between the two islands runs every hour from six in the morning until nine at night. In winter the last two trips are left out. Bicycles travel free of charge, cars pay by their length, and dogs must be kept on a leash. '.repeat(2)}`,
  'Explain to a child why the sky is blue and why sunsets are red.',
]

/** Lets the page break its own connections, or lose everything that it sends and receives while they stay open. */
const HARMFUL = `{
  let isCut = false
  globalThis.cutOff = () => {
    isCut = true
  }
  const guard = (channel) => {
    const { send } = channel
    channel.send = (data) => {
      if (!isCut) send.call(channel, data)
    }
    // Before any listener of the page.
    channel.addEventListener('message', (event) => {
      if (isCut) event.stopImmediatePropagation()
    })
    return channel
  }
  const connections = new Set()
  globalThis.breakConnections = () => connections.forEach((connection) => connection.close())
  globalThis.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...options) {
      super(...options)
      connections.add(this)
      this.addEventListener('datachannel', ({ channel }) => guard(channel))
    }
    createDataChannel(...options) {
      return guard(super.createDataChannel(...options))
    }
  }
  globalThis.WebSocket = class extends WebSocket {
    constructor(...options) {
      super(...options)
      guard(this)
    }
  }
}`

/** The same loss in the engine's worker, which has the data channels of its links: before it has the first. And what destroys its GPU device. */
const HARMFUL_IN_WORKER = `{
  let isCut = false
  globalThis.cutOff = () => {
    isCut = true
  }
  const { send, addEventListener } = RTCDataChannel.prototype
  RTCDataChannel.prototype.send = function (data) {
    if (!isCut) send.call(this, data)
  }
  RTCDataChannel.prototype.addEventListener = function (type, ...options) {
    const stop = (event) => {
      if (isCut) event.stopImmediatePropagation()
    }
    if (type === 'message') addEventListener.call(this, type, stop)
    addEventListener.call(this, type, ...options)
  }
  if (globalThis.GPUDevice !== undefined) {
    let device = null
    globalThis.destroyDevice = () => device?.destroy()
    const { createCommandEncoder } = GPUDevice.prototype
    GPUDevice.prototype.createCommandEncoder = function (...options) {
      device = this
      return createCommandEncoder.apply(this, options)
    }
  }
}`

type Node = typeof import('../node/index.ts')
type VolunteerTab = Awaited<ReturnType<Node['openVolunteerTab']>>
type RequesterTab = Awaited<ReturnType<Node['openRequesterTab']>>

export class ChaosSwarm {
  readonly #options: ChaosSwarmOptions
  readonly #browser: Browser
  readonly #requester: RequesterTab
  readonly #openTab: () => Promise<VolunteerTab>
  readonly #closeCoordinator: () => Promise<void>
  readonly #tabs = new Set<VolunteerTab>()
  readonly #references = new Map<string, Answer>()
  readonly #prefillRates: number[] = []

  private constructor(
    options: ChaosSwarmOptions,
    parts: {
      readonly browser: Browser
      readonly requester: RequesterTab
      readonly openTab: () => Promise<VolunteerTab>
      readonly closeCoordinator: () => Promise<void>
    },
  ) {
    this.#options = options
    this.#browser = parts.browser
    this.#requester = parts.requester
    this.#openTab = parts.openTab
    this.#closeCoordinator = parts.closeCoordinator
  }

  static async open(options: ChaosSwarmOptions): Promise<ChaosSwarm> {
    const { model, tabs, stages, engine, maxTokens } = options
    const { createServer, smallestPledgeBytes } = await import('../server.ts')
    const node = await import('../node/index.ts')
    const { manifest } = model.hashedManifest
    const webRoot = await node.ensureWebApp(printNote)
    // Room for two answers, so that a session that waits for its end does not keep the next one out.
    const positions = 2 * (512 + maxTokens)
    const megabytes = (form: 'blocks' | 'unpacked') => Math.ceil(smallestPledgeBytes(manifest, stages, positions, form) / 1e6)
    const pledge = { engine, pledgeMb: megabytes('blocks'), pledgeMbWasm: megabytes('unpacked') }
    const coordinator = await createServer({ host: '127.0.0.1', port: 0, models: [model], minStages: stages, webRoot })
    const browser = await node.launchChromium({ webGpu: true, flags: [ANY_NUMBER_OF_GPU_CRASHES] })
    const tab = { url: coordinator.url, latencyMs: 0, initScript: HARMFUL }
    const requester = await node.openRequesterTab(browser, tab)
    const openTab = () => node.openVolunteerTab(browser, { ...tab, ...pledge })
    const swarm = new ChaosSwarm(options, { browser, requester, openTab, closeCoordinator: () => coordinator.close() })
    printNote(`opening ${tabs} volunteer tabs for chains of ${stages}`)
    await swarm.#fill()
    return swarm
  }

  /** Median over the undisturbed answers; null before the first. */
  get prefillTokensPerSecond(): number | null {
    return this.#prefillRates.length === 0 ? null : median(this.#prefillRates)
  }

  /** One disturbed answer; then the swarm is whole again. */
  async play(round: Round): Promise<RoundOutcome> {
    const expected = await this.#reference(round)
    const pending = [...round.kills]
    const done: DoneKill[] = []
    let killing: Promise<void> = Promise.resolve()
    const watch = new RepairWatch()
    const onProgress = (progress: AskProgress) => {
      watch.handle(progress)
      const next = pending[0]
      if (next === undefined) return
      const isDue = progress.completionTokens >= next.atToken && (progress.completionTokens > 0 || progress.phase === 'reading')
      if (!isDue) return
      pending.shift()
      killing = killing.then(async () => void done.push(await this.#kill({ ...next, atToken: progress.completionTokens }, progress)))
    }
    const answer = await this.#ask(round, onProgress).catch((error: unknown) => toErrorBody(error))
    await killing
    await this.#fill()
    const verdict = 'reason' in answer ? 'failed' : compare(expected, answer)
    const booked = bookRepairs(done, watch.repairs, verdict === 'failed')
    const killed = done.map(({ kind, atToken }) => `${kind} at ${atToken}`).join(', ') || 'none in time'
    const unrecovered = booked.unrecovered.map(({ kind, atToken, why }) => `; ${kind} at ${atToken}: ${why}`).join('')
    const note = `${killed}: ${VERDICTS[verdict]}${'reason' in answer ? `: ${answer.message}` : ''}${unrecovered}`
    const missed = booked.unrecovered.filter(({ why }) => why === 'not-missed' || why === 'gone-already').length
    return { ...booked, kills: done.length - missed, verdict, note }
  }

  async close(): Promise<void> {
    await this.#browser.close()
    await this.#closeCoordinator()
  }

  async #reference(round: Round): Promise<Answer> {
    const key = `${round.prompt} ${round.samplingSeed}`
    const known = this.#references.get(key)
    if (known !== undefined) return known
    const answer = await this.#ask(round, () => undefined)
    this.#references.set(key, answer)
    if (answer.timeToFirstTokenMs !== null) this.#prefillRates.push((1_000 * answer.promptTokenIds.length) / answer.timeToFirstTokenMs)
    return answer
  }

  async #ask({ prompt, samplingSeed }: Round, onProgress: (progress: AskProgress) => void): Promise<Answer> {
    const { model, maxTokens } = this.#options
    const request: AskRequest = {
      modelId: model.hashedManifest.manifest.id,
      prompt: { kind: 'messages', messages: [{ role: 'user', content: PROMPTS[prompt] ?? '' }] },
      maxTokens,
      sampling: { temperature: samplingSeed === null ? 0 : 0.8, topP: 0.95, topK: 0, minP: 0, seed: samplingSeed ?? 0, stop: [] },
      keepMargins: true,
    }
    const late = AbortSignal.timeout(ANSWER_TIMEOUT_MS)
    const answer = await this.#requester.ask(request, onProgress, late)
    if (late.aborted) throw new TabswarmError('stuck', `an answer took longer than ${ANSWER_TIMEOUT_MS / 1000} s`)
    return answer
  }

  async #kill(kill: Kill, { route }: AskProgress): Promise<DoneKill> {
    const victimId = route[Math.min(kill.stageIndex, route.length - 1)]?.peerId
    const victim = await this.#tabOf(victimId)
    const atMs = performance.timeOrigin + performance.now()
    if (kill.kind === 'gpu') {
      const session = await this.#browser.newBrowserCDPSession()
      // Chromium says nothing when it has done so.
      session.send('Browser.crashGpuProcess').catch(() => undefined)
    } else if (victim !== null) {
      await harm(kill.kind, victim)
      if (kill.kind !== 'links' && kill.kind !== 'device') this.#tabs.delete(victim)
    }
    return { ...kill, atMs, victim: kill.kind === 'gpu' ? 'all' : victim === null ? null : (victimId ?? null) }
  }

  async #tabOf(peerId: string | undefined): Promise<VolunteerTab | null> {
    for (const tab of this.#tabs) if ((await tab.peerId()) === peerId) return tab
    return null
  }

  /** As many tabs as there should be, all serving. */
  async #fill(): Promise<void> {
    const opened: VolunteerTab[] = []
    while (this.#tabs.size < this.#options.tabs) {
      const tab = await this.#openTab()
      opened.push(tab)
      this.#tabs.add(tab)
    }
    await Promise.all([...this.#tabs].map((tab) => tab.serving(SERVING_TIMEOUT_MS)))
    await Promise.all(opened.map((tab) => engineWorkerOf(tab)?.evaluate(HARMFUL_IN_WORKER)))
  }
}

async function harm(kind: Exclude<KillKind, 'gpu'>, tab: VolunteerTab): Promise<void> {
  const { page, close } = tab
  switch (kind) {
    case 'close':
      return close()
    case 'crash': {
      const session = await page.context().newCDPSession(page)
      // The page is gone before it can answer.
      session.send('Page.crash').catch(() => undefined)
      return
    }
    case 'freeze': {
      const session = await page.context().newCDPSession(page)
      await session.send('Debugger.enable')
      await session.send('Debugger.pause')
      // Never answers, and takes no processor from those that live.
      engineWorkerOf(tab)
        ?.evaluate('Atomics.wait(new Int32Array(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer), 0, 0)')
        .catch(() => undefined)
      return
    }
    case 'cut':
      await engineWorkerOf(tab)?.evaluate('cutOff()')
      return call(page, 'cutOff')
    case 'links':
      return call(page, 'breakConnections')
    case 'device':
      await engineWorkerOf(tab)?.evaluate('destroyDevice()')
  }
}

/** One of the functions of HARMFUL. */
function call(page: VolunteerTab['page'], name: string): Promise<void> {
  return page.evaluate((own) => {
    const harmful: unknown = Reflect.get(globalThis, own)
    if (typeof harmful === 'function') harmful()
  }, name)
}

const VERDICTS: Readonly<Record<Verdict, string>> = {
  same: 'the same answer',
  'near-tie': 'another answer from a near tie on, across numeric classes',
  different: 'ANOTHER ANSWER',
  failed: 'NO ANSWER',
}

function compare(expected: Answer, answer: Answer): Exclude<Verdict, 'failed'> {
  const [ids, others] = [expected.completionTokenIds, answer.completionTokenIds]
  const at = Array.from({ length: Math.max(ids.length, others.length) }, (_, index) => index).find((index) => ids[index] !== others[index])
  if (at === undefined) return 'same'
  const classes = new Set([...expected.stages, ...answer.stages].map(({ engine, adapter }) => `${engine} ${adapter}`))
  const margin = Math.min(expected.margins[at] ?? 0, answer.margins[at] ?? 0)
  return classes.size > 1 && margin < NEAR_TIE_MARGIN ? 'near-tie' : 'different'
}

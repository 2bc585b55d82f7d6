/**
 * EngineHost: what the engine worker does, without knowing that it is a worker. One device, one engine, one stage host; carries out the
 * page's orders in turn. Time, GPU, cache and network are handed in by engine.worker.ts.
 */

import type { Span } from '../model/index.ts'
import { type HandedLink, isReceiptOf, type Load, takeOver } from '../network/index.ts'
import type { LedgerHead, Link } from '../protocol/index.ts'
import type { ReceiptRequest } from '../receipts/index.ts'
import {
  type Clock,
  fromErrorBody,
  type PeerId,
  required,
  SerialQueue,
  type SessionId,
  TabswarmError,
  toErrorBody,
  type VerifySignature,
} from '../shared/index.ts'
import { StageHost } from '../stage/index.ts'
import {
  type Engine,
  type EngineChoice,
  type EngineSpeed,
  KV_BLOCK_POSITIONS,
  measureEngineSpeed,
  speedPositions,
} from '../worker/index.ts'
import { AuditErrands } from './auditErrands.ts'
import { type Outcome, outcome } from './outcome.ts'
import { SpareLayers } from './spareLayers.ts'
import { loadSpan, type TensorPorts } from './tensorCache.ts'
import type { ModelSpeedProgress } from './types.ts'
import type { AuditErrand, AuditedModel, DetectedEngine, EngineWorkerApi, MeasureRequest, ServeRequest, WorkerEvents } from './workerApi.ts'

export interface EngineHostPorts extends TensorPorts {
  /** Opens the engine that was chosen, on a new device where it has one. Rejects with a TabswarmError. */
  readonly openEngine: (choice: EngineChoice, threads?: number) => Promise<{ readonly engine: Engine; readonly detected: DetectedEngine }>
  readonly verify: VerifySignature
}

interface Loaded {
  readonly request: ServeRequest
  readonly span: Span
}

/** A lost device is being replaced. */
interface Recovery {
  readonly stopped: AbortController
  /** Aborted by an order for other layers than the lost device held. */
  readonly reload: AbortController
}

/** Before each attempt to get a lost device back: a crashed driver or GPU process is back after a second, or not soon. */
const RECOVERY_WAITS_MS: readonly number[] = [250, 1_000, 4_000, 8_000]
/** A device that is lost more often than this within LOSSES_WITHIN_MS is not asked for again without the user. */
const LOSSES_MAX = 3
const LOSSES_WITHIN_MS = 600_000

/** The page hears of the work at most this often. */
const WORK_INTERVAL_MS = 200

export class EngineHost implements EngineWorkerApi {
  readonly #ports: EngineHostPorts
  #engine: Engine | null = null
  #stage: StageHost | null = null
  #events: WorkerEvents | null = null
  #clockOffsetMs = 0
  #head: LedgerHead | null = null
  #loaded: Loaded | null = null
  /** The newest link to each peer, for a dial that finds one open. */
  readonly #links = new Map<PeerId, Promise<Link>>()
  /** Of the newest order. */
  #order = new AbortController()
  /** Aborted when the present device is lost. */
  #device = new AbortController()
  #recovery: Recovery | null = null
  /** Why no device came back. */
  #gone: TabswarmError | null = null
  /** Orders are carried out one after the other. */
  readonly #orders = new SerialQueue()
  #workTold = false
  #choice: EngineChoice = 'auto'
  #lossesMs: readonly number[] = []
  readonly #spare: SpareLayers
  readonly #audits: AuditErrands

  constructor(ports: EngineHostPorts) {
    this.#ports = ports
    this.#spare = new SpareLayers({ openEngine: async () => (await ports.openEngine(this.#kind)).engine, tensors: ports })
    this.#audits = new AuditErrands({ fetch: ports.fetch, stage: () => this.#stage, spare: this.#spare })
  }

  detect(choice: EngineChoice, threads?: number): Promise<Outcome<DetectedEngine>> {
    return outcome(async () => {
      await this.stop()
      const { engine, detected } = await this.#ports.openEngine(choice, threads)
      this.#choice = choice
      this.#use(engine)
      return detected
    })
  }

  async host(identity: { readonly peerId: PeerId; readonly coordinatorKey: Uint8Array }, events: WorkerEvents): Promise<void> {
    const engine = this.#engine
    if (engine === null) throw new TabswarmError('not-detected', 'the engine was not detected yet')
    const { clock: device, verify, sha256 } = this.#ports
    const clock: Clock = {
      nowMs: () => device.nowMs() + this.#clockOffsetMs,
      after: (delayMs, callback) => device.after(delayMs, callback),
    }
    this.#events = events
    await this.#stage?.stop()
    this.#stage = new StageHost({
      peerId: identity.peerId,
      engine,
      dial: (peerId) => this.#dial(peerId),
      clock,
      coordinatorKey: identity.coordinatorKey,
      verify,
      sha256,
      // Told when the page has them: it may end this worker as soon as `stop` is done.
      receipts: {
        signer: { sign: (message) => events.sign(message) },
        head: () => this.#head,
        onReceipt: async (signed) => events.onReceipt(signed),
        onHead: (head) => events.onHead(head),
        isSignedBy: (receipt, publicKey, peerId) =>
          isReceiptOf({ receipt, publicKey, peerId, nowMs: clock.nowMs() }, { sha256, verify }).catch(() => false),
      },
      onWork: () => this.#tellWork(),
    })
    this.#serveLoaded()
  }

  async setClockOffset(offsetMs: number): Promise<void> {
    this.#clockOffsetMs = offsetMs
  }

  serve(request: ServeRequest): Promise<Outcome<null>> {
    this.#order.abort()
    const order = new AbortController()
    this.#order = order
    if (this.#recovery === null && this.#holds(request)) return Promise.resolve({ ok: true, value: this.#narrow(request) })
    if (this.#recovery !== null && !this.#holds(request)) this.#recovery.reload.abort()
    return outcome(() => this.#carryOut(request, order.signal))
  }

  measure(request: MeasureRequest, onProgress: (progress: ModelSpeedProgress) => void): Promise<Outcome<EngineSpeed>> {
    return outcome(() => this.#orders.run(() => this.#measure(request, onProgress)))
  }

  async addLink(handed: HandedLink): Promise<void> {
    // One that has ended by now is nobody's.
    const link = await this.#takeOver(handed).catch(() => null)
    if (this.#stage === null) link?.close({ reason: 'local', detail: 'this tab serves nothing' })
    else if (link !== null) this.#stage.addLink(link)
  }

  async setHead(head: LedgerHead): Promise<void> {
    this.#head = head
  }

  async askReceipt(wanted: ReceiptRequest): Promise<void> {
    this.#stage?.receipts?.ask(wanted)
  }

  async releaseLog(sessionId: SessionId): Promise<void> {
    this.#stage?.release(sessionId)
  }

  async audit(errand: AuditErrand, url: string, model: AuditedModel | null): Promise<void> {
    await this.#audits.run(errand, url, model)
  }

  async load(): Promise<Load> {
    return {
      sessions: this.#stage?.sessionsOpen ?? 0,
      kvPositionsFree: (this.#engine?.usage().kvBlocksFree ?? 0) * KV_BLOCK_POSITIONS,
    }
  }

  async stop(): Promise<void> {
    this.#order.abort()
    this.#recovery?.stopped.abort()
    this.#recovery = null
    const [stage, engine] = [this.#stage, this.#engine]
    this.#stage = null
    this.#engine = null
    this.#loaded = null
    await Promise.all([stage?.stop(), this.#spare.giveUp()])
    await this.#orders.idle()
    engine?.dispose()
  }

  /** What was chosen to compute with, and need not be measured against others again. */
  get #kind(): EngineChoice {
    const engine = this.#engine?.info.engine
    return engine === 'webgpu' || engine === 'wasm' ? engine : this.#choice
  }

  /** Whether the request's layers are loaded. */
  #holds({ manifestHash, span }: ServeRequest): boolean {
    const loaded = this.#loaded?.request
    if (loaded === undefined || loaded.manifestHash !== manifestHash) return false
    return loaded.span.firstLayer <= span.firstLayer && span.endLayer <= loaded.span.endLayer
  }

  /** Serves a part of what is loaded, or all of it again; open sessions go on. */
  #narrow({ span }: ServeRequest): null {
    const { request } = required(this.#loaded, 'the loaded layers')
    this.#loaded = { request, span }
    this.#serveLoaded()
    this.#tellWork()
    return null
  }

  /** Once more on another device where the one it was begun on is lost: that happens a few times at most. */
  async #carryOut(request: ServeRequest, order: AbortSignal): Promise<null> {
    while (!(await this.#orders.run(() => this.#load(request, order))));
    return null
  }

  /** False when the device was lost meanwhile. Rejects with a TabswarmError. */
  async #load(request: ServeRequest, order: AbortSignal): Promise<boolean> {
    const engine = this.#engine
    const device = this.#device.signal
    if (order.aborted || engine === null) throw superseded()
    if (this.#gone !== null) throw this.#gone
    if (this.#holds(request)) {
      this.#narrow(request)
      return true
    }
    await Promise.all([this.#stage?.drain(), this.#spare.giveUp()])
    if (order.aborted) throw superseded()
    if (device.aborted) return false
    this.#loaded = null
    try {
      await this.#fill(engine, request, AbortSignal.any([order, device]))
    } catch (error) {
      if (toErrorBody(error).reason === 'device-lost') await engine.lost
      if (order.aborted) throw superseded()
      if (device.aborted) return false
      throw error
    }
    this.#loaded = { request, span: request.span }
    this.#serveLoaded()
    this.#tellWork()
    return true
  }

  #fill(engine: Engine, request: ServeRequest, signal: AbortSignal): Promise<void> {
    return loadSpan(this.#ports, engine, request, { onProgress: (progress) => this.#events?.onProgress(progress), signal })
  }

  async #measure({ manifest, modelUrl, plan }: MeasureRequest, onProgress: (progress: ModelSpeedProgress) => void): Promise<EngineSpeed> {
    const engine = this.#engine
    if (engine === null) throw new TabswarmError('not-detected', 'the engine was not detected yet')
    const { layerCount, vocabularySize } = manifest.config
    const span = { firstLayer: 0, endLayer: layerCount }
    const whole = { manifest, modelUrl, span, memoryBytesMax: Number.MAX_SAFE_INTEGER, kvPositions: speedPositions(plan) }
    await loadSpan(this.#ports, engine, whole, {
      onProgress: ({ bytesLoaded, bytesTotal }) => onProgress({ kind: 'loading', bytesLoaded, bytesTotal }),
      signal: new AbortController().signal,
    })
    const { clock } = this.#ports
    return measureEngineSpeed({
      engine,
      layerCount,
      vocabularySize,
      plan,
      nowMs: () => clock.nowMs(),
      onStep: (step) => onProgress({ kind: 'measuring', step }),
    })
  }

  #use(engine: Engine): void {
    this.#engine = engine
    this.#gone = null
    const device = new AbortController()
    this.#device = device
    void engine.lost.then(({ message }) => {
      device.abort()
      if (this.#engine === engine && this.#recovery === null) this.#onLost(engine, message)
    })
  }

  #onLost(engine: Engine, message: string): void {
    const recovery = { stopped: new AbortController(), reload: new AbortController() }
    this.#recovery = recovery
    this.#events?.onDeviceLost(message)
    void outcome(() => this.#orders.run(() => this.#recover(engine, message, recovery))).then((recovered) => {
      if (this.#engine !== null) this.#events?.onRecovered(recovered)
    })
  }

  /** A new device with what the lost one held; the sessions ended with it. Rejects with a TabswarmError when it stays away. */
  async #recover(lost: Engine, message: string, recovery: Recovery): Promise<DetectedEngine> {
    const { signal } = recovery.stopped
    const nowMs = this.#ports.clock.nowMs()
    this.#lossesMs = [...this.#lossesMs.filter((atMs) => nowMs - atMs < LOSSES_WITHIN_MS), nowMs]
    lost.dispose()
    const tooOften = this.#lossesMs.length > LOSSES_MAX
    let cause = tooOften ? `${this.#lossesMs.length} times within ten minutes, last: ${message}` : message
    for (const waitMs of tooOften ? [] : RECOVERY_WAITS_MS) {
      await this.#wait(waitMs, signal)
      try {
        return await this.#reopen(recovery)
      } catch (error) {
        if (signal.aborted) throw superseded()
        cause = toErrorBody(error).message
      }
    }
    this.#loaded = null
    this.#recovery = null
    const advice = 'close other programs that use it, then start again'
    this.#gone = new TabswarmError('device-lost', `the GPU was lost and does not come back (${cause}); ${advice}`)
    throw this.#gone
  }

  async #reopen(recovery: Recovery): Promise<DetectedEngine> {
    const { signal } = recovery.stopped
    const { engine, detected } = await this.#ports.openEngine(this.#choice)
    if (signal.aborted) engine.dispose()
    if (signal.aborted) throw superseded()
    this.#use(engine)
    let lostAgain: string | null = null
    void engine.lost.then(({ message }) => {
      lostAgain = message
    })
    try {
      this.#stage?.replaceEngine(engine)
      await this.#reload(engine, recovery)
      // A loss that came with the last step has its say first.
      await Promise.resolve()
      if (lostAgain !== null) throw new TabswarmError('device-lost', lostAgain)
    } catch (error) {
      engine.dispose()
      throw error
    }
    this.#recovery = null
    this.#serveLoaded()
    this.#tellWork()
    return detected
  }

  /** What the lost device held, unless other layers are ordered by now. */
  async #reload(engine: Engine, { stopped, reload }: Recovery): Promise<void> {
    if (reload.signal.aborted) this.#loaded = null
    if (this.#loaded === null) return
    try {
      await this.#fill(engine, this.#loaded.request, AbortSignal.any([stopped.signal, reload.signal]))
    } catch (error) {
      if (stopped.signal.aborted || !reload.signal.aborted) throw error
      this.#loaded = null
    }
  }

  #wait(delayMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = this.#ports.clock.after(delayMs, resolve)
      const stop = () => {
        cancel()
        reject(superseded())
      }
      if (signal.aborted) stop()
      else signal.addEventListener('abort', stop, { once: true })
    })
  }

  #serveLoaded(): void {
    if (this.#loaded === null) return
    const { request, span } = this.#loaded
    this.#stage?.serve({ manifestHash: request.manifestHash, span, config: request.manifest.config })
  }

  async #dial(peerId: PeerId): Promise<Link> {
    const dialed = await this.#events?.dial(peerId)
    if (dialed === undefined) throw new TabswarmError('unreachable', 'this tab has no network')
    if (!dialed.ok) throw fromErrorBody(dialed.error)
    const link = dialed.value === null ? this.#links.get(peerId) : this.#takeOver(dialed.value)
    if (link === undefined) throw new TabswarmError('unreachable', `the link to peer ${peerId} ended while it was dialed`)
    return link
  }

  #takeOver(handed: HandedLink): Promise<Link> {
    const { peerId } = handed
    const forget = () => {
      if (this.#links.get(peerId) === link) this.#links.delete(peerId)
    }
    const link = takeOver(handed, this.#ports.clock, forget)
    this.#links.set(peerId, link)
    link.catch(forget)
    return link
  }

  #tellWork(): void {
    if (this.#workTold) return
    this.#workTold = true
    this.#ports.clock.after(WORK_INTERVAL_MS, () => {
      this.#workTold = false
      const [stage, engine] = [this.#stage, this.#engine]
      if (stage === null || engine === null) return
      const usage = engine.usage()
      this.#events?.onWork({
        ...stage.work,
        gpuBytes: usage.weightBytes + usage.kvBytes + usage.scratchBytes,
      })
    })
  }
}

function superseded(): TabswarmError {
  return new TabswarmError('superseded', 'a newer order came before this one was carried out')
}

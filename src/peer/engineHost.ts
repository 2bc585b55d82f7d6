/**
 * EngineHost: what the engine worker does, without knowing that it is a worker. One device, one engine, one stage host; carries out the
 * page's orders in turn. Time, GPU, cache and network are handed in by engine.worker.ts.
 */

import { createTensorLoader, httpWeightSource, type LoadTensor, type Span, spanBytes } from '../model/index.ts'
import { linkFromPort } from '../network/index.ts'
import type { Link } from '../protocol/index.ts'
import { type Clock, fromErrorBody, type PeerId, type Sha256, TabswarmError, toErrorBody, type VerifySignature } from '../shared/index.ts'
import { StageHost } from '../stage/index.ts'
import {
  type Engine,
  type EngineChoice,
  type EngineSpeed,
  KV_BLOCK_POSITIONS,
  measureEngineSpeed,
  speedPositions,
  type WeightCache,
} from '../worker/index.ts'
import type { ModelSpeedProgress } from './types.ts'
import type { DetectedEngine, EngineWorkerApi, MeasureRequest, Outcome, ServeRequest, WorkerEvents } from './workerApi.ts'

export interface EngineHostPorts {
  /** Opens the engine that was chosen, on a new device where it has one. Rejects with a TabswarmError. */
  readonly openEngine: (choice: EngineChoice) => Promise<{ readonly engine: Engine; readonly detected: DetectedEngine }>
  /** Device time in milliseconds since the epoch. */
  readonly clock: Clock
  readonly cache: WeightCache
  readonly fetch: (url: string, init?: RequestInit) => Promise<Response>
  readonly verify: VerifySignature
  readonly sha256: Sha256
}

interface Loaded {
  readonly request: ServeRequest
  readonly span: Span
}

/** The page hears of the work at most this often. */
const WORK_INTERVAL_MS = 200

export class EngineHost implements EngineWorkerApi {
  readonly #ports: EngineHostPorts
  #engine: Engine | null = null
  #stage: StageHost | null = null
  #events: WorkerEvents | null = null
  #clockOffsetMs = 0
  #loaded: Loaded | null = null
  /** The newest link to each peer, for a dial that finds one open. */
  readonly #links = new Map<PeerId, Link>()
  #loading: AbortController | null = null
  /** Orders are carried out one after the other. */
  #turn: Promise<void> = Promise.resolve()
  #workTold = false

  constructor(ports: EngineHostPorts) {
    this.#ports = ports
  }

  detect(choice: EngineChoice): Promise<Outcome<DetectedEngine>> {
    return outcome(async () => {
      await this.stop()
      const { engine, detected } = await this.#ports.openEngine(choice)
      this.#engine = engine
      void engine.lost.then(({ message }) => {
        if (this.#engine === engine) this.#events?.onDeviceLost(message)
      })
      return detected
    })
  }

  async host(identity: { readonly peerId: PeerId; readonly coordinatorKey: Uint8Array }, events: WorkerEvents): Promise<void> {
    const engine = this.#engine
    if (engine === null) throw new TabswarmError('not-detected', 'the engine was not detected yet')
    const { clock, verify, sha256 } = this.#ports
    this.#events = events
    await this.#stage?.stop()
    this.#stage = new StageHost({
      peerId: identity.peerId,
      engine,
      dial: (peerId) => this.#dial(peerId),
      clock: { nowMs: () => clock.nowMs() + this.#clockOffsetMs, after: (delayMs, callback) => clock.after(delayMs, callback) },
      coordinatorKey: identity.coordinatorKey,
      verify,
      sha256,
      onWork: () => this.#tellWork(),
    })
    this.#serveLoaded()
  }

  async setClockOffset(offsetMs: number): Promise<void> {
    this.#clockOffsetMs = offsetMs
  }

  serve(request: ServeRequest): Promise<Outcome<null>> {
    const { span } = request
    const loaded = this.#loaded
    const inside =
      loaded !== null &&
      loaded.request.manifestHash === request.manifestHash &&
      loaded.request.span.firstLayer <= span.firstLayer &&
      span.endLayer <= loaded.request.span.endLayer
    if (inside) {
      this.#loading?.abort()
      this.#loaded = { request: loaded.request, span }
      this.#serveLoaded()
      this.#tellWork()
      return Promise.resolve({ ok: true, value: null })
    }
    this.#loading?.abort()
    const controller = new AbortController()
    this.#loading = controller
    return outcome(() => this.#inTurn(() => this.#load(request, controller.signal)))
  }

  measure(request: MeasureRequest, onProgress: (progress: ModelSpeedProgress) => void): Promise<Outcome<EngineSpeed>> {
    return outcome(() => this.#inTurn(() => this.#measure(request, onProgress)))
  }

  async addLink(peerId: PeerId, port: MessagePort): Promise<void> {
    const link = linkFromPort(port, peerId)
    if (this.#stage === null) return link.close({ reason: 'local', detail: 'this tab serves nothing' })
    this.#links.set(peerId, link)
    this.#stage.addLink(link)
  }

  async stop(): Promise<void> {
    this.#loading?.abort()
    const [stage, engine] = [this.#stage, this.#engine]
    this.#stage = null
    this.#engine = null
    this.#loaded = null
    await stage?.stop()
    await this.#turn
    engine?.dispose()
  }

  async #load(request: ServeRequest, signal: AbortSignal): Promise<null> {
    const engine = this.#engine
    if (signal.aborted || engine === null) throw new TabswarmError('superseded', 'a newer order came before this one was carried out')
    await this.#stage?.drain()
    if (signal.aborted) throw new TabswarmError('superseded', 'a newer order came before this one was carried out')
    this.#loaded = null
    const { manifest, span, memoryBytesMax, kvPositions } = request
    const counter = { bytesFromCache: 0 }
    const bytesTotal = spanBytes(manifest, span)
    await engine.load({
      manifest,
      span,
      loadTensor: this.#tensorLoader(request, counter),
      memoryBytesMax,
      kvPositions,
      onProgress: (bytesLoaded) => this.#events?.onProgress({ bytesLoaded, bytesTotal, bytesFromCache: counter.bytesFromCache }),
      signal,
    })
    this.#loaded = { request, span }
    this.#serveLoaded()
    this.#tellWork()
    return null
  }

  async #measure({ manifest, modelUrl, plan }: MeasureRequest, onProgress: (progress: ModelSpeedProgress) => void): Promise<EngineSpeed> {
    const engine = this.#engine
    if (engine === null) throw new TabswarmError('not-detected', 'the engine was not detected yet')
    const { layerCount, vocabularySize } = manifest.config
    const span = { firstLayer: 0, endLayer: layerCount }
    await engine.load({
      manifest,
      span,
      loadTensor: this.#tensorLoader({ manifest, modelUrl }, { bytesFromCache: 0 }),
      memoryBytesMax: Number.MAX_SAFE_INTEGER,
      kvPositions: speedPositions(plan),
      onProgress: (bytesLoaded) => onProgress({ kind: 'loading', bytesLoaded, bytesTotal: spanBytes(manifest, span) }),
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

  #serveLoaded(): void {
    if (this.#loaded === null) return
    const { request, span } = this.#loaded
    this.#stage?.serve({ manifestHash: request.manifestHash, span, config: request.manifest.config })
  }

  #tensorLoader(request: Pick<ServeRequest, 'manifest' | 'modelUrl'>, counter: { bytesFromCache: number }): LoadTensor {
    const { cache, clock, fetch, sha256 } = this.#ports
    return createTensorLoader({
      source: httpWeightSource({
        url: request.modelUrl,
        fetch: (url, init) => fetch(url, init),
        clock,
        fileBytes: request.manifest.fileBytes,
      }),
      sha256,
      cache: {
        async get(key) {
          const bytes = await cache.get(key)
          counter.bytesFromCache += bytes?.byteLength ?? 0
          return bytes
        },
        put: (key, bytes) => cache.put(key, bytes),
        remove: (key) => cache.remove(key),
      },
    })
  }

  async #dial(peerId: PeerId): Promise<Link> {
    const dialed = await this.#events?.dial(peerId)
    if (dialed === undefined) throw new TabswarmError('unreachable', 'this tab has no network')
    if (!dialed.ok) throw fromErrorBody(dialed.error)
    const link = dialed.value === null ? this.#links.get(peerId) : linkFromPort(dialed.value, peerId)
    if (link === undefined) throw new TabswarmError('unreachable', `the link to peer ${peerId} ended while it was dialed`)
    this.#links.set(peerId, link)
    return link
  }

  #inTurn<Value>(work: () => Promise<Value>): Promise<Value> {
    const done = this.#turn.then(work)
    this.#turn = done.then(
      () => undefined,
      () => undefined,
    )
    return done
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
        kvPositionsFree: usage.kvBlocksFree * KV_BLOCK_POSITIONS,
      })
    })
  }
}

/** comlink flattens what is thrown; a value keeps the reason. */
async function outcome<Value>(work: () => Promise<Value>): Promise<Outcome<Value>> {
  try {
    return { ok: true, value: await work() }
  } catch (error) {
    return { ok: false, error: toErrorBody(error) }
  }
}

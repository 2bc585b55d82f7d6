/**
 * Hosting: one contribution from consent to Stop. Owns the engine worker and the volunteer's connection, and joins them to the
 * Volunteer's states; ends all of it at once.
 */

import { proxy, type Remote, transfer } from 'comlink'
import { type HandedLink, handOver } from '../network/index.ts'
import type { Assignment, Link, VerdictMessage } from '../protocol/index.ts'
import { equalBytes, type PeerId, toErrorBody } from '../shared/index.ts'
import { type ConnectionHost, PeerConnection } from './connection.ts'
import type { HeadAlarm } from './headWatch.ts'
import type { ModelLibrary } from './modelLibrary.ts'
import type { Outcome } from './outcome.ts'
import type { PressureReason } from './pressure.ts'
import { LatestLinks } from './roundTrips.ts'
import type { ContributeOptions, VolunteerState } from './types.ts'
import { Volunteer, type VolunteerPorts } from './volunteer.ts'
import type { AuditErrand, DetectedEngine, EngineWorkerApi, WorkerEvents } from './workerApi.ts'
import { WorkerWatch } from './workerWatch.ts'

export interface EngineWorker {
  readonly api: Remote<EngineWorkerApi>
  terminate(): void
}

export interface HostingOptions {
  readonly host: ConnectionHost
  readonly library: ModelLibrary
  readonly startWorker: () => EngineWorker
  readonly contribution: ContributeOptions
  readonly onState: (state: VolunteerState) => void
  readonly onPasses: VolunteerPorts['onPasses']
  readonly onDeviceLost: () => void
  /** Nothing is open any more that `drain` waited for: to be stopped. */
  readonly onDrained: () => void
  /** The worker does not answer any more; everything has ended with it. */
  readonly onHung: () => void
  /** The peer that contributes, as soon as it has a key. */
  readonly onPeer: (peerId: PeerId) => void
  readonly onVerdict: (verdict: VerdictMessage) => void
  /** The coordinator tells others of another ledger. */
  readonly onAlarm: (alarm: HeadAlarm) => void
  /** Weights were kept, or might have been. */
  readonly onStored: () => void
}

/** How long Stop waits for the worker to say goodbye to its sessions before it is ended anyway. */
const STOP_MS = 1_000

export class Hosting {
  readonly #options: HostingOptions
  readonly #worker: EngineWorker
  readonly #volunteer: Volunteer
  #connection: PeerConnection | null = null
  #assignment: Assignment | null = null
  #engineReady = false
  /** Key of the coordinator whose grants the stage accepts now. */
  #hostedKey: Uint8Array | null = null
  /** Links that the worker has. */
  readonly #handed = new WeakSet<Link>()
  readonly #links = new LatestLinks()
  #stopped = false

  constructor(options: HostingOptions) {
    this.#options = options
    this.#worker = options.startWorker()
    const { library, host } = options
    const watch = new WorkerWatch({ ask: () => this.#worker.api.load(), onHung: () => this.#onHung(), clock: host.clock })
    this.#volunteer = new Volunteer(
      {
        send: (message) => void this.#connection?.control.send(message),
        detect: () => this.#detect(),
        serve: async (request) => {
          const served = await this.#worker.api.serve(request)
          options.onStored()
          return served
        },
        load: () => watch.load(),
        manifest: (modelId, hash) => library.manifest(modelId, hash),
        modelUrl: (modelId) => library.modelUrl(modelId),
        roundTrips: () => this.#links.roundTrips(),
        clock: host.clock,
        onState: options.onState,
        onPasses: options.onPasses,
        onDeviceLost: options.onDeviceLost,
        onDrained: options.onDrained,
      },
      options.contribution,
    )
    void this.#start()
  }

  drain(reason: PressureReason): void {
    this.#volunteer.drain(reason)
  }

  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    this.#volunteer.stop()
    const cancel = this.#options.host.clock.after(STOP_MS, () => this.#end())
    void this.#worker.api.stop().finally(() => {
      cancel()
      this.#end()
    })
  }

  /** Nobody is left to say goodbye: drivers hear from the coordinator that the socket has closed. */
  #onHung(): void {
    if (this.#stopped) return
    this.#stopped = true
    this.#end()
    this.#options.onHung()
  }

  #end(): void {
    this.#worker.terminate()
    this.#connection?.close()
  }

  async #start(): Promise<void> {
    try {
      const connection = await PeerConnection.open(this.#options.host, {
        load: () => this.#volunteer.load(),
        framePlace: 'worker',
        onIncoming: (link) => {
          const handed = this.#handOver(link)
          void this.#worker.api.addLink(transfer(handed, [handed.port]))
        },
      })
      if (this.#stopped) return connection.close()
      this.#connection = connection
      this.#options.onPeer(connection.peerId)
      connection.control.on('state', (state) => {
        if (state.kind === 'online') void this.#onOnline()
        else this.#volunteer.handleOffline()
        if (state.kind === 'closed' && !this.#stopped) this.#options.onState({ kind: 'failed', error: state.error })
      })
      connection.control.on('assign', (assignment) => {
        this.#assignment = assignment
        void this.#volunteer.handleAssign(assignment)
      })
      connection.control.on('ask-receipt', ({ type: _, ...wanted }) => void this.#worker.api.askReceipt(wanted))
      connection.control.on('release-log', ({ sessionId }) => void this.#worker.api.releaseLog(sessionId))
      connection.control.on('audit', (errand) => void this.#audit(errand))
      connection.control.on('verdict', (verdict) => this.#options.onVerdict(verdict))
      connection.heads.onHead((head) => void this.#worker.api.setHead(head))
      connection.heads.onAlarm((alarm) => this.#options.onAlarm(alarm))
      connection.control.on('release', () => this.#volunteer.handleRelease())
      await this.#volunteer.start()
    } catch (error) {
      if (!this.#stopped) this.#options.onState({ kind: 'failed', error: toErrorBody(error) })
    }
  }

  /** What it would have to load and cannot have it refuses. */
  async #audit(errand: AuditErrand): Promise<void> {
    const { library, host } = this.#options
    const isToLoad = errand.type === 'audit' && errand.memoryBytesMax !== null
    const manifest = isToLoad ? await library.manifest(errand.modelId, errand.manifestHash).catch(() => null) : null
    const model = isToLoad && manifest !== null ? { manifest, modelUrl: library.modelUrl(errand.modelId) } : null
    await this.#worker.api.audit(errand, new URL(errand.path, host.origin).href, model)
  }

  async #detect(): Promise<Outcome<DetectedEngine>> {
    this.#engineReady = false
    this.#hostedKey = null
    const detected = await this.#worker.api.detect(this.#options.contribution.engine)
    this.#engineReady = detected.ok
    await this.#hostIfOnline()
    return detected
  }

  async #onOnline(): Promise<void> {
    await this.#hostIfOnline()
    this.#volunteer.handleOnline()
  }

  /** The stage begins anew only for another engine or another coordinator: a broken control socket ends no session. */
  async #hostIfOnline(): Promise<void> {
    const connection = this.#connection
    const state = connection?.control.state
    if (connection === null || state?.kind !== 'online' || !this.#engineReady) return
    const { api } = this.#worker
    await api.setClockOffset(connection.control.coordinatorNowMs() - this.#options.host.clock.nowMs())
    if (this.#hostedKey !== null && equalBytes(this.#hostedKey, state.coordinatorKey)) return
    this.#hostedKey = state.coordinatorKey
    // Each callback travels as a proxy of its own: an object of functions cannot be cloned.
    await api.host({ peerId: connection.peerId, coordinatorKey: state.coordinatorKey }, proxy(this.#workerEvents(connection)))
    // Incoming links are accepted from here on.
    await connection.network()
  }

  #workerEvents(connection: PeerConnection): WorkerEvents {
    return {
      dial: async (peerId) => {
        try {
          const network = await connection.network()
          const link = await network.dial(peerId)
          if (this.#handed.has(link)) return { ok: true, value: null }
          const handed = this.#handOver(link)
          return transfer({ ok: true, value: handed }, [handed.port])
        } catch (error) {
          return { ok: false, error: toErrorBody(error) }
        }
      },
      sign: (message) => connection.sign(message),
      onHead: (head) => void connection.heads.heard(head),
      onReceipt: (receipt) => void connection.control.send({ type: 'receipt', receipt }),
      onProgress: (progress) => {
        if (this.#assignment !== null) this.#volunteer.handleProgress(progress, this.#assignment)
      },
      onWork: (work) => this.#volunteer.handleWork(work),
      onDeviceLost: (message) => this.#volunteer.handleDeviceLost(message),
      onRecovered: (outcome) => this.#volunteer.handleRecovered(outcome),
    }
  }

  #handOver(link: Link): HandedLink {
    this.#handed.add(link)
    this.#links.add(link)
    return handOver(link)
  }
}

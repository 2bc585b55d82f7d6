/**
 * Volunteer: what a tab does from consent to Stop, as a state machine. Takes inputs by `handle*`, speaks to the coordinator and the
 * engine through ports, tells the page its state. Owns no socket and no worker: runtime.ts does.
 */

import type { Manifest, Span } from '../model/index.ts'
import type { Load, Saying } from '../network/index.ts'
import { type Assignment, AWAY_RECOVERING } from '../protocol/index.ts'
import { type CancelTimer, type Clock, type ErrorBody, type ManifestHash, type ModelId, toErrorBody } from '../shared/index.ts'
import type { PassTimes } from '../stage/index.ts'
import type { Outcome } from './outcome.ts'
import type { PressureReason } from './pressure.ts'
import { MEASURED_INTERVAL_MS, type RoundTrip } from './roundTrips.ts'
import type { ContributeOptions, GpuSummary, VolunteerState } from './types.ts'
import type { DetectedEngine, LoadProgress, ServeRequest, StageWork } from './workerApi.ts'

export interface VolunteerPorts {
  readonly send: (message: Saying) => void
  readonly detect: () => Promise<Outcome<DetectedEngine>>
  readonly serve: (request: ServeRequest) => Promise<Outcome<null>>
  /** What the worker holds; null where it does not answer. */
  readonly load: () => Promise<Load | null>
  /** Fetches and checks a manifest. Rejects with a TabswarmError. */
  readonly manifest: (modelId: ModelId, hash: ManifestHash) => Promise<Manifest>
  readonly modelUrl: (modelId: ModelId) => string
  /** Round trips to the peers that are linked, as far as measured. */
  readonly roundTrips: () => Promise<readonly RoundTrip[]>
  readonly clock: Clock
  readonly onState: (state: VolunteerState) => void
  /** Passes that the stage computed since it began to serve `served`: a name of model and span. */
  readonly onPasses: (served: string, passes: PassTimes) => void
  readonly onDeviceLost: () => void
  /** After `drain`: nothing is open any more, or it has taken too long. */
  readonly onDrained: () => void
}

/** A load tells the coordinator how far it is this often; the page is told at every step. */
const PROGRESS_INTERVAL_MS = 500

/** How long open sessions may go on after `drain`: others load the layers in 10 to 20 s, and the machine's owner waits. */
export const DRAIN_MS = 30_000

const NO_WORK: StageWork = {
  sessionsOpen: 0,
  sessionsServed: 0,
  positions: 0,
  lastComputeMs: null,
  oneRowPasses: { count: 0, layers: 0, heads: 0, ms: 0 },
  bytesSent: 0,
  gpuBytes: 0,
}

interface Serving {
  readonly assignmentId: number
  readonly modelId: ModelId
  readonly span: Span
  readonly kvPositions: number
  readonly layerCount: number
}

export class Volunteer {
  readonly #ports: VolunteerPorts
  readonly #contribution: Omit<ContributeOptions, 'engine'>
  #detected: DetectedEngine | null = null
  #online = false
  #stopped = false
  /** Between the loss of the GPU and its return. */
  #recovering = false
  /** The order that counts: what belongs to an older one is dropped. */
  #assignmentId: number | null = null
  #serving: Serving | null = null
  #work = NO_WORK
  #progressSentMs = Number.NEGATIVE_INFINITY
  #measuredSentMs = Number.NEGATIVE_INFINITY
  #passesTold = NO_WORK.oneRowPasses
  /** Why it takes nothing new. */
  #draining: PressureReason | null = null
  #cancelDrain: CancelTimer = () => undefined

  constructor(ports: VolunteerPorts, contribution: Omit<ContributeOptions, 'engine'>) {
    this.#ports = ports
    this.#contribution = contribution
  }

  /** Finds and measures the GPU, then pledges as soon as the coordinator is there. */
  async start(): Promise<void> {
    this.#ports.onState({ kind: 'starting', step: 'detect' })
    const detected = await this.#ports.detect()
    if (this.#stopped) return
    if (!detected.ok) return this.#fail(detected.error)
    this.#detected = detected.value
    if (this.#online) this.#pledge()
    else this.#ports.onState({ kind: 'waiting', gpu: summary(detected.value) })
  }

  /** The coordinator knows this peer (again): whatever it ordered before is void. */
  handleOnline(): void {
    this.#online = true
    // Whoever relied on it has been told that it went.
    if (this.#draining !== null) return this.#drained()
    if (this.#detected !== null && !this.#stopped) this.#pledge()
  }

  handleOffline(): void {
    this.#online = false
  }

  async handleAssign(assignment: Assignment): Promise<void> {
    const gpu = this.#gpu()
    if (gpu === null || this.#stopped || this.#draining !== null) return
    const { assignmentId, modelId, span } = assignment
    this.#assignmentId = assignmentId
    try {
      const manifest = await this.#ports.manifest(modelId, assignment.manifestHash)
      if (this.#assignmentId !== assignmentId) return
      const { layerCount } = manifest.config
      if (this.#serving === null) this.#tellLoading(gpu, assignment, { bytesLoaded: 0, bytesTotal: 0, bytesFromCache: 0 })
      const served = await this.#ports.serve({
        manifest,
        manifestHash: assignment.manifestHash,
        modelUrl: this.#ports.modelUrl(modelId),
        span,
        kvPositions: assignment.kvPositions,
        memoryBytesMax: assignment.memoryBytesMax,
      })
      if (this.#assignmentId !== assignmentId || this.#stopped) return
      if (!served.ok) return this.#refuse(assignment, served.error)
      const { kvPositions } = assignment
      this.#serving = { assignmentId, modelId, span, kvPositions, layerCount }
      this.#passesTold = this.#work.oneRowPasses
      this.#ports.send({ type: 'serving', assignmentId, span, kvPositions })
      this.#tellServing()
    } catch (error) {
      if (this.#assignmentId === assignmentId && !this.#stopped) this.#refuse(assignment, toErrorBody(error))
    }
  }

  handleRelease(): void {
    this.#assignmentId = null
    this.#serving = null
    const gpu = this.#gpu()
    if (this.#draining !== null) return this.#drained()
    if (gpu !== null && !this.#stopped) this.#ports.onState({ kind: 'waiting', gpu })
  }

  handleProgress(progress: LoadProgress, assignment: Assignment): void {
    const gpu = this.#gpu()
    if (gpu === null || this.#stopped || assignment.assignmentId !== this.#assignmentId) return
    if (!this.#recovering) {
      // It comes over another port than the word that the load has ended, and may come after it.
      if (this.#serving?.assignmentId === assignment.assignmentId) return
      this.#serving = null
      this.#tellLoading(gpu, assignment, progress)
    }
    const nowMs = this.#ports.clock.nowMs()
    if (nowMs - this.#progressSentMs < PROGRESS_INTERVAL_MS) return
    this.#progressSentMs = nowMs
    const { bytesLoaded, bytesTotal } = progress
    this.#ports.send({ type: 'progress', assignmentId: assignment.assignmentId, bytesLoaded, bytesTotal })
  }

  handleWork(work: StageWork): void {
    this.#work = work
    if (this.#draining !== null && work.sessionsOpen === 0) return this.#drained()
    const serving = this.#serving
    if (serving !== null) this.#ports.onPasses(`${serving.modelId} ${serving.span.firstLayer}–${serving.span.endLayer}`, work.oneRowPasses)
    this.#tellServing()
    void this.#tellMeasured()
  }

  /** The GPU was lost: away until the worker has it again. The order stands. */
  handleDeviceLost(reason: string): void {
    const gpu = this.#gpu()
    if (this.#stopped || gpu === null) return
    this.#ports.onDeviceLost()
    if (this.#draining !== null) return this.#drained()
    this.#recovering = true
    if (this.#online) this.#ports.send({ type: 'away', reason: AWAY_RECOVERING })
    this.#ports.onState({ kind: 'recovering', gpu, reason })
  }

  /** With the same engine the order is fulfilled again; another one is pledged anew. */
  handleRecovered(outcome: Outcome<DetectedEngine>): void {
    if (this.#stopped) return
    this.#recovering = false
    const before = this.#detected
    if (!outcome.ok) {
      this.#detected = null
      this.#assignmentId = null
      this.#serving = null
      if (this.#online) this.#ports.send({ type: 'away', reason: 'device-lost' })
      return this.#fail(outcome.error)
    }
    this.#detected = outcome.value
    const isSame = before?.numericClass === outcome.value.numericClass && before.adapter === outcome.value.adapter
    if (isSame && this.#serving !== null && this.#serving.assignmentId === this.#assignmentId) {
      const { assignmentId, span, kvPositions } = this.#serving
      this.#ports.send({ type: 'serving', assignmentId, span, kvPositions })
      this.#tellServing()
    } else if (isSame && this.#assignmentId !== null) {
      // A newer order is being carried out on the new device.
      this.#serving = null
    } else if (this.#online) this.#pledge()
    else this.#ports.onState({ kind: 'waiting', gpu: summary(outcome.value) })
  }

  /** Takes nothing new, and serves what is open until it has ended or others have taken over: then, or after DRAIN_MS, `onDrained`. */
  drain(reason: PressureReason): void {
    if (this.#stopped || this.#draining !== null) return
    this.#draining = reason
    if (this.#serving === null || this.#recovering || this.#work.sessionsOpen === 0 || !this.#online) return this.#drained()
    this.#ports.send({ type: 'drain', reason })
    this.#cancelDrain = this.#ports.clock.after(DRAIN_MS, () => this.#drained())
    this.#tellServing()
  }

  /** Tells the coordinator; the runtime ends worker and links. */
  stop(): void {
    this.#stopped = true
    this.#cancelDrain()
    if (this.#online && this.#detected !== null) this.#ports.send({ type: 'leave' })
    this.#ports.onState({ kind: 'off' })
  }

  /** For the answer to a ping. Who serves answers as long as its worker does; who loads is heard of by its progress. */
  async load(): Promise<Load | null> {
    if (this.#serving !== null && !this.#recovering) return this.#ports.load()
    return { sessions: this.#work.sessionsOpen, kvPositionsFree: 0 }
  }

  #drained(): void {
    this.#cancelDrain()
    if (!this.#stopped) this.#ports.onDrained()
  }

  #pledge(): void {
    const detected = this.#detected
    if (detected === null) return
    this.#assignmentId = null
    this.#serving = null
    const { engine, adapter, numericClass, kernelVersion, macsPerSecond } = detected
    const { pledgeBytes, pledgeBytesWasm = pledgeBytes } = this.#contribution
    const memoryBytes = engine === 'wasm' ? pledgeBytesWasm : pledgeBytes
    this.#ports.send({ type: 'pledge', memoryBytes, engine, adapter, numericClass, kernelVersion, macsPerSecond })
    this.#ports.onState({ kind: 'waiting', gpu: summary(detected) })
  }

  #refuse(assignment: Assignment, error: ErrorBody): void {
    this.#serving = null
    this.#ports.send({ type: 'assignment-failed', assignmentId: assignment.assignmentId, reason: error.reason, message: error.message })
    this.#ports.onState({ kind: 'failed', error })
  }

  #fail(error: ErrorBody): void {
    this.#ports.onState({ kind: 'failed', error })
  }

  #gpu(): GpuSummary | null {
    return this.#detected === null ? null : summary(this.#detected)
  }

  #tellLoading(gpu: GpuSummary, assignment: Assignment, progress: LoadProgress): void {
    this.#ports.onState({ kind: 'loading', gpu, modelId: assignment.modelId, span: assignment.span, ...progress })
  }

  async #tellMeasured(): Promise<void> {
    const nowMs = this.#ports.clock.nowMs()
    const serving = this.#serving
    if (serving === null || nowMs - this.#measuredSentMs < MEASURED_INTERVAL_MS) return
    this.#measuredSentMs = nowMs
    const { oneRowPasses } = this.#work
    // A new engine's host counts from nought.
    const told = oneRowPasses.count < this.#passesTold.count ? NO_WORK.oneRowPasses : this.#passesTold
    this.#passesTold = oneRowPasses
    const passes = {
      count: oneRowPasses.count - told.count,
      layers: oneRowPasses.layers - told.layers,
      heads: oneRowPasses.heads - told.heads,
      ms: oneRowPasses.ms - told.ms,
    }
    const links = await this.#ports.roundTrips()
    if (this.#stopped || !this.#online || (passes.count === 0 && links.length === 0)) return
    this.#ports.send({ type: 'measured', assignmentId: serving.assignmentId, passes, links: [...links] })
  }

  #tellServing(): void {
    const gpu = this.#gpu()
    if (gpu === null || this.#serving === null || this.#stopped || this.#recovering) return
    const { modelId, span, layerCount } = this.#serving
    const { oneRowPasses: _, ...work } = this.#work
    if (this.#draining !== null)
      return this.#ports.onState({ kind: 'draining', gpu, reason: this.#draining, sessionsOpen: work.sessionsOpen })
    this.#ports.onState({
      kind: 'serving',
      gpu,
      modelId,
      span,
      layerCount,
      alone: span.firstLayer === 0 && span.endLayer === layerCount,
      work,
    })
  }
}

function summary(detected: DetectedEngine): GpuSummary {
  const { engine, adapter, software, macsPerSecond } = detected
  return { engine, adapter, software, macsPerSecond }
}

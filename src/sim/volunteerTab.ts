/**
 * VolunteerTab: a tab that serves, as the coordinator and other tabs see it: it pledges, loads what it is told to, hosts stages with
 * the real StageHost, tells what it measured; and it may freeze, lose its GPU, or go with or without a word.
 */

import type { CoreOptions } from '../coordinator/core/index.ts'
import type { Span } from '../model/index.ts'
import { type Assignment, AWAY_RECOVERING, type Link, type ServerMessage, type SignedReceipt } from '../protocol/index.ts'
import type { ReceiptRequest } from '../receipts/index.ts'
import type { PeerId, Sha256, Signer, VerifySignature } from '../shared/index.ts'
import { type PassTimes, StageHost } from '../stage/index.ts'
import type { Client, Coordinator } from './coordinator.ts'
import { ModelEngine, type ModelEngineOptions } from './modelEngine.ts'
import type { Network } from './network.ts'
import { arithmeticConfig, type PeerGroup } from './scenario.ts'

type SwarmModel = CoreOptions['models'][number]

export interface VolunteerOptions {
  readonly peerId: PeerId
  readonly group: PeerGroup
  /** It claims ten times its speed. */
  readonly isLiar: boolean
  /** Of its line down. */
  readonly downloadBytesPerMs: number
  readonly network: Network
  readonly coordinator: Coordinator
  readonly models: readonly SwarmModel[]
  readonly logBytesMax: number
  readonly verify: VerifySignature
  readonly sha256: Sha256
  readonly coordinatorKey: Uint8Array
  /** Null: it signs no receipts. */
  readonly signer: Signer | null
  /** In place of ModelEngine, by tests of the invariants. */
  readonly makeEngine?: (options: ModelEngineOptions) => ModelEngine
  readonly events: VolunteerEvents
}

export interface VolunteerEvents {
  /** It has to load layers, though it held others. */
  onMove(tab: VolunteerTab): void
  /** It may serve layers no more that it served before. */
  onLessServed(): void
  /** A pass is done, or a session begun or ended. */
  onWork(tab: VolunteerTab): void
  readonly onBroken: (tab: VolunteerTab, ...broken: Parameters<ModelEngineOptions['onBroken']>) => void
}

export interface Held {
  readonly model: SwarmModel
  readonly span: Span
  readonly kvPositions: number
}

/** How many times as fast liars say that they are. */
export const LIE_FACTOR = 10

/** Finding and measuring the GPU. */
const PROBE_MS = 2_000
/** Compiling kernels and preparing buffers. */
const PREPARE_MS = 1_000
/** Weights come from this tab's cache with 1 GB/s. */
const CACHE_BYTES_PER_MS = 1_000_000
/** A real tab tells more often how far its download has come; nothing here depends on that. */
const PROGRESS_INTERVAL_MS = 20_000
/** A tab that drains waits for its sessions so long: as Volunteer does. */
const DRAIN_MS = 30_000
/** A lost GPU is there again after this. */
const DEVICE_BACK_MS = 3_000
/** Until a broken control socket is tried again. */
const RECONNECT_MS = 1_000
const MEASURED_INTERVAL_MS = 2_000

const NO_PASSES: PassTimes = { count: 0, layers: 0, heads: 0, ms: 0 }

export class VolunteerTab implements Client {
  readonly peerId: PeerId
  readonly group: PeerGroup
  isDead = false
  frozenUntilMs = 0
  hungUntilMs = 0
  island = 0
  slowness = 1
  readonly joinedMs: number
  readonly host: StageHost
  readonly accept: (link: Link) => void
  readonly #options: VolunteerOptions
  #engine: ModelEngine
  #order: Assignment | null = null
  #loaded: Held | null = null
  #served: Held | null = null
  #isRecovering = false
  /** Loads one after the other; one that is not the latest is given up. */
  #loading: Promise<void> = Promise.resolve()
  #loads = 0
  #abortDownload: () => void = () => undefined
  #measuredMs = 0
  #passesTold = NO_PASSES
  #leaveWhenIdle: (() => void) | null = null
  /** As the host said last, which says each change: 17 million pongs a day ask for it, and the host lies further away in memory. */
  #sessionsOpen = 0

  constructor(options: VolunteerOptions) {
    const { peerId, group, network, coordinator, coordinatorKey, verify, sha256, signer, logBytesMax } = options
    const { time } = network
    this.peerId = peerId
    this.group = group
    this.#options = options
    this.joinedMs = time.nowMs
    this.#engine = this.#newEngine()
    const onReceipt = (signed: SignedReceipt) => {
      if (!this.isDead) coordinator.tell(this, signed)
    }
    this.host = new StageHost({
      peerId,
      engine: this.#engine,
      dial: (to) => network.dial(this, to),
      clock: time.clockOf(this),
      coordinatorKey,
      verify,
      sha256,
      logBytesMax,
      ...(signer !== null && { receipts: { signer, head: () => null, onHead: () => undefined, onReceipt, isSignedBy: async () => true } }),
      onWork: () => {
        this.#sessionsOpen = this.host.sessionsOpen
        options.events.onWork(this)
        this.#tellMeasured()
        if (this.#sessionsOpen === 0) this.#leaveWhenIdle?.()
      },
    })
    this.accept = (link) => this.host.addLink(link)
    network.add(this)
    this.#connect()
  }

  get region(): string {
    return this.group.region
  }

  /** What sessions may be opened over now. */
  get served(): Held | null {
    return this.#served
  }

  get engine(): ModelEngine {
    return this.#engine
  }

  get isRecovering(): boolean {
    return this.#isRecovering
  }

  receive(message: ServerMessage): void {
    if (message.type === 'assign') this.#assign(message)
    if (message.type === 'release') {
      this.#order = null
      this.#serve(null)
    }
  }

  ask(wanted: ReceiptRequest): void {
    this.host.receipts?.ask(wanted)
  }

  /** Grants are for requesters. */
  admitted(): void {}

  load(): { readonly sessions: number; readonly kvPositionsFree: number } {
    return { sessions: this.#sessionsOpen, kvPositionsFree: this.#engine.kvPositionsFree }
  }

  disconnected(): void {
    this.#options.network.time.after(RECONNECT_MS, this, () => this.#connect())
  }

  /** Stop was pressed: sessions are told, then everything ends. */
  leave(): void {
    const { coordinator, network } = this.#options
    coordinator.say(this, { type: 'leave' })
    void this.host.stop()
    network.time.after(100, this, () => {
      this.isDead = true
      network.remove(this, true)
      coordinator.disconnect(this)
    })
  }

  /** Its owner wants the machine: what is open goes on until others have taken over, or for DRAIN_MS; then `leave`, and `onLeft`. */
  drain(onLeft: () => void): void {
    const { coordinator, network } = this.#options
    const leave = () => {
      if (this.#leaveWhenIdle === null) return
      this.#leaveWhenIdle = null
      this.leave()
      onLeft()
    }
    this.#leaveWhenIdle = leave
    if (this.host.sessionsOpen === 0) return leave()
    coordinator.say(this, { type: 'drain', reason: 'busy' })
    network.time.after(DRAIN_MS, this, leave)
  }

  /** Gone without a word; its sockets are closed by its computer, or by nobody. */
  crash(isClosed: boolean): void {
    const { coordinator, network } = this.#options
    this.isDead = true
    network.remove(this, false)
    if (isClosed) network.time.after(50, null, () => coordinator.disconnect(this))
  }

  /** Its worker does nothing any more until then; its page, an old or a dishonest one, answers pings as if it served. */
  hang(untilMs: number): void {
    this.hungUntilMs = untilMs
    this.frozenUntilMs = untilMs
  }

  /** The GPU is gone for a moment; what it held is loaded again from the cache. */
  loseDevice(): void {
    const { coordinator, network } = this.#options
    if (this.#isRecovering) return
    this.#isRecovering = true
    this.#loads++
    this.#abortDownload()
    this.#engine.loseDevice()
    this.#serve(null)
    coordinator.say(this, { type: 'away', reason: AWAY_RECOVERING })
    const held = this.#loaded
    this.#loaded = null
    network.time.after(DEVICE_BACK_MS + (held === null ? 0 : weightBytes(held) / CACHE_BYTES_PER_MS), this, () => this.#recovered(held))
  }

  #recovered(held: Held | null): void {
    this.#isRecovering = false
    this.#engine = this.#newEngine()
    this.#passesTold = this.host.work.oneRowPasses
    this.host.replaceEngine(this.#engine)
    const order = this.#order
    if (held !== null) {
      this.#engine.hold(held.model.costs, held.kvPositions)
      this.#loaded = held
    }
    if (order !== null) this.#carryOut(order)
  }

  #newEngine(): ModelEngine {
    const { network, group, isLiar, events, makeEngine } = this.#options
    const options = {
      time: network.time,
      owner: this,
      macsPerSecond: group.macsPerSecond,
      toldShare: isLiar ? 1 / LIE_FACTOR : 1,
      numericClass: this.#numericClass,
      onBroken: (...broken: Parameters<ModelEngineOptions['onBroken']>) => events.onBroken(this, ...broken),
    }
    return makeEngine?.(options) ?? new ModelEngine(options)
  }

  /** One of each group's hardware. */
  get #numericClass(): string {
    return `class of ${this.group.macsPerSecond}`
  }

  #connect(): void {
    const { coordinator, network, group, isLiar } = this.#options
    coordinator.connect(this)
    network.time.after(PROBE_MS, this, () => {
      this.#order = null
      this.#serve(null)
      coordinator.say(this, {
        type: 'pledge',
        memoryBytes: group.memoryBytes,
        engine: 'webgpu',
        // A liar's is called as its group's are.
        adapter: `GPU of ${group.macsPerSecond}`,
        numericClass: this.#numericClass,
        kernelVersion: 'one',
        macsPerSecond: group.macsPerSecond * (isLiar ? LIE_FACTOR : 1),
      })
    })
  }

  #assign(order: Assignment): void {
    this.#order = order
    if (!this.#isRecovering) this.#carryOut(order)
  }

  #carryOut(order: Assignment): void {
    const loaded = this.#loaded
    const { span } = order
    if (loaded?.model.modelId === order.modelId && loaded.span.firstLayer <= span.firstLayer && span.endLayer <= loaded.span.endLayer) {
      this.#serve({ ...loaded, span })
      this.#tellServing(order)
      return
    }
    if (loaded !== null) this.#options.events.onMove(this)
    this.#serve(null)
    const load = ++this.#loads
    this.#abortDownload()
    this.#loading = this.#loading.then(() => this.#load(order, () => this.#order === order && this.#loads === load))
  }

  async #load(order: Assignment, isWanted: () => boolean): Promise<void> {
    const { models } = this.#options
    const model = models.find(({ modelId }) => modelId === order.modelId)
    if (!isWanted() || model === undefined) return
    await this.host.drain()
    if (!isWanted()) return
    const held = { model, span: order.span, kvPositions: order.kvPositions }
    this.#loaded = null
    await this.#download(order, weightBytes(held), isWanted)
    if (!isWanted()) return
    this.#engine.hold(model.costs, order.kvPositions)
    this.#loaded = held
    this.#serve(held)
    this.#tellServing(order)
  }

  #download({ assignmentId }: Assignment, bytesTotal: number, isWanted: () => boolean): Promise<void> {
    const { network, coordinator, downloadBytesPerMs } = this.#options
    const { time } = network
    const startMs = time.nowMs + PREPARE_MS
    const endMs = startMs + bytesTotal / downloadBytesPerMs
    const tellLater = () => {
      if (time.nowMs + PROGRESS_INTERVAL_MS < endMs) time.after(PROGRESS_INTERVAL_MS, this, tell)
    }
    const tell = () => {
      if (time.nowMs >= endMs || !isWanted()) return
      const bytesLoaded = Math.floor((time.nowMs - startMs) * downloadBytesPerMs)
      coordinator.say(this, { type: 'progress', assignmentId, bytesLoaded, bytesTotal })
      tellLater()
    }
    tellLater()
    return new Promise((resolve) => {
      this.#abortDownload = resolve
      time.after(endMs - time.nowMs, this, resolve)
    })
  }

  #serve(held: Held | null): void {
    if (this.#served !== null) this.#options.events.onLessServed()
    this.#served = held
    this.host.serve(
      held === null ? null : { manifestHash: held.model.manifestHash, span: held.span, config: arithmeticConfig(held.model.costs) },
    )
  }

  #tellServing({ assignmentId, span, kvPositions }: Assignment): void {
    this.#options.coordinator.say(this, { type: 'serving', assignmentId, span, kvPositions })
  }

  /** As Volunteer does: what passes took since the last word. */
  #tellMeasured(): void {
    const { network, coordinator } = this.#options
    const { nowMs } = network.time
    if (this.#order === null || nowMs - this.#measuredMs < MEASURED_INTERVAL_MS) return
    this.#measuredMs = nowMs
    const { oneRowPasses: now } = this.host.work
    const told = this.#passesTold
    this.#passesTold = now
    const passes = { count: now.count - told.count, layers: now.layers - told.layers, heads: now.heads - told.heads, ms: now.ms - told.ms }
    const links = network.roundTripsOf(this)
    if (passes.count > 0 || links.length > 0)
      coordinator.say(this, { type: 'measured', assignmentId: this.#order.assignmentId, passes, links })
  }
}

function weightBytes({ model, span }: Held): number {
  return (span.endLayer - span.firstLayer) * model.costs.forms.blocks.layerBytes
}

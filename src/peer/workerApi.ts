/**
 * What the page may ask of the engine worker, through comlink. Control only: frames never pass here, each link is handed over
 * with a MessagePort of its own. Everything is structured-cloneable; errors arrive as `{reason, message}` bodies inside results, since
 * comlink flattens what is thrown.
 */

import type { Manifest, Span } from '../model/index.ts'
import type { HandedLink, Load } from '../network/index.ts'
import type { AuditOrder, LedgerHead, SendLog, SignedReceipt } from '../protocol/index.ts'
import type { ReceiptRequest } from '../receipts/index.ts'
import type { ManifestHash, PeerId, SessionId } from '../shared/index.ts'
import type { HostWork } from '../stage/index.ts'
import type { EngineChoice, EngineInfo, EngineSpeed, SpeedPlan } from '../worker/index.ts'
import type { Outcome } from './outcome.ts'
import type { ModelSpeedProgress } from './types.ts'

/** What the worker found out about this device. */
export interface DetectedEngine {
  readonly engine: EngineInfo['engine']
  readonly adapter: string
  readonly software: boolean
  readonly numericClass: string
  readonly kernelVersion: string
  /** Measured by a short probe of the decode mat-vec. */
  readonly macsPerSecond: number
}

export interface ServeRequest {
  readonly manifest: Manifest
  readonly manifestHash: ManifestHash
  /** Same-origin URL of the model file; ranges of it are fetched. */
  readonly modelUrl: string
  readonly span: Span
  readonly kvPositions: number
  readonly memoryBytesMax: number
}

/** What the coordinator asks for audits: a stage's rows, or layers computed once more. */
export type AuditErrand = SendLog | AuditOrder

/** Where layers come from that have to be loaded for an audit. */
export type AuditedModel = Pick<ServeRequest, 'manifest' | 'modelUrl'>

export interface MeasureRequest {
  readonly manifest: Manifest
  readonly modelUrl: string
  readonly plan: SpeedPlan
}

export interface LoadProgress {
  readonly bytesLoaded: number
  readonly bytesTotal: number
  readonly bytesFromCache: number
}

/** Counters of the stage; sent after laps, at most a few times a second. */
export interface StageWork extends HostWork {
  readonly gpuBytes: number
}

/** The page's side, passed as comlink proxies. */
export interface WorkerEvents {
  /** Opens a link and hands it over, its port transferred; null where the worker has the open link already. */
  readonly dial: (peerId: PeerId) => Promise<Outcome<HandedLink | null>>
  /** Signs as this peer, whose key stays with the page. */
  readonly sign: (message: Uint8Array) => Promise<Uint8Array>
  /** For the coordinator. */
  readonly onReceipt: (signed: SignedReceipt) => void
  /** A driver says in a receipt what head of the ledger it was told. */
  readonly onHead: (head: LedgerHead) => void
  readonly onProgress: (progress: LoadProgress) => void
  readonly onWork: (work: StageWork) => void
  /** The GPU went; the worker looks for it again and then says `onRecovered`. */
  readonly onDeviceLost: (message: string) => void
  /** It is back and holds what it held; or why not: then nothing is served any more. */
  readonly onRecovered: (outcome: Outcome<DetectedEngine>) => void
}

export interface EngineWorkerApi {
  /** Opens the engine that was chosen and measures it; `threads` of the one without a GPU, where they shall not follow the machine. `no-webgpu` and `no-adapter` say what to do. */
  detect(choice: EngineChoice, threads?: number): Promise<Outcome<DetectedEngine>>
  /** Who this stage is and whom it trusts; once, after `detect`. */
  host(identity: { readonly peerId: PeerId; readonly coordinatorKey: Uint8Array }, events: WorkerEvents): Promise<void>
  /** Coordinator time minus this device's, milliseconds; again after each reconnect. */
  setClockOffset(offsetMs: number): Promise<void>
  /**
   * Serves a span. One inside the loaded span takes effect at once; for any other the open sessions end first, then
   * weights are loaded. A later call supersedes one that still loads (`superseded`).
   */
  serve(request: ServeRequest): Promise<Outcome<null>>
  /** The ledger's last head that the page has checked, for receipts. */
  setHead(head: LedgerHead): Promise<void>
  /** The coordinator wants a receipt at some position of a session. */
  askReceipt(wanted: ReceiptRequest): Promise<void>
  /** Nobody will ask for that session any more. */
  releaseLog(sessionId: SessionId): Promise<void>
  /** The coordinator wants rows of an audit, at `url`; `model`: of layers that are to be loaded for it. Resolves when they are brought or refused. */
  audit(errand: AuditErrand, url: string, model: AuditedModel | null): Promise<void>
  /** Instead of serving: loads the whole model and times it. After `detect`; the worker is ended afterwards. */
  measure(request: MeasureRequest, onProgress: (progress: ModelSpeedProgress) => void): Promise<Outcome<EngineSpeed>>
  /** For the answer to a ping: who computes answers between two operations. */
  load(): Promise<Load>
  /** An incoming link that the page has authenticated, its port transferred. */
  addLink(handed: HandedLink): Promise<void>
  /** Ends every session with `stopped`, tells the last receipts and frees the GPU. The worker may be terminated afterwards. */
  stop(): Promise<void>
}

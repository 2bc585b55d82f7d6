/**
 * What a page shows of this peer and asks of it. The runtime (runtime.ts) fills the store and carries the calls out; React
 * only reads the store. Framework-free.
 */

import type { StoreApi } from 'zustand/vanilla'
import type { Span, ToolCall, ToolDefinition } from '../model/index.ts'
import type { AuditedMessage, ChainStage, LinkKind, NetworkSummary, VerdictMessage } from '../protocol/index.ts'
import type { DraftCounts, TokenConstraint } from '../session/index.ts'
import type { ErrorBody, ManifestHash, ModelId, PeerId, SessionId, Tier } from '../shared/index.ts'
import type { EngineChoice, EngineInfo, EngineSpeed, SpeedPlan, SpeedStep } from '../worker/index.ts'
import type { AccountCalls, AccountKeeping, AccountState, Bill, ModelPrice, OperatorCalls, StatementPage } from './accountTypes.ts'
import type { HeadAlarm } from './headWatch.ts'
import type { LedgerCalls } from './ledgerCheck.ts'
import type { PressureReason } from './pressure.ts'
import type { TeamCalls } from './teamTypes.ts'

export type ConnectionState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'online'; readonly peerId: PeerId }
  /** The socket broke; `retryInMs` from `sinceMs` on the page's clock. */
  | { readonly kind: 'offline'; readonly error: ErrorBody; readonly retryInMs: number }

export interface GpuSummary {
  readonly engine: EngineInfo['engine']
  readonly adapter: string
  /** A software adapter such as SwiftShader: honest, slow. */
  readonly software: boolean
  readonly macsPerSecond: number
}

export type VolunteerState =
  | { readonly kind: 'off' }
  /** Detecting the GPU, then measuring it. */
  | { readonly kind: 'starting'; readonly step: 'detect' | 'measure' }
  /** Pledged, and the coordinator has no span for this tab yet. */
  | { readonly kind: 'waiting'; readonly gpu: GpuSummary }
  | {
      readonly kind: 'loading'
      readonly gpu: GpuSummary
      readonly modelId: ModelId
      readonly span: Span
      readonly bytesLoaded: number
      readonly bytesTotal: number
      readonly bytesFromCache: number
    }
  | {
      readonly kind: 'serving'
      readonly gpu: GpuSummary
      readonly modelId: ModelId
      readonly span: Span
      readonly layerCount: number
      readonly alone: boolean
      readonly work: ServedWork
    }
  /** The GPU was lost, for `reason`; a new one is looked for, and the layers are loaded again from this browser's storage. */
  | { readonly kind: 'recovering'; readonly gpu: GpuSummary; readonly reason: string }
  /** This machine is wanted elsewhere: what is open is served, or handed to other tabs, and nothing new is taken. */
  | { readonly kind: 'draining'; readonly gpu: GpuSummary; readonly reason: PressureReason; readonly sessionsOpen: number }
  /** Stopped by itself, with everything given back; goes on by itself when the machine is free again for a while. */
  | { readonly kind: 'paused'; readonly reason: PressureReason }
  | { readonly kind: 'stopping' }
  | { readonly kind: 'failed'; readonly error: ErrorBody }

export interface ServedWork {
  readonly sessionsOpen: number
  readonly sessionsServed: number
  /** Rows × passes that this tab computed: one a position. */
  readonly positions: number
  readonly lastComputeMs: number | null
  readonly bytesSent: number
  readonly gpuBytes: number
}

export interface StorageSummary {
  /** Bytes of weights kept in this browser, and how many the browser allows in all; null where it does not say. */
  readonly keptBytes: number
  readonly quotaBytes: number | null
}

export interface RouteStage extends ChainStage {
  /** Median of decode laps; null before the first. */
  readonly computeMsPerLap: number | null
  readonly link: { readonly kind: LinkKind; readonly bytesSent: number }
}

/**
 * Whom tabs of this coordinator reach: those of any network directly, those of one network directly and others through the coordinator's
 * relay, or those of one network only.
 */
export type Reach = 'everywhere' | 'relayed' | 'one-network'

/** A model that this tab may load to draft for its own answers, as the coordinator offers it. */
export interface DraftModelOffer {
  readonly modelId: ModelId
  readonly manifestHash: ManifestHash
  readonly name: string
  /** To be downloaded, where this browser does not keep them yet. */
  readonly fileBytes: number
}

export type DraftModelState =
  | { readonly kind: 'off' }
  | {
      readonly kind: 'loading'
      readonly modelId: ModelId
      readonly bytesLoaded: number
      readonly bytesTotal: number
      readonly bytesFromCache: number
    }
  | {
      readonly kind: 'ready'
      readonly modelId: ModelId
      readonly engine: EngineInfo['engine']
      readonly adapter: string
      readonly memoryBytes: number
    }
  /** Refused, or lost: answers go on without it. */
  | { readonly kind: 'failed'; readonly modelId: ModelId; readonly error: ErrorBody }

/** What the coordinator found of one of this tab's parts in sessions. */
export interface AuditVerdict extends Pick<VerdictMessage, 'sessionId' | 'role' | 'span' | 'verdict' | 'reason'> {
  /** When it was told, on the page's clock. */
  readonly atMs: number
}

/** A stage's part of one of this tab's answers that others computed again. */
export type StageAudit = Omit<AuditedMessage, 'type' | 'sessionId'>

export interface PeerState {
  readonly connection: ConnectionState
  /** Null before the coordinator has said it. */
  readonly reach: Reach | null
  /** Null before the coordinator has said it, and where it keeps no accounts. */
  readonly account: AccountState | null
  /** Null before it is known, and on insecure pages, which have no keys. */
  readonly accountKeeping: AccountKeeping | null
  /** When another device took this browser from the account that it had before (coordinator time); null: none did, or its owner knows. */
  readonly removedAtMs: number | null
  /** The last ones that this tab was told since it was opened, latest last. */
  readonly verdicts: readonly AuditVerdict[]
  /** Of this tab's last answers. */
  readonly bills: ReadonlyMap<SessionId, Bill>
  /** Of the same: who computed a part of them again, and what was found. */
  readonly audits: ReadonlyMap<SessionId, readonly StageAudit[]>
  /** Null: the coordinator tells all of one ledger, as far as this tab has heard. */
  readonly ledgerAlarm: HeadAlarm | null
  /** Empty before the coordinator has said them. */
  readonly prices: ReadonlyMap<ModelId, ModelPrice>
  readonly volunteer: VolunteerState
  /** The peer that this tab contributes as, another than the one it asks as; null while it does not. */
  readonly contributingAs: PeerId | null
  readonly network: NetworkSummary | null
  readonly storage: StorageSummary | null
  readonly defaultModelId: ModelId | null
  readonly draftOffers: readonly DraftModelOffer[]
  readonly draftModel: DraftModelState
}

/** As model's. */
export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant' | 'tool'
  readonly content: string
  readonly toolCalls?: readonly ToolCall[]
  readonly toolCallId?: string
  readonly name?: string
}

export interface SamplingOptions {
  readonly temperature: number
  readonly topP: number
  readonly topK: number
  readonly minP: number
  readonly seed: number
  readonly stop: readonly string[]
  /** As session's Sampling has them. */
  readonly presencePenalty?: number
  readonly frequencyPenalty?: number
  readonly repetitionPenalty?: number
  readonly logitBias?: readonly { readonly id: number; readonly bias: number }[]
}

export interface AskRequest {
  readonly modelId: ModelId
  readonly prompt:
    | { readonly kind: 'messages'; readonly messages: readonly ChatMessage[]; readonly tools?: readonly ToolDefinition[] }
    | { readonly kind: 'raw'; readonly text: string }
    | { readonly kind: 'ids'; readonly ids: readonly number[] }
  readonly maxTokens: number
  readonly sampling: SamplingOptions
  /**
   * Drafts of what comes next: the same answer, sooner. `lookup`: where it repeats its prompt or itself; `on`, and where it is left
   * out: by the draft model too, where one is ready.
   */
  readonly speculation?: 'on' | 'lookup' | 'off'
  /** Its price, and its place in the queue; `standard` where it is left out. */
  readonly tier?: Tier
  /** Who pays instead of this peer's account; the coordinator's gateway has it. */
  readonly voucher?: string
  /** How long it may wait for a place, milliseconds; half a minute where it is left out. */
  readonly waitMs?: number
  /** What the answer has to be. */
  readonly constraint?: TokenConstraint
  /** Asks that each token's candidates have its logit. */
  readonly wantsLogits?: boolean
  /** Asks how likely each token of the prompt was: see the generation's event `scored`. */
  readonly scoresPrompt?: boolean
  /** Asks for the answer's `margins`. */
  readonly keepMargins?: boolean
}

/** Stages that were lost in mid-answer and replaced. Times are those of the page's clock, null while they lie ahead. */
export interface AnswerRepair {
  /** Places of the first that was noticed; none when only a link between two stages broke. */
  readonly stageIndexes: readonly number[]
  readonly reason: string
  readonly message: string
  /** Positions that had been computed by the whole chain. */
  readonly positions: number
  /** Positions that are sent again to stages that have not computed them; null until all of them have said what they have. */
  readonly replayedPositions: number | null
  readonly completionTokens: number
  readonly lostMs: number
  /** The coordinator named other stages, */
  readonly grantedMs: number | null
  /** all of them answered, */
  readonly openedMs: number | null
  /** and the first results came over them. */
  readonly doneMs: number | null
}

export interface AskProgress {
  /** Null before it is admitted. */
  readonly sessionId: SessionId | null
  readonly phase: 'queued' | 'connecting' | 'reading' | 'answering'
  /** Requests that wait before this one; null where it does not wait, or does not know. */
  readonly ahead: number | null
  /** Positions of the prompt that the chain has computed, of `promptTokens`. */
  readonly promptDone: number
  readonly promptTokens: number
  /** The whole answer so far. */
  readonly text: string
  readonly completionTokens: number
  readonly route: readonly RouteStage[]
  /** What leads from this tab to the first stage; null before it is known. */
  readonly firstLink: LinkKind | null
  readonly lastLapMs: number | null
  /** In order; the last one may be under way. */
  readonly repairs: readonly AnswerRepair[]
}

/** The draft model's part in an answer. */
export interface AnswerDraftModel {
  readonly modelId: ModelId
  /** Why it drafted nothing, or nothing more; null where nothing was wrong. */
  readonly problem: ErrorBody | null
}

export interface Answer {
  readonly model: ModelId
  /** Null when it was stopped before it had one. */
  readonly sessionId: SessionId | null
  readonly promptTokenIds: readonly number[]
  /** Without the end token. */
  readonly completionTokenIds: readonly number[]
  readonly text: string
  readonly finishReason: 'stop' | 'length' | 'cancelled'
  /** From submitting to the first token; null without one. */
  readonly timeToFirstTokenMs: number | null
  /** (completion tokens − 1) ÷ (first to last token); null with fewer than two tokens. */
  readonly tokensPerSecond: number | null
  readonly drafts: DraftCounts
  /** Null where none was ready, or wanted. */
  readonly draftModel: AnswerDraftModel | null
  /** How clear the choice of each token was, the end token's included (session's `choiceMargin`); empty unless asked for. */
  readonly margins: readonly number[]
  readonly stages: readonly RouteStage[]
  readonly firstLink: LinkKind | null
  /** The worst link of the chain, the first one included. */
  readonly dataPath: LinkKind
  readonly repairs: readonly AnswerRepair[]
}

export interface Ask {
  /** Rejects with a TabswarmError; resolves with `cancelled` after `stop`. */
  readonly answer: Promise<Answer>
  /** Stops the generation within a lap; what was answered stays. */
  stop(): void
}

export type ModelSpeedProgress =
  | { readonly kind: 'starting' }
  | { readonly kind: 'loading'; readonly bytesLoaded: number; readonly bytesTotal: number }
  | { readonly kind: 'measuring'; readonly step: SpeedStep }

/** What this tab alone computes of a whole model. */
export interface ModelSpeed {
  readonly modelId: ModelId
  readonly engine: GpuSummary['engine']
  readonly adapter: string
  readonly software: boolean
  readonly speed: EngineSpeed
}

/** What is measured, where it shall not be chosen by the tab. */
export interface MeasureOptions {
  readonly engine?: EngineChoice
  /** Of the engine without a GPU. */
  readonly threads?: number
  readonly plan?: SpeedPlan
}

export interface ModelMeasurement {
  /** Rejects with a TabswarmError; `cancelled` after `stop`. */
  readonly result: Promise<ModelSpeed>
  /** Ends it and gives the GPU back at once. */
  stop(): void
}

export interface ContributeOptions {
  readonly pledgeBytes: number
  /** Pledged instead where the tab turns out to compute without a GPU: weights take more bytes there. */
  readonly pledgeBytesWasm?: number
  readonly engine: EngineChoice
  /** Pauses when the machine is wanted elsewhere; yes where it is left out. Several tabs of one machine would pause each other. */
  readonly yieldsToOthers?: boolean
}

export interface PeerRuntime {
  readonly store: StoreApi<PeerState>
  /** Consent given: detect, measure, pledge, load, serve. Problems arrive as `volunteer.kind: 'failed'`. */
  contribute(options: ContributeOptions): void
  /** Gives GPU memory and the span back at once; what is cached on disk stays. */
  stopContributing(): void
  /** A paused contribution goes on at once, whatever the machine is doing now. */
  resumeContributing(): void
  ask(request: AskRequest, onProgress: (progress: AskProgress) => void): Ask
  /** Downloads the whole model, times it in a worker of its own, and frees everything. Only on a person's word. */
  measureModel(modelId: ModelId, onProgress: (progress: ModelSpeedProgress) => void, options?: MeasureOptions): ModelMeasurement
  /**
   * Downloads one of `draftOffers` whole and keeps it in a worker of its own, in place of one that is loaded. How far it is, and why
   * not, is in the store.
   */
  loadDraftModel(modelId: ModelId, engine?: EngineChoice): void
  /** Gives its memory back at once; what is cached on disk stays. */
  unloadDraftModel(): void
  /**
   * A part of a month of this tab's account: from its beginning, or on from where the page before says. Rejects with a TabswarmError, for example
   * `offline`.
   */
  statement(month: string, cursor: number | null): Promise<StatementPage>
  readonly account: AccountCalls
  readonly teams: TeamCalls
  readonly ledger: LedgerCalls
  readonly operator: OperatorCalls
  /** The recovery phrase is in safe hands: this browser forgets it. */
  phraseSaved(): Promise<void>
  /** Deletes the cached weights. */
  deleteStorage(): Promise<void>
  /** Forgets which forms of the kernels were fastest here; the next load times them again. */
  resetTuning(): Promise<void>
  dispose(): void
}

declare global {
  /** The runtime of a page, put there by src/main.tsx: for automation and for the curious. */
  var tabswarm: PeerRuntime | undefined
}

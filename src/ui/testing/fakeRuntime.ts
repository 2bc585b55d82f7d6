/**
 * A scripted PeerRuntime, for unit tests and for the preview under test/ui-preview. Never part of the app: nothing under
 * src/ui imports it but tests.
 */

import { createStore } from 'zustand/vanilla'
import type {
  AccountCalls,
  Answer,
  ApiKeyState,
  Ask,
  AskProgress,
  AskRequest,
  DeviceState,
  LedgerCheck,
  ListedAccountState,
  ModelMeasurement,
  ModelSpeed,
  ModelSpeedProgress,
  OperatorCalls,
  OperatorOverview,
  PeerRuntime,
  PeerState,
  RouteStage,
  StatementPage,
  TeamCalls,
  TeamDetails,
  TeamState,
} from '../../peer/index.ts'
import type { NetworkSummary } from '../../protocol/index.ts'
import { type ManifestHash, type ModelId, type PeerId, required, type SessionId } from '../../shared/index.ts'

type Swarm = NetworkSummary['swarms'][number]
export type VolunteerSummary = Swarm['volunteers'][number]

/** Ids by their form, which the test itself controls. */
const id = <Id extends string>(text: string) => text as Id

export const OWN_PEER_ID = id<PeerId>('3fa2b81c'.padEnd(32, '0'))
export const MODEL_ID = id<ModelId>('smollm2-135m-instruct-q4_1')

export function fakeSwarm(volunteers: readonly VolunteerSummary[], changes: Partial<Swarm> = {}): NetworkSummary {
  const covered = new Set<number>()
  for (const { state, span } of volunteers) {
    if (state === 'serving' && span !== null) for (let at = span.firstLayer; at < span.endLayer; at++) covered.add(at)
  }
  const state = covered.size === 30 ? 'ready' : covered.size === 0 ? 'empty' : 'incomplete'
  return {
    tabs: volunteers.length + 1,
    swarms: [
      {
        modelId: MODEL_ID,
        manifestHash: id<ManifestHash>('a'.repeat(64)),
        name: 'SmolLM2 135M Instruct',
        layerCount: 30,
        contextLength: 8192,
        weightBytes: 98_362_432,
        minStages: 2,
        state,
        missingBytes: state === 'ready' ? 0 : Math.round((98_362_432 * (30 - covered.size)) / 30),
        sessions: 0,
        volunteers: [...volunteers],
        ...changes,
      },
    ],
  }
}

export function fakeVolunteer(
  shortId: string,
  firstLayer: number,
  endLayer: number,
  changes: Partial<VolunteerSummary> = {},
): VolunteerSummary {
  const adapter = 'Apple M3 (metal)'
  return { shortId, engine: 'webgpu', adapter, state: 'serving', span: { firstLayer, endLayer }, progress: 1, ...changes }
}

export function fakeStage(peer: string, firstLayer: number, endLayer: number, changes: Partial<RouteStage> = {}): RouteStage {
  return {
    peerId: id<PeerId>(peer.padEnd(32, '0')),
    firstLayer,
    endLayer,
    engine: 'webgpu',
    adapter: 'Apple M3 (metal)',
    computeMsPerLap: 6.4,
    link: { kind: 'webrtc', bytesSent: 184_320 },
    ...changes,
  }
}

/** One question under way: the test plays the swarm. */
export interface ScriptedAsk {
  readonly request: AskRequest
  readonly stopped: boolean
  progress(change: Partial<AskProgress>): void
  resolve(change?: Partial<Answer>): void
  reject(error: Error): void
}

/** One measurement of a model under way: the test plays the worker. */
export interface ScriptedMeasurement {
  readonly modelId: ModelId
  readonly stopped: boolean
  progress(progress: ModelSpeedProgress): void
  resolve(result: ModelSpeed): void
  reject(error: Error): void
}

/** 4 January 2027. */
const CREATED_MS = 1_799_020_800_000
const OVERVIEW: OperatorOverview = {
  issuance: -18_402_113_207n,
  held: {
    user: 17_913_004_120n,
    hold: 70_112n,
    escrow: 38_204n,
    fee: 214_380_411n,
    verification: 174_620_360n,
    reserve: 100_000_000n,
  },
  accounts: 412,
  starters: { issued: 120_000_000n, poolADay: 1_000_000_000n, amount: 10_000_000n },
}
const NOTHING = { available: 0n, held: 0n, escrow: 0n, granted: 0n }
const EMPTY_PAGE: StatementPage = { month: '2027-01', opening: NOTHING, closing: NOTHING, lines: [], cursor: null }

export class FakeRuntime implements PeerRuntime {
  readonly store
  readonly asks: ScriptedAsk[] = []
  readonly measurements: ScriptedMeasurement[] = []
  readonly calls: string[] = []

  constructor(state: Partial<PeerState> = {}) {
    this.store = createStore<PeerState>()(() => ({
      connection: { kind: 'online', peerId: OWN_PEER_ID },
      reach: 'everywhere',
      account: null,
      accountKeeping: { isKept: true, unsavedPhrase: null, hasCopy: true },
      removedAtMs: null,
      verdicts: [],
      bills: new Map(),
      audits: new Map(),
      ledgerAlarm: null,
      prices: new Map(),
      contributingAs: OWN_PEER_ID,
      volunteer: { kind: 'off' },
      network: fakeSwarm([]),
      storage: { keptBytes: 0, quotaBytes: 10_000_000_000 },
      defaultModelId: MODEL_ID,
      draftOffers: [],
      draftModel: { kind: 'off' },
      ...state,
    }))
  }

  contribute({ pledgeBytes }: { readonly pledgeBytes: number }): void {
    this.calls.push(`contribute ${pledgeBytes}`)
    this.store.setState({ volunteer: { kind: 'starting', step: 'detect' } })
  }

  stopContributing(): void {
    this.calls.push('stop')
    this.store.setState({ volunteer: { kind: 'off' } })
  }

  resumeContributing(): void {
    this.calls.push('resume')
    this.store.setState({ volunteer: { kind: 'starting', step: 'detect' } })
  }

  measureModel(modelId: ModelId, onProgress: (progress: ModelSpeedProgress) => void): ModelMeasurement {
    let settle: { resolve: (result: ModelSpeed) => void; reject: (error: Error) => void } | undefined
    const result = new Promise<ModelSpeed>((resolve, reject) => {
      settle = { resolve, reject }
    })
    const scripted = {
      modelId,
      stopped: false,
      progress: onProgress,
      resolve: (value: ModelSpeed) => settle?.resolve(value),
      reject: (error: Error) => settle?.reject(error),
    }
    this.measurements.push(scripted)
    // As the real one does: before it has returned.
    onProgress({ kind: 'starting' })
    return {
      result,
      stop() {
        scripted.stopped = true
      },
    }
  }

  loadDraftModel(modelId: ModelId): void {
    this.calls.push(`loadDraftModel ${modelId}`)
    const [offer] = this.store.getState().draftOffers
    this.store.setState({ draftModel: { kind: 'loading', modelId, bytesLoaded: 0, bytesTotal: offer?.fileBytes ?? 0, bytesFromCache: 0 } })
  }

  unloadDraftModel(): void {
    this.calls.push('unloadDraftModel')
    this.store.setState({ draftModel: { kind: 'off' } })
  }

  /** Of whatever month is asked for; cursors are places in it. */
  statementPages: readonly StatementPage[] = []

  async statement(month: string, cursor: number | null): Promise<StatementPage> {
    this.calls.push(`statement ${month} ${cursor ?? 'from its beginning'}`)
    return { ...(this.statementPages[cursor ?? 0] ?? EMPTY_PAGE), month }
  }

  apiKeys: readonly ApiKeyState[] = []
  teamKeys: readonly ApiKeyState[] = []
  devices: readonly DeviceState[] = []

  /** What a test puts in the place of a call answers it. */
  account: AccountCalls = {
    findByPhrase: async (phrase) => {
      this.calls.push(`findByPhrase ${phrase}`)
      return { kind: 'other', take: async () => void this.calls.push('take') }
    },
    pairingCode: async () => {
      this.calls.push('pairingCode')
      return { code: 'K7QF-2M9X-TB4C', lifeMs: 300_000 }
    },
    join: async (code) => void this.calls.push(`join ${code}`),
    devices: async () => this.devices,
    nameDevice: async (publicKey, name) => void this.calls.push(`nameDevice ${publicKey} ${name}`),
    removeDevice: async (publicKey) => void this.calls.push(`removeDevice ${publicKey}`),
    removalNoted: async () => {
      this.calls.push('removalNoted')
      this.store.setState({ removedAtMs: null })
    },
    apiKeys: async (teamId) => (teamId === null ? this.apiKeys : this.teamKeys),
    createApiKey: async (teamId, name, limits) => {
      const scope = [limits.models, limits.pools].map((names) => names?.join(',') ?? 'all').join(' ')
      this.calls.push(`createApiKey ${teamId ?? 'own'} ${name} ${scope} ${limits.budget ?? 'all'} ${limits.requestsAMinute ?? 'any'}`)
      const key = { ...limits, id: 'c0ffee00c0ffee00', name, spent: 0n, createdAtMs: CREATED_MS, usedAtMs: null }
      return { key, text: `tabswarm_${key.id}_${'A1b2C3d4-_'.repeat(5).slice(0, 43)}` }
    },
    revokeApiKey: async (teamId, id) => void this.calls.push(`revokeApiKey ${teamId ?? 'own'} ${id}`),
    exportAll: async () => {
      this.calls.push('exportAll')
      return '{}'
    },
    erase: async () => void this.calls.push('erase'),
  }

  ledgerCheck: LedgerCheck = { kind: 'right', head: null, seen: null, lines: 0 }

  ledger = {
    check: async () => this.ledgerCheck,
    forget: async () => void this.calls.push('forgetHead'),
  }

  teamList: readonly TeamState[] = []
  teamDetails: TeamDetails | null = null

  teams: TeamCalls = {
    list: async () => this.teamList,
    create: async (name, scope) => {
      this.calls.push(`createTeam ${name} ${scope.models?.join(',') ?? 'all'} ${scope.pools?.join(',') ?? 'all'}`)
      return { ...scope, id: 'd'.repeat(32), name, isOwner: true, memberCount: 1, spendable: 0n }
    },
    details: async () => this.teamDetails,
    change: async (teamId, name) => void this.calls.push(`changeTeam ${teamId} ${name}`),
    invite: async (teamId) => {
      this.calls.push(`invite ${teamId}`)
      return { code: 'W3RT-8ZPA-5KQ0', expiresAtMs: CREATED_MS + 7 * 86_400_000 }
    },
    takeBackInvitations: async (teamId) => void this.calls.push(`takeBackInvitations ${teamId}`),
    accept: async (code) => void this.calls.push(`accept ${code}`),
    changeMember: async (teamId, accountId, isOwner) => void this.calls.push(`changeMember ${teamId} ${accountId} ${isOwner}`),
    removeMember: async (teamId, accountId) => void this.calls.push(`removeMember ${teamId} ${accountId}`),
    setKeyBudget: async (teamId, keyId, budget) => void this.calls.push(`setKeyBudget ${teamId} ${keyId} ${budget}`),
    fund: async (teamId, amount) => void this.calls.push(`fund ${teamId} ${amount}`),
    newReference: () => 'f'.repeat(32),
  }

  listedAccounts: readonly ListedAccountState[] = []

  operator: OperatorCalls = {
    overview: async () => OVERVIEW,
    verifyLedger: async () => ({ kind: 'right', events: 41_207, heads: 3_120, outstanding: -OVERVIEW.issuance }),
    accounts: async (search, after) => {
      this.calls.push(`accounts ${search} ${after ?? 'from the first'}`)
      return { accounts: this.listedAccounts, hasMore: this.listedAccounts.length > 0 && after === null }
    },
    changeRoles: async (accountId, roles) => {
      this.calls.push(`changeRoles ${accountId} ${roles.join(',')}`)
      return { ...this.#listed(accountId), roles }
    },
    grant: async (accountId, { amount, days, note }) => {
      this.calls.push(`grant ${accountId} ${amount} ${days} ${note}`)
      return { ...this.#listed(accountId), spendable: this.#listed(accountId).spendable + amount }
    },
    newReference: () => 'e'.repeat(32),
  }

  #listed(accountId: string): ListedAccountState {
    return required(
      this.listedAccounts.find(({ id }) => id === accountId),
      'an account of the list',
    )
  }

  async phraseSaved(): Promise<void> {
    this.calls.push('phraseSaved')
    this.store.setState({ accountKeeping: { isKept: true, unsavedPhrase: null, hasCopy: true } })
  }

  async deleteStorage(): Promise<void> {
    this.calls.push('deleteStorage')
    this.store.setState({ storage: { keptBytes: 0, quotaBytes: 10_000_000_000 } })
  }

  async resetTuning(): Promise<void> {
    this.calls.push('resetTuning')
  }

  dispose(): void {
    this.calls.push('dispose')
  }

  ask(request: AskRequest, onProgress: (progress: AskProgress) => void): Ask {
    let settle: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined
    const answer = new Promise<Answer>((resolve, reject) => {
      settle = { resolve, reject }
    })
    let last: AskProgress = {
      sessionId: id<SessionId>('5'.repeat(32)),
      phase: 'queued',
      ahead: null,
      promptDone: 0,
      promptTokens: 0,
      text: '',
      completionTokens: 0,
      route: [],
      firstLink: null,
      lastLapMs: null,
      repairs: [],
    }
    const scripted = {
      request,
      stopped: false,
      progress(change: Partial<AskProgress>) {
        last = { ...last, ...change }
        onProgress(last)
      },
      resolve: (change: Partial<Answer> = {}) => settle?.resolve({ ...answerOf(request, last), ...change }),
      reject: (error: Error) => settle?.reject(error),
    }
    this.asks.push(scripted)
    return {
      answer,
      stop() {
        scripted.stopped = true
        scripted.resolve({ finishReason: 'cancelled' })
      },
    }
  }
}

function answerOf(request: AskRequest, { text, route, promptTokens, completionTokens }: AskProgress): Answer {
  return {
    model: request.modelId,
    sessionId: id<SessionId>('5'.repeat(32)),
    promptTokenIds: Array.from({ length: promptTokens }, () => 1),
    completionTokenIds: Array.from({ length: completionTokens }, () => 2),
    text,
    finishReason: 'stop',
    timeToFirstTokenMs: 420,
    tokensPerSecond: 18.4,
    margins: [],
    drafts: { laps: completionTokens, draftedTokens: 0, acceptedTokens: 0 },
    draftModel: null,
    stages: route,
    firstLink: 'webrtc',
    dataPath: 'webrtc',
    repairs: [],
  }
}

/** Every state that a page can be in, by name. */

import type {
  AccountState,
  ApiKeyState,
  AskProgress,
  AuditVerdict,
  ListedAccountState,
  PeerState,
  StatementPage,
  VolunteerState,
} from '../../src/peer/index.ts'
import { type ErrorBody, fromErrorBody, type ManifestHash, type SessionId, type StatementLine } from '../../src/shared/index.ts'
import { FakeRuntime, fakeStage, fakeSwarm, fakeVolunteer, MODEL_ID, OWN_PEER_ID } from '../../src/ui/testing/fakeRuntime.ts'

const OWN = OWN_PEER_ID.slice(0, 8)
const gpu = { engine: 'webgpu', adapter: 'Apple M3 (metal)', software: false, macsPerSecond: 41e9 } as const
const slowGpu = { engine: 'webgpu', adapter: 'SwiftShader Device (Subzero)', software: true, macsPerSecond: 0.42e9 } as const
const processor = { engine: 'wasm', adapter: 'CPU (WebAssembly, 2 threads)', software: true, macsPerSecond: 3.1e9 } as const
const firstHalf = { firstLayer: 0, endLayer: 15 }
const twoTabs = fakeSwarm([fakeVolunteer(OWN, 0, 15), fakeVolunteer('b81c77aa', 15, 30)])
const others = fakeSwarm([fakeVolunteer('77ad01c2', 0, 15), fakeVolunteer('b81c77aa', 15, 30)])
const work = { sessionsOpen: 1, sessionsServed: 42, positions: 18_304, lastComputeMs: 6.4, bytesSent: 21_400_000, gpuBytes: 74_000_000 }
const route = [fakeStage('77ad01c2', 0, 15), fakeStage('b81c77aa', 15, 30, { adapter: 'NVIDIA RTX 4070 (vulkan)', computeMsPerLap: 2.9 })]

const volunteers: Record<string, VolunteerState> = {
  detecting: { kind: 'starting', step: 'detect' },
  measuring: { kind: 'starting', step: 'measure' },
  waiting: { kind: 'waiting', gpu },
  loading: {
    kind: 'loading',
    gpu: slowGpu,
    modelId: MODEL_ID,
    span: firstHalf,
    bytesLoaded: 31_200_000,
    bytesTotal: 63_400_000,
    bytesFromCache: 12_000_000,
  },
  serving: { kind: 'serving', gpu, modelId: MODEL_ID, span: firstHalf, layerCount: 30, alone: false, work },
  alone: { kind: 'serving', gpu: slowGpu, modelId: MODEL_ID, span: { firstLayer: 0, endLayer: 30 }, layerCount: 30, alone: true, work },
  processor: { kind: 'serving', gpu: processor, modelId: MODEL_ID, span: firstHalf, layerCount: 30, alone: false, work },
  // What Chromium says when its GPU process went.
  recovering: { kind: 'recovering', gpu, reason: 'A valid external Instance reference no longer exists.' },
  draining: { kind: 'draining', gpu, reason: 'busy', sessionsOpen: 2 },
  paused: { kind: 'paused', reason: 'battery' },
  'paused-busy': { kind: 'paused', reason: 'busy' },
  stopping: { kind: 'stopping' },
  'no-webgpu': {
    kind: 'failed',
    error: {
      reason: 'no-webgpu',
      message:
        'This browser has no WebGPU. Use Chrome or Edge 113+, Safari 26+ or a recent Firefox; on Linux, start Chrome with --enable-unsafe-webgpu.',
    },
  },
  failed: {
    kind: 'failed',
    error: { reason: 'device-lost', message: 'The GPU was lost three times. Close other programs that use it, then try again.' },
  },
}

const networks: Record<string, PeerState['network']> = {
  'no-tabs': fakeSwarm([]),
  'one-tab': fakeSwarm([fakeVolunteer(OWN, 0, 30)]),
  'two-tabs': twoTabs,
  'mixed-tabs': fakeSwarm([
    fakeVolunteer('77ad01c2', 0, 12),
    fakeVolunteer(OWN, 12, 21, { state: 'loading', progress: 0.4 }),
    fakeVolunteer('0c11aa55', 21, 30, { state: 'away' }),
    fakeVolunteer('9d3e0f0f', 0, 20),
    fakeVolunteer('55555555', 0, 0, { state: 'waiting', span: null }),
    fakeVolunteer('66666666', 0, 0, { state: 'waiting', span: null }),
  ]),
  'many-tabs': fakeSwarm(
    Array.from({ length: 180 }, (_, at) => {
      const firstLayer = (at * 7) % 24
      return fakeVolunteer(at === 3 ? OWN : `${(at * 2_654_435_761) % 0xffff_ffff}`.slice(0, 8), firstLayer, firstLayer + 3 + (at % 4))
    }),
  ),
  'no-network': null,
}

const ANSWER = `The capital of France is **Paris**. It lies on the Seine.

| City | People |
|---|---|
| Paris | 2.1 million |
| Lyon | 0.5 million |

1. See the \`Eiffel Tower\`.
2. Walk along the [Seine](https://example.org).

\`\`\`js
console.log('Bonjour')
\`\`\``

type Play = (runtime: FakeRuntime) => void
const onAsk = (play: (ask: FakeRuntime['asks'][number]) => void): Play => {
  return (runtime) => {
    const ask = runtime.ask.bind(runtime)
    runtime.ask = (request, onProgress) => {
      const started = ask(request, onProgress)
      const scripted = runtime.asks.at(-1)
      if (scripted !== undefined) setTimeout(() => play(scripted), 50)
      return started
    }
  }
}
const onMeasure = (play: (measurement: FakeRuntime['measurements'][number]) => void): Play => {
  return (runtime) => {
    const measure = runtime.measureModel.bind(runtime)
    runtime.measureModel = (modelId, onProgress) => {
      const started = measure(modelId, onProgress)
      const scripted = runtime.measurements.at(-1)
      if (scripted !== undefined) setTimeout(() => play(scripted), 50)
      return started
    }
  }
}
const phase = (progress: Partial<AskProgress>): Play => onAsk((ask) => ask.progress(progress))
const fails = (reason: string, message: string): Play => onAsk((ask) => ask.reject(fromErrorBody({ reason, message })))

/** Under way. */
const REPAIR = { stageIndexes: [1], positions: 69, completionTokens: 7, lostMs: 0, grantedMs: null, openedMs: null, doneMs: null }

const chats: Record<string, Play> = {
  'chat-poor': fails(
    'insufficient-credits',
    'your account has 0.012 credits, and this answer may cost 0.070112: 0.058112 are missing. Contribute with a tab to earn some, ask for fewer tokens, or ask the operator for a grant (tabswarm ledger grant 7c2e95d0b1f84a63a9d2c7e018f35b44 CREDITS).',
  ),
  'chat-queued': phase({ phase: 'queued' }),
  'chat-reading': phase({
    phase: 'reading',
    promptDone: 32,
    promptTokens: 62,
    route: route.map((stage) => ({ ...stage, computeMsPerLap: null })),
  }),
  'chat-answering': phase({ phase: 'answering', text: 'The capital of France is **Par', completionTokens: 7, route, lastLapMs: 14.2 }),
  'chat-repairing': phase({
    phase: 'answering',
    text: 'The capital of France is **Par',
    completionTokens: 7,
    route,
    lastLapMs: 14.2,
    repairs: [{ ...REPAIR, reason: 'stage-lost', message: 'stage 1 of 2: the link to it ended' }],
  }),
  'chat-handing-over': phase({
    phase: 'answering',
    text: 'The capital of France is **Par',
    completionTokens: 7,
    route,
    lastLapMs: 14.2,
    repairs: [{ ...REPAIR, reason: 'draining', message: 'stage 1 of 2: about to stop' }],
  }),
  'chat-done': onAsk((ask) => {
    ask.progress({ phase: 'answering', text: ANSWER, completionTokens: 88, promptTokens: 62, route })
    ask.resolve()
  }),
  'chat-failed': fails(
    'no-capacity',
    'Nobody is contributing, so no layer has a home. Open Contribute in one or more tabs, then try again.',
  ),
  'chat-too-long': fails(
    'prompt-too-long',
    'The conversation has 9,120 tokens, and this model reads 8,192. Start a new chat or ask something shorter.',
  ),
}

const whole: Record<string, Play> = {
  'bench-model': onMeasure((measurement) =>
    measurement.resolve({
      modelId: MODEL_ID,
      engine: 'webgpu',
      adapter: 'NVIDIA GeForce RTX 4070',
      software: false,
      speed: {
        prefill: [
          { tokens: 64, tokensPerSecond: 5_210, medianMs: 12.3, runs: 21 },
          { tokens: 512, tokensPerSecond: 11_400, medianMs: 44.9, runs: 21 },
        ],
        decode: [
          { sessions: 1, tokensPerSecond: 212, medianMs: 4.7, runs: 21 },
          { sessions: 8, tokensPerSecond: 1_240, medianMs: 6.5, runs: 21 },
        ],
      },
    }),
  ),
  'bench-model-loading': onMeasure((measurement) =>
    measurement.progress({ kind: 'loading', bytesLoaded: 41_000_000, bytesTotal: 98_362_432 }),
  ),
}

const draftOffer = {
  modelId: MODEL_ID,
  manifestHash: 'a'.repeat(64) as ManifestHash,
  name: 'SmolLM2 135M Instruct, 4 bits',
  fileBytes: 98_362_432,
}

/** With the options of the answer open. */
const drafts: Record<string, PeerState['draftModel']> = {
  'draft-offered': { kind: 'off' },
  'draft-loading': { kind: 'loading', modelId: MODEL_ID, bytesLoaded: 41_000_000, bytesTotal: 98_362_432, bytesFromCache: 0 },
  'draft-ready': { kind: 'ready', modelId: MODEL_ID, engine: 'webgpu', adapter: gpu.adapter, memoryBytes: 231_000_000 },
  'draft-refused': {
    kind: 'failed',
    modelId: MODEL_ID,
    error: {
      reason: 'other-vocabulary',
      message:
        'SmolLM2 135M Instruct, 4 bits cannot draft for Qwen3 0.6B: its vocabulary has 49152 tokens, not 151936; choose a smaller model of the same family',
    },
  },
}

const ACCOUNT: AccountState = {
  accountId: '7c2e95d0b1f84a63a9d2c7e018f35b44',
  spendable: 9_934_207n,
  granted: 9_871_400n,
  held: 70_112n,
  escrow: 38_204n,
  earned: 62_807n,
  standing: { validInARow: 12, trustedFrom: 10, failures: 0 },
}
const NOTHING_YET: AccountState = {
  ...ACCOUNT,
  spendable: 0n,
  granted: 0n,
  held: 0n,
  escrow: 0n,
  earned: 0n,
  standing: { validInARow: 0, trustedFrom: 10, failures: 0 },
}
const PHRASE = 'harbor velvet orbit candle mimic ribbon tunnel glance pepper acoustic lizard swarm'

const SESSION = '5'.repeat(32) as SessionId
const verdict = (minute: number, found: AuditVerdict['verdict'], changed: Partial<AuditVerdict> = {}): AuditVerdict => ({
  atMs: Date.UTC(2026, 10, 22, 9, minute),
  sessionId: SESSION,
  role: 'stage',
  span: firstHalf,
  verdict: found,
  reason: 'an auditor agrees',
  ...changed,
})
const disagreed = 'two auditors agree with each other; the distance is 0.0473'
const lost = { ...ACCOUNT, escrow: 0n, standing: { validInARow: 0, trustedFrom: 10, failures: 1 } }

/** While the tab serves. */
const audits: Record<string, Partial<PeerState>> = {
  'audits-passed': { verdicts: [verdict(3, 'valid'), verdict(11, 'undecided'), verdict(19, 'unanswered'), verdict(41, 'valid')] },
  'audits-failed': { account: lost, verdicts: [verdict(3, 'valid'), verdict(41, 'failed', { reason: disagreed })] },
  'audits-odd': {
    account: lost,
    verdicts: [
      verdict(41, 'failed', { role: 'auditor', reason: 'two others agree with each other, and not with what it computed as an auditor' }),
    ],
  },
}

/** What the account scenes change of it. */
const keepings: Record<string, Partial<PeerState>> = {
  account: {},
  'account-new': { account: NOTHING_YET },
  'account-unknown': { account: null },
  'account-unsaved': { accountKeeping: { isKept: true, unsavedPhrase: PHRASE, hasCopy: true } },
  'account-phrase': { accountKeeping: { isKept: true, unsavedPhrase: PHRASE, hasCopy: true } },
  'account-private': { accountKeeping: { isKept: false, unsavedPhrase: PHRASE, hasCopy: true } },
  'account-failed': {},
  'account-first': {
    account: NOTHING_YET,
    accountKeeping: { isKept: true, unsavedPhrase: PHRASE, hasCopy: false },
  },
  'account-code': {},
  'account-join-refused': {},
  'account-restore': {},
  'account-keys': {},
  'account-key-made': {},
  'account-key-revoke': {},
  'account-keys-failed': {},
  'account-restore-unknown': {},
}

const refusals: Record<string, ErrorBody> = {
  'account-join-refused': {
    reason: 'bad-code',
    message: 'this code is wrong, was used, or is older than five minutes; make a new one on the other device',
  },
  'account-restore-unknown': {
    reason: 'bad-phrase',
    message: 'this is not a recovery phrase: its words do not fit together: one is wrong, or two are exchanged',
  },
}

const amounts = (available: bigint, held = 0n, escrow = 0n) => ({ available, held, escrow, granted: 0n })
const lines: readonly Pick<StatementLine, 'kind' | 'role' | 'available' | 'held' | 'escrow' | 'granted'>[] = [
  { kind: 'issue', role: 'account', ...amounts(10_000_000n) },
  { kind: 'hold', role: 'requester', ...amounts(-70_112n, 70_112n) },
  { kind: 'settle', role: 'requester', ...amounts(0n, -8_071n) },
  { kind: 'release', role: 'requester', ...amounts(62_041n, -62_041n) },
  { kind: 'settle', role: 'volunteer', ...amounts(0n, 0n, 3_309n) },
  { kind: 'cover', role: 'volunteer', ...amounts(0n, 0n, 2_120n) },
  { kind: 'payout', role: 'volunteer', ...amounts(3_309n, 0n, -3_309n) },
  { kind: 'hold', role: 'requester', ...amounts(-61_070n, 61_070n) },
]
/** The month is that of the clock: the times of its lines are what they are. */
const STATEMENT: StatementPage = {
  month: '',
  opening: amounts(0n),
  closing: amounts(9_934_207n, 70_112n, 38_204n),
  lines: lines.map((line, at) => ({ ...line, sequence: at, atMs: Date.UTC(2026, 10, 3 + 2 * at, 9, 41), event: line.kind, session: 's' })),
  cursor: lines.length,
}
const KEYS: readonly ApiKeyState[] = [
  {
    id: '7c2e95d0b1f84a63',
    name: 'laptop',
    models: null,
    pools: null,
    budget: null,
    spent: 70_112n,
    requestsAMinute: null,
    createdAtMs: Date.UTC(2026, 9, 2),
    usedAtMs: Date.UTC(2026, 10, 21),
  },
  {
    id: '1f84a637c2e95d0b',
    name: 'nightly tests of the documentation’s examples',
    models: [MODEL_ID],
    pools: null,
    budget: 20_000_000n,
    spent: 3_420_000n,
    requestsAMinute: 60,
    createdAtMs: Date.UTC(2026, 10, 3),
    usedAtMs: null,
  },
]
const LISTED: readonly ListedAccountState[] = [
  {
    id: ACCOUNT.accountId,
    name: 'Ann',
    roles: ['operator', 'requester', 'volunteer'],
    createdAtMs: Date.UTC(2026, 8, 14),
    spendable: 9_934_207n,
  },
  {
    id: '8d41aa02c7e018f35b447c2e95d0b1f8',
    name: '',
    roles: ['requester', 'volunteer'],
    createdAtMs: Date.UTC(2026, 10, 2),
    spendable: 0n,
  },
  {
    id: 'a9d2c7e018f35b447c2e95d0b1f84a63',
    name: 'Laboratory for things that have long names in many words',
    roles: [],
    createdAtMs: Date.UTC(2026, 10, 20),
    spendable: 120_000_000n,
  },
]

export function startScenario(name: string): FakeRuntime {
  const volunteer = name in audits ? volunteers.serving : volunteers[name]
  const network =
    name in networks
      ? networks[name]
      : chats[name] !== undefined
        ? others
        : volunteer === undefined
          ? twoTabs
          : networkOf(name in audits ? 'serving' : name)
  const state: Partial<PeerState> = {
    network: network ?? null,
    storage: { keptBytes: 63_400_000, quotaBytes: 10_000_000_000 },
    account: ACCOUNT,
    prices: new Map([[MODEL_ID, { decode: 134_515_021n, prompt: 33_600_400n }]]),
    bills: new Map([[SESSION, { held: 70_112n, charged: name === 'chat-done' ? 8_071n : null }]]),
    ...keepings[name],
    ...audits[name],
  }
  const runtime = new FakeRuntime(volunteer === undefined ? state : { ...state, volunteer })
  if (name === 'chat-failed') runtime.store.setState({ network: fakeSwarm([]) })
  if (name === 'offline') {
    const error = { reason: 'socket-closed', message: 'The coordinator cannot be reached: it may be restarting.' }
    runtime.store.setState({ connection: { kind: 'offline', error, retryInMs: 8_000 } })
  }
  if (name === 'account') runtime.statementPages = [STATEMENT]
  if (name === 'account-failed')
    runtime.statement = () => Promise.reject(fromErrorBody({ reason: 'timeout', message: 'the coordinator did not answer within 20 s' }))
  if (name in keepings && name !== 'account-new') runtime.apiKeys = KEYS
  if (name === 'account-keys-failed')
    runtime.account.apiKeys = () =>
      Promise.reject(fromErrorBody({ reason: 'busy', message: 'the coordinator answers others now; try again in a moment' }))
  if (name.startsWith('admin')) playOperator(runtime, name)
  const refusal = refusals[name]
  if (refusal !== undefined) {
    const refuse = () => Promise.reject(fromErrorBody(refusal))
    runtime.account = { ...runtime.account, findByPhrase: refuse, join: refuse }
  }
  const draftModel = drafts[name]
  if (draftModel !== undefined) runtime.store.setState({ draftOffers: [draftOffer], draftModel })
  chats[name]?.(runtime)
  whole[name]?.(runtime)
  return runtime
}

function playOperator(runtime: FakeRuntime, name: string): void {
  if (name !== 'admin-empty') runtime.listedAccounts = LISTED
  const { operator } = runtime
  if (name === 'admin-refused')
    operator.overview = () =>
      Promise.reject(
        fromErrorBody({
          reason: 'not-allowed',
          message: `this page is for operators, and the account ${ACCOUNT.accountId} is none; give it the role on the coordinator’s machine: tabswarm account change ${ACCOUNT.accountId} --roles operator,requester,volunteer`,
        }),
      )
  if (name === 'admin-broken')
    operator.verifyLedger = async () => ({
      kind: 'broken',
      message:
        'the balance of user/7c2e95d0b1f84a63a9d2c7e018f35b44/earned is recorded as 7 micro-credits, its postings add up to 5; run tabswarm ledger rebuild',
    })
}

function networkOf(volunteer: string): PeerState['network'] {
  switch (volunteer) {
    case 'serving':
    case 'processor':
      return twoTabs
    case 'alone':
      return fakeSwarm([fakeVolunteer(OWN, 0, 30)])
    case 'loading':
      return fakeSwarm([fakeVolunteer(OWN, 0, 15, { state: 'loading', progress: 0.49 }), fakeVolunteer('b81c77aa', 15, 30)])
    case 'recovering':
    case 'draining':
      return fakeSwarm([fakeVolunteer(OWN, 0, 15, { state: 'away' }), fakeVolunteer('b81c77aa', 15, 30)])
    case 'waiting':
      return fakeSwarm([fakeVolunteer(OWN, 0, 0, { state: 'waiting', span: null })])
    default:
      return fakeSwarm([fakeVolunteer('b81c77aa', 15, 30)])
  }
}

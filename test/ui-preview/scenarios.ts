/** Every state that a page can be in, by name. */

import type { AskProgress, PeerState, VolunteerState } from '../../src/peer/index.ts'
import { fromErrorBody, type ManifestHash } from '../../src/shared/index.ts'
import { FakeRuntime, fakeStage, fakeSwarm, fakeVolunteer, MODEL_ID, OWN_PEER_ID } from '../../src/ui/testing/fakeRuntime.ts'
import { accountState, isAudited, playAccount } from './accountScenes.ts'

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
const REPAIR = {
  stageIndexes: [1],
  positions: 69,
  replayedPositions: null,
  completionTokens: 7,
  lostMs: 0,
  grantedMs: null,
  openedMs: null,
  doneMs: null,
}

const chats: Record<string, Play> = {
  'chat-poor': fails(
    'insufficient-credits',
    'your account has 0.012 credits, and this answer may cost 0.070112: 0.058112 are missing. Contribute with a tab to earn some, ask for fewer tokens, or ask the operator for a grant (tabswarm ledger grant 7c2e95d0b1f84a63a9d2c7e018f35b44 CREDITS).',
  ),
  'chat-queued': phase({ phase: 'queued', ahead: 2 }),
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

export function startScenario(name: string): FakeRuntime {
  const volunteer = isAudited(name) ? volunteers.serving : volunteers[name]
  const network =
    name in networks
      ? networks[name]
      : chats[name] !== undefined
        ? others
        : volunteer === undefined
          ? twoTabs
          : networkOf(isAudited(name) ? 'serving' : name)
  const state: Partial<PeerState> = {
    network: network ?? null,
    storage: { keptBytes: 63_400_000, quotaBytes: 10_000_000_000 },
    ...accountState(name),
  }
  const runtime = new FakeRuntime(volunteer === undefined ? state : { ...state, volunteer })
  if (name === 'chat-failed') runtime.store.setState({ network: fakeSwarm([]) })
  if (name === 'offline') {
    const error = { reason: 'socket-closed', message: 'The coordinator cannot be reached: it may be restarting.' }
    runtime.store.setState({ connection: { kind: 'offline', error, retryInMs: 8_000 } })
  }
  playAccount(runtime, name)
  const draftModel = drafts[name]
  if (draftModel !== undefined) runtime.store.setState({ draftOffers: [draftOffer], draftModel })
  chats[name]?.(runtime)
  whole[name]?.(runtime)
  return runtime
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

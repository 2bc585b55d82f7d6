/** A real model over a real protocol: the CPU twin at every stage, network's links, WebCrypto's keys; against transformers' tokens. */

import { describe, expect, it } from 'vitest'
import { createIdentity, isReceiptOf, memoryLinkPair, peerIdOf, sha256Of, signatureVerifier } from '../../../src/network/index.ts'
import {
  type Dial,
  type Grant,
  type Link,
  type Receipt,
  ROW_ENCODINGS,
  type RowEncoding,
  readReceipt,
  type SignedReceipt,
  signGrant,
} from '../../../src/protocol/index.ts'
import {
  chunkRowsFor,
  type Drafter,
  type GenerateEvent,
  type GenerateStep,
  GREEDY,
  generate,
  LinkRouter,
  openLinkChain,
  type Sampling,
} from '../../../src/session/index.ts'
import { type Clock, type ManifestHash, type ModelId, type PeerId, required, type SessionId, toHex } from '../../../src/shared/index.ts'
import { StageHost } from '../../../src/stage/index.ts'
import { createCpuEngine, type Engine } from '../../../src/worker/index.ts'
import { loadRequest } from '../../support/engineRuns.ts'
import { openTinyModel, readTinyReference } from '../../support/tinyModels.ts'
import { knowingDrafter, timedChain } from './drafters.ts'

const { subtle } = globalThis.crypto
const verify = signatureVerifier(subtle)
const sha256 = sha256Of(subtle)
const clock: Clock = {
  nowMs: () => Date.now(),
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
}
const manifestHash = 'ab'.repeat(32) as ManifestHash
const model = await openTinyModel('llama')
const reference = await readTinyReference('llama')
const { config } = model.manifest

interface Peer {
  readonly id: PeerId
  readonly engine: Engine
  readonly host: StageHost
  readonly receipts: Receipt[]
}

/** Stages that hold only their span, a driver, and a grant over all of them. */
async function swarm(cuts: readonly number[], rowEncoding: RowEncoding) {
  const coordinator = await createIdentity(subtle)
  const driver = await peerIdOf((await createIdentity(subtle)).publicKey, sha256)
  const peers: Peer[] = []
  const dialFrom =
    (from: PeerId): Dial =>
    async (to) => {
      const [here, there]: readonly [Link, Link] = memoryLinkPair(from, to)
      required(
        peers.find(({ id }) => id === to),
        'peer',
      ).host.addLink(there)
      return here
    }
  for (const [index, firstLayer] of cuts.entries()) {
    const span = { firstLayer, endLayer: cuts[index + 1] ?? config.layerCount }
    const signer = await createIdentity(subtle)
    const id = await peerIdOf(signer.publicKey, sha256)
    const receipts: Receipt[] = []
    const onReceipt = (signed: SignedReceipt) => {
      const receipt = readReceipt(signed)
      if (receipt.ok) receipts.push(receipt.value)
    }
    const engine = createCpuEngine({ nowMs: () => performance.now() })
    await engine.load(loadRequest(model, span))
    const host = new StageHost({
      peerId: id,
      engine,
      dial: dialFrom(id),
      clock,
      coordinatorKey: coordinator.publicKey,
      verify,
      sha256,
      receipts: {
        signer,
        head: () => null,
        onHead: () => undefined,
        onReceipt,
        isSignedBy: (receipt, publicKey, by) => isReceiptOf({ receipt, publicKey, peerId: by, nowMs: Date.now() }, { sha256, verify }),
      },
    })
    host.serve({ manifestHash, span, config })
    peers.push({ id, engine, host, receipts })
  }
  const grant: Grant = {
    version: 1,
    revision: 0,
    sessionId: toHex(globalThis.crypto.getRandomValues(new Uint8Array(16))) as SessionId,
    modelId: 'llama' as ModelId,
    manifestHash,
    driver,
    stages: peers.map(({ id }, index) => ({ peerId: id, firstLayer: cuts[index] ?? 0, endLayer: cuts[index + 1] ?? config.layerCount })),
    maxPositions: 112,
    topK: 10,
    rowEncoding,
    issuedAtMs: Date.now() - 1_000,
    expiresAtMs: Date.now() + 600_000,
  }
  const router = new LinkRouter({ dial: dialFrom(driver), clock })
  const signedGrant = await signGrant(grant, coordinator)
  const chain = await openLinkChain({ router, grant, signedGrant, repair: null, vocabularySize: config.vocabularySize, clock })
  return { peers, chain }
}

interface How {
  readonly sampling?: Sampling
  readonly drafter?: Drafter
}

async function answer(cuts: readonly number[], rowEncoding: RowEncoding, chunkRows: number, { sampling = GREEDY, ...how }: How = {}) {
  const { peers, chain: untimed } = await swarm(cuts, rowEncoding)
  const { chain, clock: lapClock } = timedChain(untimed)
  const tokenizer = { vocabularySize: config.vocabularySize, isEnd: () => false, tokenBytes: () => new Uint8Array(0) }
  const result = await generate({
    chain,
    tokenizer,
    promptTokenIds: reference.tokenIds,
    maxTokens: 16,
    sampling,
    chunkRows,
    clock: lapClock,
    ...how,
  })
  chain.close()
  await expect.poll(() => peers.map(({ engine }) => engine.usage().openSlots)).toEqual(peers.map(() => 0))
  await Promise.all(peers.map(({ host }) => host.stop()))
  const { final, sent } = required(peers.at(-1)?.receipts.at(-1), 'the last receipt of the last stage')
  expect(final).toBe(true)
  return { ids: result.completionTokenIds, hash: sent.hash, endPosition: sent.endPosition, drafts: result.drafts }
}

describe('the tiny llama over links', () => {
  for (const cuts of [[0], [0, 1]]) {
    it(`gives transformers' tokens over ${cuts.length} stages, in every encoding`, async () => {
      for (const encoding of ROW_ENCODINGS) {
        const { ids } = await answer(cuts, encoding, chunkRowsFor(config.width))
        expect(ids).toEqual(reference.greedyTokenIds)
      }
    })
  }

  it('[V7] signs the same hash whatever the split and the chunks, with f32 rows', async () => {
    const whole = await answer([0], 'f32', 96)
    const split = await answer([0, 1], 'f32', 7)
    expect(whole.endPosition).toBe(96 + 15)
    expect(split).toEqual(whole)
  })

  it('[S14] [V7] gives the same tokens and signs the same rows when most of them come out of drafts, of which some are wrong', async () => {
    for (const sampling of [GREEDY, { temperature: 1, topP: 0.9, topK: 8, minP: 0, seed: 5 }]) {
      const plain = await answer([0, 1], 'f16e', 32, { sampling })
      const drafter = knowingDrafter([...reference.tokenIds, ...plain.ids], (place) => place % 6 === 0)
      const { drafts, ...drafted } = await answer([0, 1], 'f16e', 32, { sampling, drafter })
      expect({ ...drafted, drafts: plain.drafts }).toEqual(plain)
      expect(drafts.acceptedTokens).toBeGreaterThan(5)
      expect(drafts.draftedTokens).toBeGreaterThan(drafts.acceptedTokens)
    }
  })

  it('[F22] [S14] scores a prompt as all logits of transformers do, whatever the split and the chunks, and answers as without it', async () => {
    const truth = reference.tokenIds.slice(1).map((id, position) => logProbability(position, id))
    for (const [cuts, chunkRows, maxTokens] of [
      [[0], 96, 0],
      [[0, 1], 7, 4],
      [[0, 1], 32, 1],
    ] as const) {
      const { peers, chain } = await swarm(cuts, 'f32')
      const steps: GenerateStep[] = []
      const tokenizer = { vocabularySize: config.vocabularySize, isEnd: () => false, tokenBytes: () => new Uint8Array(0) }
      const onEvent = (event: GenerateEvent) => void (event.kind === 'scored' && steps.push(...event.steps))
      const asked = { chain, tokenizer, promptTokenIds: reference.tokenIds, maxTokens, sampling: GREEDY, chunkRows, clock, onEvent }
      const { completionTokenIds } = await generate({ ...asked, scoresPrompt: true })
      chain.close()
      await Promise.all(peers.map(({ host }) => host.stop()))
      expect(completionTokenIds).toEqual(reference.greedyTokenIds.slice(0, maxTokens))
      expect(steps.map(({ id }) => id)).toEqual(reference.tokenIds.slice(1))
      for (const [index, { id, candidates }] of steps.entries()) {
        expect([...(candidates.named?.ids ?? [])]).toEqual([id])
        expect((candidates.named?.logits[0] ?? Number.NaN) - candidates.logSumExp).toBeCloseTo(truth[index] ?? Number.NaN, 3)
      }
      // Most are none of the ten best: without their names nothing would be known of them.
      expect(steps.filter(({ id, candidates }) => !candidates.ids.includes(id)).length).toBeGreaterThan(48)
    }
  })
})

/** Of token `id` behind `position`, by all logits. */
function logProbability(position: number, id: number): number {
  const { vocabularySize } = config
  const logits = reference.logits.subarray(position * vocabularySize, (position + 1) * vocabularySize)
  const best = logits.reduce((most, logit) => Math.max(most, logit))
  return (logits[id] ?? Number.NaN) - best - Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - best), 0))
}

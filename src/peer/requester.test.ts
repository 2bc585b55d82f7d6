import { describe, expect, it } from 'vitest'
import type { Manifest, Tokenizer } from '../model/index.ts'
import { createIdentity, sha256Of, signatureVerifier } from '../network/index.ts'
import { type Grant, signGrant } from '../protocol/index.ts'
import { ReceiptBook, RowBudget } from '../receipts/index.ts'
import { GATHER_MS, LinkRouter, type RepairRequest } from '../session/index.ts'
import { type ManifestHash, ManualClock, type ModelId, type PeerId, type SessionId, TabswarmError } from '../shared/index.ts'
import type { ModelLibrary } from './modelLibrary.ts'
import { type RequesterPorts, startAsk } from './requester.ts'
import type { AskProgress, AskRequest } from './types.ts'

const modelId = 'test-model' as ModelId
const driver = 'd'.repeat(32) as PeerId
const stage = { peerId: 'a'.repeat(32) as PeerId, firstLayer: 0, endLayer: 2 }
const request: AskRequest = {
  modelId,
  prompt: { kind: 'raw', text: 'four' },
  maxTokens: 8,
  sampling: { temperature: 0, topP: 1, topK: 0, minP: 0, seed: 0, stop: [] },
}

/** A requester whose coordinator grants everything and whose network reaches nobody. */
async function setUp(change: Partial<RequesterPorts> = {}) {
  const signer = await createIdentity(crypto.subtle)
  const clock = new ManualClock()
  const ended: string[] = []
  const heldAt: string[] = []
  let sessions = 0
  const sha256 = sha256Of(crypto.subtle)
  const book = new ReceiptBook({
    peerId: driver,
    signer,
    sha256,
    clock,
    budget: new RowBudget(),
    head: () => null,
    onReceipt: () => undefined,
  })
  const library = {
    text: async () => ({
      manifest: { config: { contextLength: 64, width: 32, vocabularySize: 512 } } as Manifest,
      tokenizer: {
        encode: (text: string) => [...text].map((_, id) => id),
        longestTokenBytes: () => 1,
        addBos: false,
        bosId: null,
      } as unknown as Tokenizer,
      stripLeadingSpace: false,
      template: () => ({ render: () => '' }),
    }),
  } as unknown as ModelLibrary
  const ports: RequesterPorts = {
    library,
    manifestHash: async () => '0'.repeat(64) as ManifestHash,
    async admit({ promptTokens, maxTokens }) {
      const grant: Grant = {
        version: 1,
        revision: 0,
        sessionId: String(sessions++).padStart(32, '0') as SessionId,
        modelId,
        manifestHash: '0'.repeat(64) as ManifestHash,
        driver,
        stages: [stage],
        maxPositions: promptTokens + maxTokens,
        topK: 8,
        rowEncoding: 'f32',
        issuedAtMs: 0,
        expiresAtMs: 60_000,
      }
      return { grant: await signGrant(grant, signer), chain: [{ ...stage, engine: 'webgpu', adapter: 'test' }], held: 7n }
    },
    repair: () => Promise.reject(new TabswarmError('incomplete', 'nobody has these layers')),
    onGone: () => () => undefined,
    onDraining: () => () => undefined,
    beginDrafting: () => null,
    onHeld: (sessionId, held) => heldAt.push(`${Number(sessionId)} ${held}`),
    onLap: () => undefined,
    ended: ({ sessionId, outcome, failedPeerId }) => ended.push(`${Number(sessionId)} ${outcome} ${failedPeerId?.slice(0, 1) ?? '-'}`),
    router: async () => new LinkRouter({ dial: () => Promise.reject(new TabswarmError('unreachable', 'nobody there')), clock }),
    receipts: async () => ({ book, publicKey: signer.publicKey }),
    coordinatorKey: () => signer.publicKey,
    coordinatorNowMs: () => 1_000,
    verify: signatureVerifier(crypto.subtle),
    clock,
    ...change,
  }
  return { ports, ended, heldAt, clock }
}

describe('startAsk', () => {
  it('tells nothing before it has returned', async () => {
    const { ports } = await setUp({ admit: () => Promise.reject(new TabswarmError('busy', 'all tabs are busy')) })
    const seen: AskProgress[] = []
    const ask = startAsk(ports, request, (progress) => seen.push(progress))
    expect(seen).toEqual([])
    await expect(ask.answer).rejects.toThrow('busy')
    expect(seen[0]).toMatchObject({ phase: 'queued' })
  })

  it('asks for another chain when the first cannot be reached, and blames the stage when there is none', async () => {
    const repairs: RepairRequest[] = []
    const { ports, ended, heldAt, clock } = await setUp({
      repair: (wanted) => {
        repairs.push(wanted)
        return Promise.reject(new TabswarmError('incomplete', 'nobody has these layers'))
      },
    })
    const answer = startAsk(ports, request, () => undefined).answer.catch((error: unknown) => error)
    await expect.poll(() => clock.advance(GATHER_MS) ?? repairs.length).toBe(1)
    expect(await answer).toMatchObject({ reason: 'unreachable', message: expect.stringMatching(/nobody there.*nobody has these layers/) })
    expect(repairs).toMatchObject([{ revision: 0, lostPeerIds: [stage.peerId] }])
    expect(ended).toEqual(['0 failed a'])
    expect(heldAt).toEqual(['0 7'])
  })

  it('refuses a grant that the coordinator has not signed', async () => {
    const other = await createIdentity(crypto.subtle)
    const { ports } = await setUp({ coordinatorKey: () => other.publicKey })
    await expect(startAsk(ports, request, () => undefined).answer).rejects.toMatchObject({ reason: 'bad-grant' })
  })

  it('refuses a prompt that fills the context, in words, before it asks anybody', async () => {
    let admissions = 0
    const { ports } = await setUp({
      admit: () => {
        admissions++
        return Promise.reject(new Error('not to be asked'))
      },
    })
    const long = { ...request, prompt: { kind: 'raw' as const, text: 'x'.repeat(64) } }
    await expect(startAsk(ports, long, () => undefined).answer).rejects.toThrow(/64 tokens and the model reads 64.*shorten/)
    expect(admissions).toBe(0)
  })

  it('ends as cancelled when it is stopped while waiting, and gives a late place back', async () => {
    let grantIt: () => void = () => undefined
    const waiting = new Promise<void>((resolve) => {
      grantIt = resolve
    })
    const base = await setUp()
    const { ports, ended } = await setUp({
      admit: async (wanted, watch) => {
        await waiting
        return base.ports.admit(wanted, watch)
      },
      coordinatorKey: base.ports.coordinatorKey,
    })
    const ask = startAsk(ports, request, () => undefined)
    await new Promise((resolve) => setTimeout(resolve, 20))
    ask.stop()
    await expect(ask.answer).resolves.toMatchObject({ finishReason: 'cancelled', sessionId: null, completionTokenIds: [] })
    grantIt()
    await expect.poll(() => ended).toEqual(['0 cancelled -'])
  })
})

/**
 * The coordinator's own engine and its canaries, with everything real but the tabs' browsers: the driver's process, the auditor's process, stages with real
 * engines. A swarm in which all cheat together from the start, and nobody is left to audit, is found all the same.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { cheatingEngine } from '../../src/cheats/index.ts'
import { DEMO_STARTER_POLICY } from '../../src/coordinator/accounts/index.ts'
import { type CoordinatorStore, openStore } from '../../src/coordinator/store/index.ts'
import type { VerificationEffect } from '../../src/coordinator/verification/index.ts'
import type { Clock } from '../../src/shared/index.ts'
import type { Engine } from '../../src/worker/index.ts'
import { openRequester, openVolunteer, type RequesterTab, type VolunteerTab } from '../support/nodeTabs.ts'
import { openTinyModel } from '../support/tinyModels.ts'
import { startTestServer, type TestServer } from '../unit/coordinator/serverWorld.ts'

/** Time of receipts and between canaries passes so much faster. */
const SPEED = 5
const clock: Clock = {
  nowMs: () => performance.timeOrigin + SPEED * performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs / SPEED)
    return () => clearTimeout(timer)
  },
}
const randomBytes = (count: number) => crypto.getRandomValues(new Uint8Array(count))
const PROMPT = Array.from({ length: 20 }, (_, index) => (index * 37 + 11) % 200)
const ANSWER = 12
const SESSIONS = 12
const NEVER_MS = 24 * 3_600_000
const model = await openTinyModel('llama')
/** Two processes begin for a canary: a driver and an auditor. */
const PATIENCE_MS = 90_000

let folder: string
let store: CoordinatorStore
let server: TestServer
let key: string
let effects: VerificationEffect[] = []
const closers: (() => void)[] = []

beforeEach(async () => {
  effects = []
  folder = await mkdtemp(join(tmpdir(), 'tabswarm-own-'))
  store = await openStore({ kind: 'folder', folder: join(folder, 'data') }, { clock, randomBytes })
  const onVerification = (effect: VerificationEffect) => void effects.push(effect)
  const verification = { ruleAfterMs: NEVER_MS }
  const economy = { starters: DEMO_STARTER_POLICY, reserveADay: 1_000_000n, verification, onVerification, ownEngineBytes: 500e6 }
  server = await startTestServer({ clock, economy: { ...economy, store: Promise.resolve(store) }, minStages: 2 })
  const { id } = await store.accounts.createNamed('a client')
  await store.ledger.post({ kind: 'issue', reference: 'gift', account: id, purse: 'earned', amount: 1_000_000n, note: '' })
  key = (await store.keys.create(id, 'laptop', { models: null, pools: null, budget: null, requestsAMinute: null })).text
})
afterEach(async () => {
  for (const close of closers.splice(0)) close()
  await server.close()
  await rm(folder, { recursive: true, force: true })
})

const noise = (engine: Engine) => cheatingEngine('noise', engine, { random: Math.random, openAnother: async () => engine })

async function volunteer(disguise?: (engine: Engine) => Promise<Engine>): Promise<VolunteerTab> {
  const tab = await openVolunteer({ url: server.url, clock, model, macsPerSecond: 2e9, ...(disguise === undefined ? {} : { disguise }) })
  closers.push(() => tab.close())
  return tab
}

async function requester(): Promise<RequesterTab> {
  const tab = await openRequester({ url: server.url, clock, model })
  closers.push(() => tab.close())
  return tab
}

const all = <Kind extends VerificationEffect['kind']>(what: Kind) =>
  effects.filter((effect): effect is Extract<VerificationEffect, { kind: Kind }> => effect.kind === what)
const verdicts = () => all('verdict').map(({ peerId, verdict }) => [peerId, verdict] as const)

/** As a client of the API: the usage record of its answer, once its audits are over. */
async function askApi(stages: number): Promise<{ readonly status: number; readonly audits: () => Promise<readonly object[]> }> {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  const body = JSON.stringify({ model: model.manifest.id, prompt: PROMPT, max_tokens: ANSWER, temperature: 0 })
  const response = await fetch(new URL('/v1/completions', server.url), { method: 'POST', headers, body })
  await response.text()
  const usage = new URL(`/v1/usage/${response.headers.get('x-request-id')}`, server.url)
  const audits = async () => (await (await fetch(usage, { headers })).json()).audits as readonly object[]
  await expect.poll(audits, { timeout: PATIENCE_MS }).toHaveLength(stages)
  return { status: response.status, audits }
}

describe('the coordinator’s own engine', () => {
  it('[V27][V29] finds honest stages of its gateway’s sessions right, where no peer may audit, and stands in the route record', async () => {
    const tabs = [await volunteer(), await volunteer()]
    const { status, audits } = await askApi(2)
    expect(status).toBe(200)
    expect(await audits()).toMatchObject(Array(2).fill({ auditors: [{ kind: 'coordinator', peer: null }], verdict: 'valid' }))
    expect(
      verdicts()
        .map(([peerId]) => peerId)
        .sort(),
    ).toEqual(tabs.map(({ peerId }) => peerId).sort())
    expect(all('audit').map(({ auditor }) => auditor)).toEqual(Array(2).fill({ kind: 'coordinator', arithmetic: 'fast' }))
    // Nobody is paid for it.
    expect(all('pay-audit')).toEqual([])
  }, 120_000)

  it('[V18][V29] convicts by two arithmetics that agree: no peer is needed', async () => {
    const [cheat, honest] = [await volunteer(noise), await volunteer()]
    const { audits } = await askApi(2)
    expect(verdicts()).toContainEqual([cheat.peerId, 'failed'])
    expect(verdicts()).toContainEqual([honest.peerId, 'valid'])
    const both = [
      { kind: 'coordinator', peer: null },
      { kind: 'coordinator', peer: null },
    ]
    expect(await audits()).toContainEqual(expect.objectContaining({ peer: cheat.peerId, auditors: both, verdict: 'failed' }))
  }, 120_000)
})

describe('canaries', () => {
  it('[V30] find a swarm in which all cheat together from the start, though its requesters are tabs and nobody may audit', async () => {
    const tabs = [await volunteer(noise), await volunteer(noise)]
    const asks = await requester()
    // So many pay enough for verification: this model reads a letter a token.
    for (let session = 0; session < SESSIONS; session++) await asks.ask(PROMPT, ANSWER)
    const isOver = () => tabs.every(({ peerId }) => verdicts().some(([stage, verdict]) => stage === peerId && verdict === 'failed'))
    await expect.poll(isOver, { timeout: PATIENCE_MS }).toBe(true)
    expect(new Set(all('canary').map(({ peerId }) => peerId))).toEqual(new Set(tabs.map(({ peerId }) => peerId)))
    expect(verdicts().filter(([, verdict]) => verdict === 'undecided')).toHaveLength(2 * SESSIONS)
    // What the tab's sessions had brought them goes back to who asked, too.
    await expect.poll(async () => (await store.ledger.open('escrow')).length, { timeout: PATIENCE_MS }).toBe(0)
    for (const { account } of tabs) expect(await store.ledger.paid(account)).toBe(0n)
    expect(server.log.filter((line) => line.includes('canary'))).toEqual([])
    await store.ledger.audit()
  }, 180_000)
})

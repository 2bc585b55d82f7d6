/**
 * Audits through a running coordinator: real stages with real engines over real sockets. Who computes something else is found by who computes the same
 * again, is paid nothing, and is out the second time; who is honest is paid, also where all belong to one person but the requester.
 */

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { cheatingEngine } from '../../src/cheats/index.ts'
import { DEMO_STARTER_POLICY } from '../../src/coordinator/accounts/index.ts'
import { type CoordinatorStore, openStore } from '../../src/coordinator/store/index.ts'
import { VERIFICATION_DEFAULTS, type VerificationEffect } from '../../src/coordinator/verification/index.ts'
import { createIdentity } from '../../src/network/index.ts'
import type { Clock, Signer } from '../../src/shared/index.ts'
import type { Engine } from '../../src/worker/index.ts'
import { type SharedDatabase, shareDatabase, storeKinds } from '../support/ledger/stores.ts'
import { openRequester, openVolunteer, type RequesterTab, type VolunteerTab } from '../support/nodeTabs.ts'
import { openTinyModel } from '../support/tinyModels.ts'
import { startTestServer, type TestServer } from '../unit/coordinator/serverWorld.ts'

/** Time of receipts that are waited for passes so much faster. */
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
/** Of a newcomer all are audited. */
const NEWCOMER_RESULTS = VERIFICATION_DEFAULTS.newcomerResults
const model = await openTinyModel('llama')

/** So far in the future that no rule pays within a test. */
const NEVER_MS = 24 * 3_600_000

describe.each(storeKinds)('audits on %s', (kind) => {
  let shared: SharedDatabase
  let store: CoordinatorStore
  let server: TestServer
  let effects: VerificationEffect[] = []
  const closers: (() => void)[] = []

  beforeEach(async () => {
    effects = []
    shared = await shareDatabase(kind)
    await shared.database.close()
    store = await openStore(shared.place, { clock, randomBytes })
  })
  afterEach(async () => {
    for (const close of closers.splice(0)) close()
    await server.close()
    shared.remove()
  })

  async function serve(ruleAfterMs: number, minStages = 1): Promise<void> {
    const onVerification = (effect: VerificationEffect) => void effects.push(effect)
    const economy = { starters: DEMO_STARTER_POLICY, reserveADay: 1_000_000n, verification: { ruleAfterMs }, onVerification }
    server = await startTestServer({ clock, economy: { ...economy, store: Promise.resolve(store) }, minStages })
  }

  async function volunteer(macsPerSecond: number, more: Partial<Parameters<typeof openVolunteer>[0]> = {}): Promise<VolunteerTab> {
    const tab = await openVolunteer({ url: server.url, clock, model, macsPerSecond, ...more })
    closers.push(() => tab.close())
    return tab
  }

  async function requester(owner?: Signer): Promise<RequesterTab> {
    const tab = await openRequester({ url: server.url, clock, model, ...(owner === undefined ? {} : { owner }) })
    closers.push(() => tab.close())
    return tab
  }

  const all = <Kind extends VerificationEffect['kind']>(what: Kind) =>
    effects.filter((effect): effect is Extract<VerificationEffect, { kind: Kind }> => effect.kind === what)
  const escrow = async () => (await store.ledger.open('escrow')).length

  /** An answer, and whatever verification says of it. */
  async function ask(asks: RequesterTab): Promise<void> {
    const before = all('verdict').length
    await asks.ask(PROMPT, ANSWER)
    await expect.poll(() => all('verdict').length, { timeout: 20_000 }).toBe(before + 1)
    await expect.poll(async () => (await store.ledger.open('hold')).length, { timeout: 20_000 }).toBe(0)
  }

  it('[V15][V17][V21][V24] honest stages are found valid by others, which are paid for it, and are paid all once they are trusted', async () => {
    await serve(NEVER_MS)
    // Who is fastest is asked; the others audit.
    const [stage, ...auditors] = [await volunteer(4e9), await volunteer(2e9), await volunteer(1e9)]
    const asks = await requester()
    for (let session = 0; session < NEWCOMER_RESULTS; session++) await ask(asks)
    expect(all('verdict').map(({ peerId, verdict }) => [peerId, verdict])).toEqual(Array(NEWCOMER_RESULTS).fill([stage.peerId, 'valid']))
    const passed = Array.from({ length: NEWCOMER_RESULTS }, (_, index) => ({
      role: 'stage',
      verdict: 'valid',
      standing: { validInARow: index + 1 },
    }))
    await expect.poll(() => stage.verdicts).toMatchObject(passed)
    await expect.poll(escrow).toBe(0)
    expect(await store.ledger.paid(stage.account)).toBeGreaterThan(0n)
    const paid = all('pay-audit').map(({ peerId }) => peerId)
    expect(paid).toHaveLength(NEWCOMER_RESULTS)
    const isPaid = async ({ account }: VolunteerTab) => (await store.ledger.paid(account)) > 0n
    for (const auditor of auditors) await expect.poll(() => isPaid(auditor)).toBe(paid.includes(auditor.peerId))
    await store.ledger.audit()
  })

  it('[V18][V24] who computes something else is found by two others, is told so, is paid nothing, and is out the second time', async () => {
    await serve(NEVER_MS)
    const disguise = (engine: Engine) => cheatingEngine('noise', engine, { random: Math.random, openAnother: async () => engine })
    const cheat = await volunteer(4e9, { disguise })
    const others = [await volunteer(2e9), await volunteer(1e9)]
    const asks = await requester()
    await ask(asks)
    expect(all('verdict')).toMatchObject([{ peerId: cheat.peerId, verdict: 'failed' }])
    expect(
      all('pay-audit')
        .map(({ peerId }) => peerId)
        .sort(),
    ).toEqual(others.map(({ peerId }) => peerId).sort())
    expect(all('ban')).toEqual([])
    await ask(asks)
    expect(all('ban')).toMatchObject([{ holder: cheat.account }])
    expect(await cheat.ended).toMatchObject({ reason: 'banned' })
    expect(cheat.verdicts.map(({ verdict, standing }) => [verdict, standing.failures])).toEqual([
      ['failed', 1],
      ['failed', 2],
    ])
    expect(others.flatMap(({ verdicts }) => verdicts)).toEqual([])
    await expect.poll(escrow).toBe(0)
    expect(await store.ledger.paid(cheat.account)).toBe(0n)
    await store.ledger.audit()
    // Without it the network goes on.
    await asks.ask(PROMPT, ANSWER)
  })

  it('[V26] where nobody who serves the layers may audit, somebody with room loads them for it', async () => {
    await serve(NEVER_MS, 2)
    const tabs = [await volunteer(2e9), await volunteer(2e9), await volunteer(2e9)]
    const asks = await requester()
    const sessions = 2
    for (let session = 1; session <= sessions; session++) {
      const { grant } = await asks.ask(PROMPT, ANSWER)
      expect(grant.stages).toHaveLength(2)
      await expect.poll(() => all('verdict').length, { timeout: 20_000 }).toBe(2 * session)
    }
    expect(all('verdict').map(({ verdict }) => verdict)).toEqual(Array(2 * sessions).fill('valid'))
    // Three tabs, two halves: who audits serves one of them at most.
    const kinds = all('audit').map(({ auditor }) => auditor.kind)
    expect(kinds.filter((kind) => kind === 'spare').length).toBeGreaterThanOrEqual(sessions)
    expect(all('pay-audit')).toHaveLength(2 * sessions)
    for (const { host } of tabs) expect(host.served).not.toBeNull()
    await store.ledger.audit()
  })

  it('two tabs of one person settle: nobody may audit, and the rule pays', async () => {
    await serve(20_000)
    const owner = await createIdentity(crypto.subtle)
    const stage = await volunteer(2e9, { owner })
    await volunteer(1e9, { owner })
    await ask(await requester())
    expect(all('verdict')).toMatchObject([{ peerId: stage.peerId, verdict: 'undecided' }])
    await expect.poll(escrow, { timeout: 20_000 }).toBe(0)
    expect(all('release')).toMatchObject([{ reason: 'rule' }])
    expect(await store.ledger.paid(stage.account)).toBeGreaterThan(0n)
  })
})

/**
 * Credits through a running coordinator: real sockets and keys, real databases. A requester asks two volunteers, and the test signs what each would
 * sign of a session, honest or not. Afterwards nothing is held, escrow is empty, what pages are told is what the ledger has, and the ledger is right.
 */

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { DEFAULT_STARTER_POLICY } from '../../src/coordinator/accounts/index.ts'
import { SESSIONS_PER_REQUESTER_MAX } from '../../src/coordinator/core/index.ts'
import { type CoordinatorStore, openStore } from '../../src/coordinator/store/index.ts'
import { createIdentity, peerIdOf, sha256Of } from '../../src/network/index.ts'
import {
  type AccountAnswerTo,
  type AccountAsk,
  type AccountAskOf,
  certifyPeer,
  type Grant,
  openGrant,
  QUEUE_WAIT_MS_MAX,
  type Receipt,
  type RowCounts,
  type ServerMessage,
  type SignedReceipt,
  signReceipt,
} from '../../src/protocol/index.ts'
import { type Clock, fromBase64Url, type PeerId, required, type Signer, type Tier } from '../../src/shared/index.ts'
import { type SharedDatabase, shareDatabase, storeKinds } from '../support/ledger/stores.ts'
import { NO_AUDITS } from '../support/noAudits.ts'
import { Client, identifyMessage, pledge, serveNext, startTestServer, type TestServer, verify } from '../unit/coordinator/serverWorld.ts'
import { Ring } from '../unit/verification/ring.ts'

/** Minutes of waiting for receipts that never come are seconds. */
const SPEED = 10
const RULE_AFTER_MS = 5_000
const STARTER = DEFAULT_STARTER_POLICY.amount
const PROMPT = 200
const ANSWER = 100

const clock: Clock = {
  nowMs: () => performance.timeOrigin + SPEED * performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs / SPEED)
    return () => clearTimeout(timer)
  },
}
const randomBytes = (count: number) => crypto.getRandomValues(new Uint8Array(count))

interface Party {
  readonly client: Client
  readonly peerId: PeerId
  readonly signer: Signer
  readonly coordinatorKey: Uint8Array
  /** From what it was told first. */
  readonly account: string
}

type Amounts = Pick<Extract<ServerMessage, { type: 'account' }>, 'spendable' | 'held' | 'escrow' | 'earned'>

describe.each(storeKinds)('credits on %s', (kind) => {
  let shared: SharedDatabase
  let store: CoordinatorStore
  let server: TestServer
  const parties: Party[] = []
  /** Of the last admission. */
  let lastHeld: string | null = null

  beforeAll(async () => {
    shared = await shareDatabase(kind)
    await shared.database.close()
    store = await openStore(shared.place, { clock, randomBytes })
    const verification = { ruleAfterMs: RULE_AFTER_MS }
    const economy = { starters: DEFAULT_STARTER_POLICY, reserveADay: STARTER, verification, audits: NO_AUDITS }
    server = await startTestServer({ clock, economy: { ...economy, store: Promise.resolve(store) } })
  })
  afterAll(async () => {
    await server.close()
    await shared.remove()
  })
  afterEach(async () => {
    for (const { client } of parties.splice(0)) client.socket.close()
  })

  /** A tab of an account of its own, or of `owner`'s. */
  async function join(owner?: Signer): Promise<Party> {
    const signer = await createIdentity(crypto.subtle)
    const client = new Client(server.control)
    const challenge = await client.next('challenge')
    const message = await identifyMessage(challenge, signer)
    const peerId = await peerIdOf(signer.publicKey, sha256Of(crypto.subtle))
    client.send(owner === undefined ? message : { ...message, certificate: await certifyPeer(peerId, owner, clock.nowMs()) })
    await client.next('welcome')
    const { accountId } = await client.next('account')
    const coordinatorKey = required(fromBase64Url(challenge.coordinatorKey), 'the coordinator’s key')
    const party = { client, peerId, signer, coordinatorKey, account: accountId }
    parties.push(party)
    return party
  }

  async function volunteer(owner?: Signer): Promise<Party> {
    const party = await join(owner)
    party.client.send(pledge())
    await serveNext(party.client)
    return party
  }

  /** A session over both volunteers: its grant, as it was signed. */
  async function admit(driver: Party): Promise<Grant> {
    const message = { type: 'admit', requestId: 'r', modelId: server.modelId as Grant['modelId'] } as const
    driver.client.send({ ...message, promptTokens: PROMPT, maxTokens: 2 * ANSWER })
    const { grant, held } = await driver.client.next('admitted')
    lastHeld = held
    const opened = await openGrant(grant, driver.coordinatorKey, verify, clock.nowMs())
    if (!opened.ok) throw new Error(opened.error)
    return opened.value
  }

  const answer = (grant: Grant) => new Ring(grant).submit('prompt', PROMPT).flow().submit('decode', ANSWER).flow()

  async function sign(all: readonly Party[], receipts: readonly Receipt[]): Promise<void> {
    for (const receipt of receipts) {
      const party = required(
        all.find(({ peerId }) => peerId === receipt.peerId),
        'who signs it',
      )
      party.client.send({ type: 'receipt', receipt: await signReceipt(receipt, party.signer) })
    }
  }

  /** Ends the session by the driver's word, and waits until nothing is held or in escrow any more. */
  async function end(driver: Party, { sessionId }: Grant, outcome: 'finished' | 'cancelled' = 'finished'): Promise<void> {
    driver.client.send({ type: 'ended', sessionId, outcome, failedPeerId: null, laps: null })
    await untilSettled()
  }

  async function untilSettled(): Promise<void> {
    const open = async () => [...(await store.ledger.open('hold')), ...(await store.ledger.open('escrow'))]
    await expect.poll(async () => (await store.ledger.open('hold')).length, { timeout: 20_000 }).toBe(0)
    await expect.poll(async () => (await open()).length, { timeout: 20_000 }).toBe(0)
    await store.ledger.audit()
  }

  /** What the ledger has for it, as pages are told it. */
  async function amountsOf({ account }: Party): Promise<Amounts> {
    const balances = await store.ledger.balances(account)
    const sum = (kind: string) => balances.reduce((all, one) => (one.account.kind === kind ? all + one.amount : all), 0n).toString()
    return { spendable: sum('user'), held: sum('hold'), escrow: sum('escrow'), earned: (await store.ledger.paid(account)).toString() }
  }

  /** Micro-credits: what it has above what it was granted. */
  async function gain(party: Party): Promise<bigint> {
    const granted = (await store.ledger.events(party.account, 0, 100)).some(({ event }) => event.command.kind === 'issue')
    return BigInt((await amountsOf(party)).spendable) - (granted ? STARTER : 0n)
  }

  const paidBy = async (party: Party) => -(await gain(party))

  /** What an honest session costs: of this model the same each time. */
  let honestCharge = 0n

  it('[E10] [E11] an honest session: the requester pays, both stages are paid after the rule’s time, and pages say what the ledger has', async () => {
    const [first, second, driver] = [await volunteer(), await volunteer(), await join()]
    const grant = await admit(driver)
    expect(grant.stages).toHaveLength(2)
    expect(lastHeld).toBe((await amountsOf(driver)).held)
    await sign([driver, first, second], answer(grant).finals())
    await end(driver, grant)
    honestCharge = await paidBy(driver)
    expect(honestCharge).toBeGreaterThan(0n)
    expect(await driver.client.next('settled')).toMatchObject({ sessionId: grant.sessionId, charged: honestCharge.toString() })
    const [one, two] = [await gain(first), await gain(second)]
    expect(one > 0n && two > 0n).toBe(true)
    // Newcomers get half of 82 %, by largest remainder.
    expect(Number(one + two) / Number(honestCharge)).toBeCloseTo(0.41, 1)
    for (const party of [first, second, driver]) {
      const amounts = await amountsOf(party)
      expect(amounts).toMatchObject({ held: '0', escrow: '0' })
      // At last; `next` gives up when nothing more is told.
      for (let told = ''; told !== JSON.stringify(amounts); ) {
        const { spendable, held, escrow, earned } = await party.client.next('account')
        told = JSON.stringify({ spendable, held, escrow, earned })
      }
    }
    const month = new Date(clock.nowMs()).toISOString().slice(0, 7)
    driver.client.send({ type: 'statement', requestId: 's', month, cursor: null })
    const statement = await driver.client.next('statement')
    expect(statement.lines.map(({ kind }) => kind)).toEqual(['issue', 'hold', 'settle', 'release'])
    expect(statement.closing).toMatchObject({ available: (await amountsOf(driver)).spendable, held: '0', escrow: '0' })
  })

  it('a driver that reports half pays for all: two stages say so', async () => {
    const [first, second, driver] = [await volunteer(), await volunteer(), await join()]
    const grant = await admit(driver)
    const half = ({ prompt, decode, results }: RowCounts) => ({ prompt: prompt / 2, decode: decode / 2, results: results / 2 })
    const receipts = answer(grant).finals()
    const bent = receipts.map((receipt) => {
      if (receipt.party.kind === 'stage') return receipt
      const { sent, received } = receipt
      const shorter = (tally: typeof sent) => ({ ...tally, ...half(tally), endPosition: (PROMPT + ANSWER) / 2, hash: 'ab'.repeat(32) })
      return { ...receipt, sent: shorter(sent), received: shorter(received) }
    })
    await sign([driver, first, second], bent)
    await end(driver, grant)
    expect(await paidBy(driver)).toBe(honestCharge)
  })

  it('a stage that reports twice what it did is paid nothing, its neighbour all the same, and the requester no more', async () => {
    const [first, second, driver] = [await volunteer(), await volunteer(), await join()]
    const grant = await admit(driver)
    const liar = required(
      [first, second].find(({ peerId }) => peerId === grant.stages[1]?.peerId),
      'the second stage',
    )
    const honest = liar === first ? second : first
    const more = { prompt: 2 * PROMPT, decode: 2 * ANSWER, results: 2 * ANSWER }
    const bent = answer(grant)
      .finals()
      .map((receipt): Receipt => {
        if (receipt.peerId !== liar.peerId || receipt.party.kind !== 'stage') return receipt
        return { ...receipt, party: { ...receipt.party, computed: more }, received: { ...receipt.received, ...more } }
      })
    await sign([driver, first, second], bent)
    await end(driver, grant)
    expect(await gain(liar)).toBe(0n)
    expect(await gain(honest)).toBeGreaterThan(0n)
    expect(await paidBy(driver)).toBeLessThan(honestCharge)
    const trust = new Map(await store.trust.load())
    expect(trust.get(liar.account)).toMatchObject({ failures: 1 })
    expect(trust.get(honest.account)?.failures ?? 0).toBe(0)
  })

  it('a driver that stops half-way pays for the work that was done until then, and the rest goes back', async () => {
    const [first, second, driver] = [await volunteer(), await volunteer(), await join()]
    const grant = await admit(driver)
    // Six of ten rows of the answer were computed when it stopped.
    const ring = new Ring(grant)
      .submit('prompt', PROMPT)
      .flow()
      .submit('decode', 0.6 * ANSWER)
      .flow()
    await sign([driver, first, second], ring.finals())
    await end(driver, grant, 'cancelled')
    const paid = await paidBy(driver)
    const decodeShare = ANSWER / (ANSWER + PROMPT / 4)
    expect(Number(paid) / Number(honestCharge)).toBeCloseTo(1 - 0.4 * decodeShare, 1)
    for (const stage of [first, second]) expect(await gain(stage)).toBeGreaterThan(0n)
  })

  it('a driver that vanishes pays for what its stages agree that they have done', async () => {
    const [first, second, driver] = [await volunteer(), await volunteer(), await join()]
    const grant = await admit(driver)
    driver.client.socket.close()
    await sign([first, second], answer(grant).finals().slice(1))
    await untilSettled()
    expect(await paidBy(driver)).toBe(honestCharge)
    for (const stage of [first, second]) expect(await gain(stage)).toBeGreaterThan(0n)
  })

  it('[E5] on loopback every newcomer gets its grant, however many come from there', async () => {
    const [stages, newcomers] = [[await volunteer(), await volunteer()], await Promise.all(Array.from({ length: 6 }, () => join()))]
    expect(newcomers.length).toBeGreaterThan(required(DEFAULT_STARTER_POLICY.grantsABlock ?? undefined, 'a limit a block'))
    for (const driver of newcomers) {
      const grant = await admit(driver)
      await sign([driver, ...stages], answer(grant).finals())
      await end(driver, grant)
      const issued = (await store.ledger.events(driver.account, 0, 10)).map(({ event: { command } }) => command)
      expect(issued[0]).toMatchObject({ kind: 'issue', amount: STARTER })
    }
  })

  it('a driver that never signs pays what its stages agree to', async () => {
    const [first, second, driver] = [await volunteer(), await volunteer(), await join()]
    const grant = await admit(driver)
    await sign([driver, first, second], answer(grant).finals().slice(1))
    await end(driver, grant)
    expect(await paidBy(driver)).toBe(honestCharge)
  })

  it('a stage that vanishes is paid nothing that nobody signed, its neighbour what the driver got', async () => {
    const [first, second, driver] = [await volunteer(), await volunteer(), await join()]
    const grant = await admit(driver)
    const gone = required(
      [first, second].find(({ peerId }) => peerId === grant.stages[1]?.peerId),
      'the second stage',
    )
    const left = gone === first ? second : first
    gone.client.socket.close()
    await sign(
      [driver, left],
      answer(grant)
        .finals()
        .filter(({ peerId }) => peerId !== gone.peerId),
    )
    await end(driver, grant)
    expect(await gain(gone)).toBe(0n)
    expect(await gain(left)).toBeGreaterThan(0n)
    const paid = await paidBy(driver)
    expect(paid > 0n && paid < honestCharge).toBe(true)
  })

  it('[V25] a silent driver pays its only stage what it has acknowledged to it; what the stage says in its name counts for nothing', async () => {
    const silentSession = async (forwarded: (acknowledged: Receipt, stage: Party, driver: Party) => Promise<SignedReceipt>) => {
      const [stage, driver] = [await volunteer(), await join()]
      const grant = await admit(driver)
      expect(grant.stages).toHaveLength(1)
      const ring = new Ring(grant).submit('prompt', PROMPT).flow()
      const acknowledged = ring.receipt(0)
      ring.submit('decode', ANSWER).flow()
      stage.client.send({ type: 'receipt', receipt: await forwarded(acknowledged, stage, driver) })
      await sign([stage], [ring.receipt(1, { final: true })])
      await end(driver, grant)
      const result = { paid: await paidBy(driver), gained: await gain(stage) }
      for (const { client } of parties.splice(0)) client.socket.close()
      return result
    }
    const honest = await silentSession((acknowledged, _, driver) => signReceipt(acknowledged, driver.signer))
    expect(honest.gained > 0n && honest.paid > honest.gained).toBe(true)
    const forged = await silentSession((acknowledged, stage) => signReceipt(acknowledged, stage.signer))
    expect(forged).toEqual({ paid: 0n, gained: 0n })
  })

  it('colluders with a forged driver pay each other, a fee less, and gain nothing that can be transferred', async () => {
    const owner = await createIdentity(crypto.subtle)
    const [first, second, driver] = [await volunteer(owner), await volunteer(owner), await join(owner)]
    expect(new Set([first.account, second.account, driver.account]).size).toBe(1)
    const grant = await admit(driver)
    // Nothing was computed; everybody signs what would have been.
    await sign([driver, first, second], answer(grant).finals())
    await end(driver, grant)
    expect(await gain(driver)).toBeLessThan(0n)
    // Three accounts that nobody knows to belong together.
    const strangers = [await volunteer(), await volunteer(), await join()]
    const asks = required(strangers[2], 'the driver')
    const next = await admit(asks)
    await sign([...strangers, first, second], answer(next).finals())
    await end(asks, next)
    const gains = await Promise.all(strangers.map(gain))
    expect(gains.reduce((sum, one) => sum + one, 0n)).toBeLessThan(0n)
    const balances = await Promise.all(strangers.map(({ account }) => store.ledger.balances(account)))
    expect(balances.flat().filter(({ account }) => account.kind === 'user' && account.purse === 'earned')).toEqual([])
  })

  it('[T3] [T5] who was invited into a team earns nothing from who invited it any more, also after both have left; a stranger does', async () => {
    const [first, second, driver] = [await volunteer(), await volunteer(), await join()]
    let asked = 0
    const ask = async <Kind extends AccountAsk['kind']>({ client }: Party, one: AccountAskOf<Kind>): Promise<AccountAnswerTo<Kind>> => {
      client.send({ type: 'account-request', requestId: `t${++asked}`, ask: one })
      return (await client.next('account-answer')).answer as AccountAnswerTo<Kind>
    }
    /** What of its pay each volunteer keeps of a session that the driver pays. */
    const session = async (): Promise<readonly boolean[]> => {
      const before = [await gain(first), await gain(second)]
      const grant = await admit(driver)
      expect(grant.stages).toHaveLength(2)
      await sign([driver, first, second], answer(grant).finals())
      await end(driver, grant)
      return [(await gain(first)) > (before[0] ?? 0n), (await gain(second)) > (before[1] ?? 0n)]
    }
    expect(await session()).toEqual([true, true])
    const { team } = await ask<'create-team'>(driver, { kind: 'create-team', name: 'Lab', models: null, pools: null })
    const { code } = await ask<'invite'>(driver, { kind: 'invite', teamId: team.id })
    expect(await ask<'accept-invitation'>(first, { kind: 'accept-invitation', code })).toMatchObject({ teamId: team.id })
    expect(await session()).toEqual([false, true])
    await ask<'remove-member'>(first, { kind: 'remove-member', teamId: team.id, accountId: first.account })
    expect(await session()).toEqual([false, true])
    const refunds = (await store.ledger.events(first.account, 0, 100)).filter(({ event }) => event.command.kind === 'refund')
    expect(refunds).toHaveLength(2)
  })

  it('[C34] [E2] a request that waits holds its tier’s price, which goes with it into its session, or back', async () => {
    const [, , driver] = [await volunteer(), await volunteer(), await join()]
    const open: Grant[] = []
    while (open.length < SESSIONS_PER_REQUESTER_MAX) open.push(await admit(driver))
    const price = required(lastHeld ?? undefined, 'what one holds')
    const held = BigInt(price) * BigInt(open.length)
    const { modelId } = required(open[0], 'a session')
    const size = { promptTokens: PROMPT, maxTokens: 2 * ANSWER }
    const wait = (requestId: string, tier: Tier) =>
      driver.client.send({ type: 'admit', requestId, modelId, ...size, tier, waitMs: QUEUE_WAIT_MS_MAX })
    wait('dear', 'priority')
    expect(await driver.client.next('queued')).toMatchObject({ requestId: 'dear', ahead: 0 })
    wait('cheap', 'spot')
    expect(await driver.client.next('queued')).toMatchObject({ requestId: 'cheap', ahead: 1 })
    const inAll = (held * 2n + BigInt(price) * 5n) / 2n
    expect(Number((await amountsOf(driver)).held) / Number(inAll)).toBeCloseTo(1, 2)
    driver.client.send({ type: 'withdraw', requestId: 'cheap' })
    expect(await driver.client.next('refused')).toMatchObject({ requestId: 'cheap', reason: 'cancelled' })
    await expect.poll(async () => Number((await amountsOf(driver)).held) / Number(held + 2n * BigInt(price))).toBeCloseTo(1, 2)
    driver.client.send({
      type: 'ended',
      sessionId: required(open.pop(), 'one').sessionId,
      outcome: 'cancelled',
      failedPeerId: null,
      laps: null,
    })
    const admitted = await driver.client.next('admitted')
    expect(admitted.requestId).toBe('dear')
    expect(Number(admitted.held) / Number(price)).toBeCloseTo(2, 1)
    // Its socket goes while another waits.
    wait('left', 'standard')
    await driver.client.next('queued')
    driver.client.socket.close()
    await expect.poll(async () => (await store.ledger.open('hold')).length, { timeout: 60_000 }).toBe(0)
    await store.ledger.audit()
  })

  it('[E12] a tab whose account is no volunteer is told so when it pledges, and its socket is closed', async () => {
    const owner = await createIdentity(crypto.subtle)
    const first = await join(owner)
    await store.accounts.change(first.account, { roles: ['requester'] })
    first.client.send(pledge())
    expect(await first.client.next('error')).toMatchObject({ reason: 'no-volunteer' })
    await first.client.closed
    await store.accounts.change(first.account, { roles: ['requester', 'volunteer'] })
    expect((await volunteer(owner)).account).toBe(first.account)
  })

  it('[E2] who has nothing left is refused, with what is missing', async () => {
    const [, , driver] = [await volunteer(), await volunteer(), await join()]
    const grant = await admit(driver)
    await end(driver, grant)
    const { spendable } = await amountsOf(driver)
    const purse = (await store.ledger.balances(driver.account))[0]?.account.purse
    expect(purse).toMatch(/^granted\//)
    await store.ledger.post({ kind: 'compensate', event: `issue/starter-${driver.account}`, note: 'for the test' })
    expect((await amountsOf(driver)).spendable).toBe((BigInt(spendable) - STARTER).toString())
    const message = { type: 'admit', requestId: 'poor', modelId: grant.modelId, promptTokens: PROMPT, maxTokens: ANSWER } as const
    driver.client.send(message)
    const refused = await driver.client.next('refused')
    expect(refused).toMatchObject({ requestId: 'poor', reason: 'insufficient-credits' })
    expect(refused.message).toMatch(/^your account has 0 credits, and this answer may cost 0\.0/)
  })
})

/** Canaries: when they are sent, who pays for them, and what their questions are like. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canaryQuestion } from '../../../src/coordinator/economy/canaryPrompts.ts'
import type { AuditDesk, CanaryDriver } from '../../../src/coordinator/economy/index.ts'
import { required } from '../../../src/shared/index.ts'
import { NO_AUDITS } from '../../support/noAudits.ts'
import { Ring } from '../verification/ring.ts'
import { CREDIT, fundedWorld } from './fundedWorld.ts'
import { type EconomyWorld, MODEL } from './world.ts'

const STAGES = ['a', 'b', 'c']
const HOUR_MS = 3_600_000
/** Nobody audits but the coordinator, which finds all right. */
const OWN_ENGINE: AuditDesk = {
  ...NO_AUDITS,
  hasOwnEngine: () => true,
  handle(effect, tell) {
    if (effect.kind === 'challenge') tell({ kind: 'answered', claimId: effect.claimId, committed: true })
    if (effect.kind === 'audit') tell({ kind: 'audited', claimId: effect.claimId, distance: 0, between: null })
  },
}

/** The gateway's driver: asks over the chain `stages`, as the economy's world does for any other. */
function scripted(stages: readonly string[]) {
  const asked: { readonly text: string; readonly maxTokens: number }[] = []
  let world: EconomyWorld | null = null
  const driver: CanaryDriver = {
    prepare: async (modelId, text) => ({
      promptTokens: 30,
      async ask({ maxTokens, voucher }) {
        expect(modelId).toBe(MODEL)
        asked.push({ text, maxTokens })
        const made = required(world, 'a world')
        const grant = await made.open('gateway', stages, 30, maxTokens, voucher)
        await made.sign(new Ring(grant).submit('prompt', 30).flow().submit('decode', Math.min(5, maxTokens)).flow().finals())
        made.economy.session({ kind: 'closed', sessionId: grant.sessionId, outcome: 'finished', sawFailure: false })
      },
    }),
  }
  return {
    driver,
    asked,
    over(made: EconomyWorld): void {
      world = made
    },
  }
}

/** Some sessions: newcomers leave half of their share to verification, which then has enough for a question. */
const SESSIONS = 3
async function sessions(made: EconomyWorld): Promise<void> {
  for (let count = 0; count < SESSIONS; count++) await made.session('driver', STAGES)
}

async function doubtful(stages: readonly string[] = STAGES) {
  const canaries = scripted(stages)
  const made = await fundedWorld({ audits: OWN_ENGINE, canaries: canaries.driver })
  canaries.over(made)
  await made.join(['gateway', 'd', 'e'])
  return { made, asked: canaries.asked }
}

const kinds = (made: EconomyWorld) => made.store.events.map(({ command }) => command.kind)

describe('[V30] canaries', () => {
  it('are asked where nobody may audit, once for a whole chain, paid out of verification, and make its stages’ audits', async () => {
    const { made, asked } = await doubtful()
    await sessions(made)
    // The first of them had not paid for it yet.
    expect(asked).toEqual([])
    const before = await made.sums()
    await made.wait(60_000)
    expect(asked).toHaveLength(1)
    expect(made.messages('verdict', 'a').map(({ verdict }) => verdict)).toEqual(['undecided', 'undecided', 'undecided', 'valid'])
    const spent = made.store.events.find(({ command }) => command.kind === 'canary')
    expect(spent?.postings.map(({ account: { kind } }) => kind)).toEqual(['verification', 'user'])
    const after = await made.sums()
    // Nothing but sessions and this one: what was in circulation is what is.
    expect(after.issuance).toBe(before.issuance)
    await made.wait(HOUR_MS)
    expect(asked).toHaveLength(1)
    expect(made.log).toEqual([])
  })

  it('wait until sessions have paid enough for verification', async () => {
    const { made, asked } = await doubtful()
    const drained = await made.account('driver')
    await sessions(made)
    const { verification } = await made.sums()
    await made.store.ledger.post({ kind: 'canary', reference: 'drained', account: drained, amount: verification })
    await made.wait(600_000)
    expect([asked.length, kinds(made).filter((kind) => kind === 'canary').length]).toEqual([0, 1])
    await sessions(made)
    await made.wait(120_000)
    expect(asked.length).toBeGreaterThan(0)
  })

  it('take what is left of the last one first', async () => {
    const { made } = await doubtful()
    await sessions(made)
    await made.wait(120_000)
    const account = required(
      made.store.events.flatMap(({ command }) => (command.kind === 'canary' ? [command.account] : []))[0],
      'a canary',
    )
    const left = required((await made.store.ledger.spendable([account])).get(account), 'a balance')
    // Its answer was shorter than it might have been.
    expect(left).toBeGreaterThan(0n)
    await made.session('driver', STAGES)
    await made.wait(120_000)
    const [first, second] = made.store.events.flatMap(({ command }) => (command.kind === 'canary' ? [command.amount] : []))
    const [, held] = made.store.events.flatMap(({ command }) =>
      command.kind === 'hold' && command.account === account ? [command.amount] : [],
    )
    expect(second === undefined ? 0n : second).toBe(required(held, 'a second hold') > left ? required(held, 'it') - left : 0n)
    expect(first).toBeGreaterThan(0n)
  })

  it('go on, seldom and one at a time, while a peer in doubt is in no chain, and end with its hour', async () => {
    const { made, asked } = await doubtful(['d', 'e'])
    await made.session('driver', STAGES)
    for (let session = 0; session < 20; session++) await made.session('driver', ['d', 'e', 'a'])
    await made.wait(600_000)
    const inTenMinutes = asked.length
    expect(inTenMinutes).toBeGreaterThan(3)
    expect(inTenMinutes).toBeLessThanOrEqual(600 / 15 + 15)
    await made.wait(2 * HOUR_MS)
    const inAll = asked.length
    await made.wait(2 * HOUR_MS)
    expect(asked).toHaveLength(inAll)
  })

  it('are not sent where the coordinator has no engine to audit them with', async () => {
    const canaries = scripted(STAGES)
    const made = await fundedWorld({ audits: { ...OWN_ENGINE, hasOwnEngine: () => false }, canaries: canaries.driver })
    canaries.over(made)
    await made.join(['gateway'])
    await made.session('driver', STAGES)
    await made.wait(HOUR_MS)
    expect(canaries.asked).toEqual([])
    expect((await made.sums('driver')).user).toBeLessThan(CREDIT)
  })

  it('that fail are said, and tried again', async () => {
    let tries = 0
    const driver: CanaryDriver = {
      prepare: async () => {
        tries++
        throw new Error('all tabs are busy')
      },
    }
    const made = await fundedWorld({ audits: OWN_ENGINE, canaries: driver })
    await made.session('driver', STAGES)
    await made.wait(300_000)
    expect(tries).toBeGreaterThan(1)
    expect(made.log[0]).toBe('a canary was not answered: all tabs are busy')
    await made.economy.close()
  })

  it('tell nobody of a chain that they are none of a client’s: no stage is told anything else than of a key’s session', async () => {
    const { made } = await doubtful()
    const everything = { models: null, pools: null, budget: null, requestsAMinute: null }
    const { text } = await made.store.keys.create(await made.account('driver'), 'laptop', everything)
    const { voucher, end } = made.economy.pay({ ...(await made.economy.authorize(text, null)), pool: 'public' })
    const toldOf = (from: number) => made.told.slice(from).flatMap(({ name, message }) => (STAGES.includes(name) ? [message.type] : []))
    await made.session('gateway', STAGES, { voucher })
    end()
    await made.wait(2_000)
    const ofKeys = toldOf(0)
    await sessions(made)
    const before = made.told.length
    await made.wait(120_000)
    expect(kinds(made)).toContain('canary')
    expect(new Set(toldOf(before))).toEqual(new Set(ofKeys))
  })
})

describe('a canary’s question', () => {
  it('is a text with a beginning and an end, of any length that is usual, and hardly ever the same', () => {
    const seen = new Set<string>()
    fc.assert(
      fc.property(fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })), (chance) => {
        const { text, maxTokens, temperature } = canaryQuestion(() => chance.next().value ?? 0)
        expect(text).toMatch(/^[A-Z].*[.?!]$/)
        expect(text).not.toMatch(/ {2}| [.?!]|undefined/)
        expect(text.length).toBeLessThan(500)
        expect([maxTokens >= 8, maxTokens <= 64, temperature >= 0, temperature <= 1]).toEqual([true, true, true, true])
      }),
    )
    for (let count = 0; count < 1_000; count++) seen.add(canaryQuestion(Math.random).text)
    expect(seen.size).toBeGreaterThan(950)
  })
})

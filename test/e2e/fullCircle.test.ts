/**
 * Credits' full circle with real tabs: two tabs of one browser compute and earn as one account, a tab of another browser asks and pays from its
 * starter grant, and every sum that their pages show is the ledger's, which then verifies. No audits are carried here, so the rule pays, soon.
 */

import { readFile } from 'node:fs/promises'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  ensureWebApp,
  launchChromium,
  openRequesterTab,
  openVolunteerTab,
  type RequesterTab,
  resolveModel,
  type VolunteerTab,
} from '../../src/node/index.ts'
import { type CoordinatorStore, createServer, openServerStore, type Server, smallestPledgeBytes } from '../../src/server.ts'
import { formatCredits, parseCredits, required } from '../../src/shared/index.ts'
import { askInChat, waitForStatus } from './chatPage.ts'

const TIMEOUT_MS = 240_000
/** Long enough to see what is in escrow. */
const RULE_AFTER_MS = 20_000

let store: CoordinatorStore
let server: Server
let browser: Browser
let volunteer: VolunteerTab
/** Of the same browser. */
let secondTab: Page
let requester: RequesterTab

beforeAll(async () => {
  const model = await resolveModel('default')
  const webRoot = await ensureWebApp(() => undefined)
  const opening = openServerStore({ kind: 'memory' })
  const verification = { ruleAfterMs: RULE_AFTER_MS }
  server = await createServer({ host: '127.0.0.1', port: 0, models: [model], minStages: 2, webRoot, store: opening, verification })
  store = await opening
  browser = await launchChromium({ webGpu: false })
  const pledgeMb = Math.ceil(smallestPledgeBytes(model.hashedManifest.manifest, 2, 0, 'unpacked') / 1e6)
  volunteer = await openVolunteerTab(browser, { url: server.url, latencyMs: 0, pledgeMb, engine: 'wasm' })
  secondTab = await volunteer.page.context().newPage()
  await secondTab.goto(volunteer.page.url())
  await secondTab.getByTestId('start-contributing').click()
  await volunteer.serving(TIMEOUT_MS)
  await secondTab.locator('[data-testid=volunteer-state][data-state=serving]').waitFor({ timeout: TIMEOUT_MS })
  requester = await openRequesterTab(browser, { url: server.url, latencyMs: 0 })
})
afterAll(async () => {
  await browser?.close()
  await server?.close()
})

const accountOf = (page: Page) => page.evaluate(() => globalThis.tabswarm?.store.getState().account?.accountId ?? null)

async function knownAccount(page: Page): Promise<string> {
  await expect.poll(() => accountOf(page), { timeout: 20_000 }).not.toBeNull()
  return required(await accountOf(page), 'the account')
}

/** Credits that can be spent, are set aside, in escrow and earned so far: as the ledger has them, and as the Account page says them. */
async function ledgerFigures(account: string): Promise<string[]> {
  const balances = await store.ledger.balances(account)
  const sum = (kind: string) => balances.reduce((all, one) => (one.account.kind === kind ? all + one.amount : all), 0n)
  return [sum('user'), sum('hold'), sum('escrow'), await store.ledger.paid(account)].map(formatCredits)
}
const pageFigures = (page: Page) => page.getByTestId('balances').locator('dd').allInnerTexts()

/** `hold requester`, in the order of the page. */
async function statementOf(page: Page): Promise<string[]> {
  const lines = await page.getByTestId('statement-line').all()
  return Promise.all(lines.map(async (line) => `${await line.getAttribute('data-kind')} ${await line.getAttribute('data-role')}`))
}

const openAccountPage = (page: Page) => page.getByRole('navigation', { name: 'Pages' }).getByText('Account').click()

describe('the full circle of credits', () => {
  it('two tabs of a browser are one account, and another browser another one', async () => {
    const [first, second, other] = [await knownAccount(volunteer.page), await knownAccount(secondTab), await knownAccount(requester.page)]
    expect(second).toBe(first)
    expect(other).not.toBe(first)
    const peers = await Promise.all(
      [volunteer.page, secondTab].map((page) => page.evaluate(() => globalThis.tabswarm?.store.getState().contributingAs)),
    )
    expect(new Set(peers).size).toBe(2)
  })

  it('a requester sees the price, what its answer is held at, and what it cost', async () => {
    const { page } = requester
    expect(await page.getByTestId('chat-price').innerText()).toMatch(/A million tokens cost \d+\.\d+ credits in an answer/)
    await askInChat(page, 'What is the capital of France?')
    await page.locator('[data-testid=bill][data-settled=false]').waitFor({ timeout: TIMEOUT_MS })
    expect(await page.getByTestId('bill').innerText()).toMatch(/^0\.\d+ credits are set aside/)
    await waitForStatus(page, 'done')
    await page.locator('[data-testid=bill][data-settled=true]').waitFor({ timeout: 60_000 })
    const [, cost = '', held = ''] = /Cost (\S+) credits, of (\S+) that were/.exec(await page.getByTestId('bill').innerText()) ?? []
    const account = await knownAccount(page)
    const events = (await store.ledger.events(account, 0, 100)).map(({ event }) => event)
    expect(events.map(({ command }) => command.kind)).toEqual(['issue', 'hold', 'settle', 'release'])
    const [issue, hold, settle] = events.map(({ postings }) =>
      postings.filter(({ account: { owner, kind } }) => owner === account && kind !== 'user').reduce((sum, { amount }) => sum + amount, 0n),
    )
    expect(issue).toBe(0n)
    expect([parseCredits(held), parseCredits(cost)]).toEqual([hold, -required(settle, 'a settlement')])
    expect(required(settle, 'a settlement')).toBeLessThan(0n)
  })

  it('its account page says what the ledger has, line by line, and as a file', async () => {
    const { page } = requester
    const account = await knownAccount(page)
    await openAccountPage(page)
    await expect.poll(() => pageFigures(page), { timeout: 20_000 }).toEqual(await ledgerFigures(account))
    await expect
      .poll(() => statementOf(page), { timeout: 20_000 })
      .toEqual(['issue account', 'hold requester', 'settle requester', 'release requester'])
    const [available = ''] = await ledgerFigures(account)
    expect(await page.getByTestId('statement').getByRole('row').last().innerText()).toContain(available)
    const download = page.waitForEvent('download')
    await page.getByTestId('statement-csv').click()
    const csv = (await readFile(await (await download).path(), 'utf8')).trim().split('\n')
    expect(csv.map((line) => line.split(',')[3])).toEqual(['kind', 'balance', 'issue', 'hold', 'settle', 'release', 'balance'])
    expect(csv.at(-1)).toBe(`,,closing,balance,,,${parseCredits(available)},0,0,${parseCredits(available)}`)
  })

  it('both tabs see what they earn, from escrow to payout, and are asked to save the phrase, which stops nothing', async () => {
    const { page } = volunteer
    const account = await knownAccount(page)
    const earnings = (tab: Page) => tab.getByTestId('earnings').locator('dd').allInnerTexts()
    await expect.poll(async () => (await ledgerFigures(account))[3], { timeout: RULE_AFTER_MS + 60_000 }).not.toBe('0')
    const [spendable, , escrow, earned] = await ledgerFigures(account)
    expect(escrow).toBe('0')
    // What was earned from a starter grant can be spent as any other.
    expect(spendable).toBe(earned)
    for (const tab of [page, secondTab]) await expect.poll(() => earnings(tab), { timeout: 20_000 }).toEqual([earned, '0', spendable])
    for (const tab of [page, secondTab]) await tab.getByTestId('recovery-notice').waitFor()
    await page.getByTestId('show-phrase').click()
    const words = await page.getByTestId('phrase').locator('li').allInnerTexts()
    expect(words).toHaveLength(12)
    const field = page.getByTestId('phrase-word')
    expect(await page.getByTestId('phrase-saved').isDisabled()).toBe(true)
    await field.fill(words[Number(await field.getAttribute('data-word')) - 1] ?? '')
    await page.getByTestId('phrase-saved').click()
    for (const tab of [page, secondTab]) await tab.getByTestId('recovery-notice').waitFor({ state: 'detached' })
    expect(await page.getByTestId('volunteer-state').getAttribute('data-state')).toBe('serving')
    await openAccountPage(secondTab)
    await expect.poll(() => pageFigures(secondTab), { timeout: 20_000 }).toEqual(await ledgerFigures(account))
    await expect.poll(() => statementOf(secondTab), { timeout: 20_000 }).toEqual(['settle volunteer', 'payout volunteer'])
  })

  it('the ledger verifies, and what the one paid is what the others, fee and verification got', async () => {
    const [earner, payer] = [await knownAccount(volunteer.page), await knownAccount(requester.page)]
    await store.ledger.audit()
    const balances = await store.ledger.balances()
    const sum = (kind: string, owner = '') =>
      balances.reduce((all, { account, amount }) => (account.kind === kind && account.owner === owner ? all + amount : all), 0n)
    expect(balances.reduce((all, { amount }) => all + amount, 0n)).toBe(0n)
    const granted = (await store.ledger.events(payer, 0, 1))
      .flatMap(({ event }) => event.postings)
      .find(({ account }) => account.owner === payer)
    const paid = required(granted, 'the starter grant').amount - sum('user', payer)
    expect(paid).toBeGreaterThan(0n)
    expect(sum('user', earner) + sum('fee') + sum('verification')).toBe(paid)
  })
})

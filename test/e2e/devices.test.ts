/**
 * One account on several browsers, with real tabs: it has API keys, may administer, comes back by its twelve words, a second device joins by a code, and what the browsers
 * had earned before comes along; one is removed, joins a team, takes its data and is erased. Nobody computes here: credits are issued.
 */

import { readFile } from 'node:fs/promises'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EARNED } from '../../src/coordinator/ledger/index.ts'
import { ensureWebApp, launchChromium, openRequesterTab, resolveModel } from '../../src/node/index.ts'
import { type CoordinatorStore, createServer, openServerStore, type Server } from '../../src/server.ts'
import { formatCredits } from '../../src/shared/index.ts'

let store: CoordinatorStore
let server: Server
let browser: Browser
/** Each of a browser of its own. */
let laptop: Page
let phone: Page
let tablet: Page

beforeAll(async () => {
  const [model, webRoot] = [await resolveModel('default'), await ensureWebApp(() => undefined)]
  const opening = openServerStore({ kind: 'memory' })
  server = await createServer({ host: '127.0.0.1', port: 0, models: [model], minStages: 2, webRoot, store: opening })
  store = await opening
  browser = await launchChromium({ webGpu: false })
  const open = async () => {
    const { page } = await openRequesterTab(browser, { url: server.url, latencyMs: 0 })
    await page.getByRole('navigation', { name: 'Pages' }).getByText('Account').click()
    return page
  }
  laptop = await open()
  phone = await open()
  tablet = await open()
})
afterAll(async () => {
  await browser?.close()
  await server?.close()
})

const WAIT = { timeout: 20_000 }
const accountId = (page: Page) => page.getByTestId('account-id').innerText(WAIT)
const spendable = (page: Page) => page.getByTestId('balances').locator('dd').first().innerText()

/** `shown`: what it can spend then. */
async function issue(page: Page, credits: bigint, shown = String(credits)): Promise<void> {
  const [account, reference] = [await accountId(page), `e2e-${await accountId(page)}`]
  await store.ledger.post({ kind: 'issue', reference, account, purse: EARNED, amount: credits * 1_000_000n, note: '' })
  // Behind the coordinator's back: the page is told when it comes again.
  await page.reload()
  await expect.poll(() => spendable(page), WAIT).toBe(shown)
}

async function words(page: Page): Promise<string[]> {
  await page.getByTestId('show-phrase').click()
  return page.getByTestId('phrase').locator('li').allInnerTexts()
}

async function find(page: Page, phrase: string): Promise<void> {
  await page.getByTestId('restore-phrase').fill(phrase)
  await page.getByTestId('restore-find').click()
}

describe('API keys on the page', () => {
  it('[A8] a key is shown once, opens its account within its limits, and nothing after it was revoked', async () => {
    const mine = await accountId(laptop)
    await laptop.getByTestId('key-name').fill('tests')
    await laptop.getByTestId('key-budget').fill('0.5')
    await laptop.getByTestId('key-rate').fill('60')
    await laptop.getByTestId('create-key').click()
    const text = await laptop.getByTestId('key-text').innerText(WAIT)
    expect(await store.keys.authorize(text, null)).toMatchObject({ account: mine, name: 'tests', budget: 500_000n, requestsAMinute: 60 })
    await laptop.getByTestId('key-saved').click()
    await laptop.reload()
    const row = laptop.getByTestId('api-key')
    await row.waitFor(WAIT)
    expect(await row.innerText()).toContain('60 requests a minute')
    expect(await laptop.content()).not.toContain(text)
    await row.getByTestId('revoke-key').click()
    await row.getByTestId('revoke-key-really').click()
    await row.waitFor({ ...WAIT, state: 'detached' })
    await expect(store.keys.authorize(text, null)).rejects.toMatchObject({ reason: 'bad-key' })
  })
})

describe('the admin page', () => {
  const admin = (page: Page) => page.goto(new URL('/admin', server.url).href)

  it('[O1] refuses an account without the role, and says how it is given', async () => {
    const mine = await accountId(laptop)
    await admin(laptop)
    await laptop.getByRole('alert').getByText(`tabswarm account change ${mine} --roles operator,requester,volunteer`).waitFor(WAIT)
    expect(await laptop.getByTestId('credits').count()).toBe(0)
    await store.accounts.change(mine, { roles: ['operator', 'requester', 'volunteer'] })
  })

  it('[O2] … [O5] an operator sees that the credits add up, verifies the ledger, finds an account and grants it some', async () => {
    const other = await accountId(tablet)
    await laptop.reload()
    await laptop.getByTestId('credits').waitFor(WAIT)
    await laptop.getByTestId('account-search').fill(other.slice(0, 10))
    await laptop.getByTestId('search-accounts').click()
    const row = laptop.locator(`[data-testid=account][data-account="${other}"]`)
    await row.getByTestId('open-grant').click(WAIT)
    await row.getByTestId('grant-credits').fill('1.5')
    await row.getByTestId('grant').click()
    await row.getByText('1.5 credits to spend').waitFor(WAIT)
    await expect.poll(() => spendable(tablet), WAIT).toBe('1.5')
    const outstanding = -((await store.ledger.totals()).get('issuance') ?? 0n)
    const figures = laptop.getByTestId('credits').locator('dd')
    await expect.poll(() => figures.first().innerText(), WAIT).toBe(formatCredits(outstanding))
    await laptop.getByTestId('verify-ledger').click()
    expect(await laptop.getByTestId('ledger-right').innerText(WAIT)).toContain(`${formatCredits(outstanding)} credits are outstanding`)
    await laptop.goto(new URL('/account', server.url).href)
  })
})

describe('one account on several browsers', () => {
  it('[A1] [A2] comes back by its twelve words in another browser, whose own earnings come along', async () => {
    const mine = await accountId(laptop)
    expect(await accountId(phone)).not.toBe(mine)
    await issue(laptop, 5n)
    await issue(phone, 2n)
    const phrase = await words(laptop)
    expect(phrase).toHaveLength(12)
    await expect.poll(() => store.recovery.list(mine), WAIT).toHaveLength(1)
    await find(phone, phrase.slice(1).join(' '))
    await phone.getByRole('alert').getByText('it has 11 words, not 12').waitFor()
    await find(phone, phrase.join(' '))
    await phone.getByTestId('restore-found').waitFor(WAIT)
    expect(await phone.getByTestId('restore-found').innerText()).toContain('2 credits that it can transfer')
    await phone.getByTestId('restore-take').click()
    await phone.getByTestId('restored').waitFor(WAIT)
    for (const page of [phone, laptop]) await expect.poll(() => spendable(page), WAIT).toBe('7')
    expect(await accountId(phone)).toBe(mine)
  })

  it('[I1] that browser comes as the account that it brought back when it is opened again', async () => {
    const mine = await accountId(laptop)
    await phone.reload()
    await expect.poll(() => accountId(phone), WAIT).toBe(mine)
    await find(phone, 'abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about')
    await phone.getByRole('alert').getByText('no account is kept here under this recovery phrase').waitFor()
    expect((await store.accounts.details(mine)).identities).toHaveLength(2)
  })

  it('[A4] [A5] [A6] a third joins by the code that one of them shows, once', async () => {
    const mine = await accountId(laptop)
    await issue(tablet, 1n, '2.5')
    await phone.getByTestId('pairing-show').click()
    const code = await phone.getByTestId('pairing-code').innerText()
    expect(code).toMatch(/^[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}$/)
    const type = async (typed: string) => {
      await tablet.getByTestId('join-code').fill(typed)
      await tablet.getByTestId('join').click()
    }
    await type(`${code.slice(0, -1)}${code.endsWith('0') ? '1' : '0'}`)
    await tablet.getByRole('alert').getByText('this code is wrong').waitFor()
    await tablet.getByText('1.5 granted credits stay behind').waitFor(WAIT)
    await type(code.toLowerCase().replaceAll('-', ' '))
    await tablet.getByTestId('joined').waitFor(WAIT)
    await expect.poll(() => accountId(tablet), WAIT).toBe(mine)
    for (const page of [tablet, laptop]) await expect.poll(() => spendable(page), WAIT).toBe('8')
    await type(code)
    await tablet.getByRole('alert').getByText('this code is wrong').waitFor()
    await store.ledger.audit()
  })
})

describe('the list of devices', () => {
  it('[A10] names them, with this browser among them, on every one of them', async () => {
    await laptop.reload()
    await expect.poll(() => laptop.getByTestId('device').count(), WAIT).toBe(3)
    const own = laptop.locator('[data-testid=device][data-own=true]')
    await own.getByTestId('name-device').click()
    await own.getByTestId('device-name').fill('laptop')
    await own.getByTestId('save-device-name').click()
    await own.getByText('laptop').waitFor(WAIT)
    expect(await own.getByTestId('remove-device').count()).toBe(0)
    await tablet.reload()
    await tablet.getByTestId('device').getByText('laptop').waitFor(WAIT)
    expect(await tablet.getByTestId('device').first().innerText()).toContain('open now')
  })

  it('[A11] a browser that is removed has an empty account at once, is told so until it says that it knows, and may come back', async () => {
    const mine = await accountId(laptop)
    await tablet.locator('[data-testid=device][data-own=true]').getByTestId('name-device').click()
    await tablet.getByTestId('device-name').fill('tablet')
    await tablet.getByTestId('save-device-name').click()
    await laptop.reload()
    const row = laptop.getByTestId('device').filter({ hasText: 'tablet' })
    await row.getByTestId('remove-device').click(WAIT)
    await row.getByTestId('remove-device-really').click()
    await row.waitFor({ ...WAIT, state: 'detached' })
    await tablet.getByTestId('device-removed').waitFor(WAIT)
    await expect.poll(() => accountId(tablet), WAIT).not.toBe(mine)
    expect(await spendable(tablet)).toBe('0')
    await tablet.reload()
    await tablet.getByTestId('removal-noted').click(WAIT)
    await tablet.getByTestId('device-removed').waitFor({ ...WAIT, state: 'detached' })
    await tablet.reload()
    await accountId(tablet)
    expect(await tablet.getByTestId('device-removed').count()).toBe(0)
    expect((await store.accounts.details(mine)).identities).toHaveLength(2)
  })
})

describe('teams on the page', () => {
  it('[T1] … [T6] one makes a team and invites another browser’s account, which gives it credits; its keys have budgets', async () => {
    const [owner, guest] = [await accountId(laptop), await accountId(tablet)]
    // An operator’s invitations tie nobody.
    await store.accounts.change(owner, { roles: ['requester', 'volunteer'] })
    await issue(tablet, 3n)
    await laptop.getByTestId('new-team').click(WAIT)
    await laptop.getByTestId('team-name').fill('Lab')
    await laptop.getByTestId('save-team').click()
    const team = laptop.getByTestId('team')
    await team.getByTestId('team-members').click(WAIT)
    await team.getByTestId('invite').click(WAIT)
    const code = await team.getByTestId('invitation-code').innerText(WAIT)
    await tablet.getByTestId('invitation').fill(code)
    await tablet.getByTestId('accept-invitation').click()
    const theirs = tablet.getByTestId('team')
    await theirs.getByTestId('team-fund').click(WAIT)
    expect(await theirs.getByTestId('team-keys').count()).toBe(0)
    await theirs.getByTestId('fund-credits').fill('1.25')
    await theirs.getByTestId('fund').click()
    await expect.poll(() => theirs.getByTestId('team-balance').innerText(), WAIT).toBe('1.25')
    await expect.poll(() => spendable(tablet), WAIT).toBe('1.75')
    const [{ id } = { id: '' }] = await store.teams.of(guest)
    const ties = await store.accounts.ties([owner, guest, id])
    expect(new Set([...ties.values()].map(({ family }) => family)).size).toBe(1)
    await team.getByTestId('team-keys').click()
    await team.getByTestId('key-name').fill('ci')
    await team.getByTestId('scope-pools').fill('trusted')
    await team.getByTestId('create-key').click()
    const text = await team.getByTestId('key-text').innerText(WAIT)
    await team.getByTestId('key-saved').click()
    await team.getByTestId('open-budget').click()
    await team.getByTestId('key-new-budget').fill('0.5')
    await team.getByTestId('save-budget').click()
    await team.getByText('of 0.5 credits spent').waitFor(WAIT)
    expect(await store.keys.authorize(text, { model: 'any', pool: 'trusted' })).toMatchObject({ account: id, budget: 500_000n })
    await expect(store.keys.authorize(text, { model: 'any', pool: 'public' })).rejects.toMatchObject({ reason: 'not-allowed' })
    await theirs.getByTestId('team-leave').click()
    await theirs.getByTestId('leave-really').click()
    await theirs.waitFor({ ...WAIT, state: 'detached' })
    await store.ledger.audit()
  })
})

describe('the ledger, checked by a browser', () => {
  it('[E13] [E14] its lines are in it, and the next head extends the one that this browser saw, also after a reload', async () => {
    const check = async () => {
      await laptop.getByTestId('check-ledger').click()
      return laptop.getByTestId('ledger-holds').innerText(WAIT)
    }
    expect(await check()).toContain('This browser remembers its signed head')
    await laptop.reload()
    await laptop.getByTestId('account-id').waitFor(WAIT)
    const own = (await store.ledger.events(await accountId(laptop), 0, 100)).length
    expect(own).toBeGreaterThan(1)
    const again = await check()
    expect(again).toContain('nothing of that was changed')
    expect(again).toContain(`All ${own} events of this account are in it.`)
  })
})

describe('what is kept of an account', () => {
  it('[A12] is downloaded whole, and [A13] erased after a word: this browser begins anew, with words of its own', async () => {
    const before = await accountId(tablet)
    const download = tablet.waitForEvent('download')
    await tablet.getByTestId('export-account').click()
    const exported = JSON.parse(await readFile(await (await download).path(), 'utf8'))
    expect(exported).toMatchObject({ id: before, devices: [{ name: '' }], keys: [] })
    const inAll = exported.ledger.reduce((sum: number, { credits }: { credits: string }) => sum + Number(credits), 0)
    expect(inAll).toBe(1.75)
    await tablet.getByTestId('open-erase').click()
    expect(await tablet.getByTestId('erase-loss').innerText()).toContain('Its 1.75 credits are lost')
    expect(await tablet.getByTestId('erase-really').isDisabled()).toBe(true)
    await tablet.getByTestId('erase-word').fill('erase')
    await tablet.getByTestId('erase-really').click()
    await expect.poll(() => accountId(tablet), WAIT).not.toBe(before)
    await expect(store.accounts.record(before)).rejects.toMatchObject({ reason: 'unknown' })
    expect((await store.ledger.balances(before)).map(({ amount }) => amount)).toEqual([1_750_000n])
    const after = await accountId(tablet)
    await expect.poll(() => store.recovery.list(after), WAIT).toHaveLength(1)
  })
})

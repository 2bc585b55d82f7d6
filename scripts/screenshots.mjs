/**
 * Pictures of every page and state, at phone and desktop width, in both themes, and an axe run on each.
 *   node scripts/screenshots.mjs [FOLDER] [SCENARIO…]     exit code 1 on any accessibility violation, overflow or foreign request
 */

import { mkdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { build } from 'vite'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')
const folder = path.resolve(process.argv[2] ?? path.join(root, 'dist/screenshots'))
const only = process.argv.slice(3)
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js')
const MIME = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.json': 'application/json' }

const VIEWPORTS = [
  { name: 'phone', width: 390, height: 844 },
  { name: 'desktop', width: 1440, height: 900 },
]
const SCENARIOS = {
  '/': ['no-network', 'no-tabs', 'one-tab', 'two-tabs', 'mixed-tabs', 'many-tabs', 'offline'],
  '/contribute': [
    'no-tabs',
    'detecting',
    'measuring',
    'waiting',
    'loading',
    'serving',
    'processor',
    'alone',
    'recovering',
    'draining',
    'paused',
    'paused-busy',
    'stopping',
    'no-webgpu',
    'failed',
    'account-unsaved',
    'account-private',
    'audits-passed',
    'audits-failed',
    'audits-odd',
  ],
  '/chat': [
    'no-tabs',
    'two-tabs',
    'chat-queued',
    'chat-reading',
    'chat-answering',
    'chat-repairing',
    'chat-handing-over',
    'chat-done',
    'chat-failed',
    'chat-poor',
    'chat-too-long',
    'draft-offered',
    'draft-loading',
    'draft-ready',
    'draft-refused',
  ],
  '/bench': [
    'bench-idle',
    'bench-running',
    'bench-done',
    'bench-ort',
    'bench-cancelled',
    'bench-failed',
    'bench-imported',
    'bench-compared',
    'bench-no-webgpu',
    'bench-no-adapter',
    'bench-model',
    'bench-model-loading',
  ],
  '/account': [
    'account',
    'account-new',
    'account-unknown',
    'account-unsaved',
    'account-phrase',
    'account-private',
    'account-failed',
    'account-first',
    'account-code',
    'account-join-refused',
    'account-restore',
    'account-keys',
    'account-key-made',
    'account-key-revoke',
    'account-keys-failed',
    'account-restore-unknown',
    'account-device-name',
    'account-device-remove',
    'account-removed',
    'account-team-members',
    'account-team-keys',
    'account-team-settings',
    'account-team-fund',
    'account-team-new',
    'account-invitation-refused',
    'account-erase',
    'account-ledger',
    'account-ledger-broken',
  ],
  '/admin': ['admin', 'admin-refused', 'admin-empty', 'admin-roles', 'admin-grant', 'admin-broken'],
  '/reference': ['reference', 'reference-open', 'reference-lost'],
  '/nowhere': ['two-tabs'],
}

await build({ configFile: path.join(root, 'test/ui-preview/vite.config.ts'), logLevel: 'error' })
const web = path.join(root, 'dist/ui-preview')
/** The policy that the coordinator should send: styles may be inline (Mantine's variables), scripts never. */
const POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
const server = createServer(async (request, response) => {
  const { pathname } = new URL(request.url ?? '/', 'http://localhost')
  const file = path.extname(pathname) === '' ? 'index.html' : pathname
  const body = await readFile(path.join(web, path.normalize(file))).catch(() => null)
  response.writeHead(body === null ? 404 : 200, {
    'content-type': MIME[path.extname(file)] ?? 'application/octet-stream',
    'content-security-policy': POLICY,
  })
  response.end(body)
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const origin = `http://127.0.0.1:${server.address().port}`

await mkdir(folder, { recursive: true })
const browser = await chromium.launch({ executablePath: process.env.TABSWARM_CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] })
let problems = 0
const complain = (where, what) => {
  problems++
  console.error(`${where}: ${what}`)
}

for (const { name: device, width, height } of VIEWPORTS) {
  for (const colorScheme of ['light', 'dark']) {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme, reducedMotion: 'reduce', bypassCSP: false })
    for (const [route, scenarios] of Object.entries(SCENARIOS)) {
      for (const scenario of scenarios) {
        if (only.length > 0 && !only.includes(scenario)) continue
        const name = `${route === '/' ? 'home' : route.slice(1)}-${scenario}-${device}-${colorScheme}`
        await picture(context, name, `${origin}${route}?scenario=${scenario}`, scenario)
      }
    }
    await context.close()
  }
}

async function picture(context, name, url, scenario) {
  const page = await context.newPage()
  page.on('pageerror', (error) => complain(name, error.message))
  page.on('console', (message) => message.type() === 'error' && complain(name, message.text()))
  page.on('request', (request) => new URL(request.url()).origin !== origin && complain(name, `asked ${request.url()}`))
  if (scenario === 'reference-lost')
    await page.route('**/openapi.json', (route) => route.fulfill({ contentType: 'application/json', body: '{}' }))
  await page.goto(url)
  await page.getByRole('heading', { level: 1 }).first().waitFor({ state: 'attached' })
  if (scenario === 'reference-open') await page.getByText('parameters of POST /v1/responses').click()
  if (scenario.startsWith('chat-')) {
    await page.getByTestId('chat-input').fill('What is the capital of France? Name two cities with their people in a table.')
    await page.getByTestId('chat-send').click()
  }
  if (scenario.startsWith('draft-')) {
    await page.getByLabel('Options of the answer').click()
    await page.getByTestId('draft-model').waitFor({ state: 'attached' })
  }
  if (scenario.startsWith('account-')) await playAccount(page, scenario)
  if (scenario === 'admin-roles' || scenario === 'admin-grant')
    await page
      .getByTestId(`open-${scenario.slice(6)}`)
      .first()
      .click()
  if (scenario === 'admin' || scenario === 'admin-broken') await page.getByTestId('verify-ledger').click()
  if (scenario.startsWith('bench-')) await playBench(page, scenario)
  await page.waitForLoadState('networkidle')
  await page.screenshot({ path: path.join(folder, `${name}.png`), fullPage: true })
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  if (overflow > 0) complain(name, `${overflow} px wider than the screen`)
  await page.evaluate(await readFile(axe, 'utf8'))
  const { violations } = await page.evaluate(() => globalThis.axe.run())
  for (const { id, nodes } of violations)
    complain(name, `axe ${id}: ${nodes[0]?.html.slice(0, 160)} (${nodes[0]?.failureSummary?.split('\n')[1]?.trim()})`)
  await page.close()
}

/** What a person does first on the Account page of this scenario. */
async function playAccount(page, scenario) {
  if (scenario === 'account-phrase') await page.getByTestId('show-phrase').click()
  if (scenario === 'account-code') await page.getByTestId('pairing-show').click()
  if (scenario === 'account-join-refused') {
    await page.getByTestId('join-code').fill('K7QF-2M9X-TB4D')
    await page.getByTestId('join').click()
  }
  if (scenario.startsWith('account-device-'))
    await page
      .getByTestId(`${scenario.slice(15)}-device`)
      .last()
      .click()
  if (scenario === 'account-team-new') await page.getByTestId('new-team').click()
  else if (scenario.startsWith('account-team-'))
    await page
      .getByTestId(`team-${scenario.slice(13)}`)
      .first()
      .click()
  if (scenario === 'account-team-members') await page.getByTestId('invite').click()
  if (scenario === 'account-team-keys') await page.getByTestId('open-budget').click()
  if (scenario === 'account-invitation-refused') {
    await page.getByTestId('invitation').fill('W3RT-8ZPA-5KQ1')
    await page.getByTestId('accept-invitation').click()
  }
  if (scenario.startsWith('account-ledger')) await page.getByTestId('check-ledger').click()
  if (scenario === 'account-erase') await page.getByTestId('open-erase').click()
  if (scenario === 'account-key-made') {
    await page.getByTestId('key-name').fill('laptop')
    await page.getByTestId('key-budget').fill('20')
    await page.getByTestId('create-key').click()
  }
  if (scenario === 'account-key-revoke') await page.getByTestId('revoke-key').first().click()
  if (scenario.startsWith('account-restore')) {
    await page.getByTestId('restore-phrase').fill('harbor velvet orbit candle mimic ribbon tunnel glance pepper acoustic lizard swarm')
    await page.getByTestId('restore-find').click()
  }
}

/** What a person does first on the Benchmark page of this scenario: compare, open a file, press Run. */
async function playBench(page, scenario) {
  const withOrt = ['bench-running', 'bench-ort', 'bench-failed'].includes(scenario)
  if (withOrt) await page.getByTestId('bench-ort').check({ force: true })
  if (['bench-imported', 'bench-compared'].includes(scenario)) {
    const json = await page.evaluate(() => globalThis.savedRun())
    await page.setInputFiles('input[type=file]', { name: 'laptop.json', mimeType: 'application/json', buffer: Buffer.from(json) })
    await page.getByTestId('bench-comparison').waitFor()
  }
  if (scenario.startsWith('bench-model')) {
    await page.getByTestId('bench-model-run').click()
    await page.waitForTimeout(200)
  }
  if (/idle|imported|no-webgpu|model/.test(scenario)) return
  await page.getByTestId('bench-run').click()
  await page.waitForTimeout(300)
}

await browser.close()
server.close()
console.log(`${problems} problems; pictures in ${folder}`)
process.exitCode = problems === 0 ? 0 : 1

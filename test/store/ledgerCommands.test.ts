/** `tabswarm ledger …` as an operator runs it: real processes on a real store, what they print, and what they end with. */

import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, inject, it, onTestFinished } from 'vitest'
import { storeKinds } from '../support/ledger/stores.ts'
import { createDatabase } from '../support/postgres.ts'

const command = fileURLToPath(new URL('../../bin/tabswarm.mjs', import.meta.url))
const ACCOUNT = 'a1'.repeat(16)

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** An empty store of that kind, as its operator names it, and a folder for files. */
async function place(kind: (typeof storeKinds)[number]) {
  const folder = await mkdtemp(path.join(tmpdir(), 'tabswarm-cli-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const { DATABASE_URL: _, ...rest } = process.env
  const env = kind === 'postgres' ? { ...rest, DATABASE_URL: await createDatabase(inject('postgresUrl')) } : rest
  const run = (...args: readonly string[]) =>
    new Promise<Ended>((resolve) => {
      const all = [command, 'ledger', ...args, '--data', path.join(folder, 'data')]
      execFile(process.execPath, all, { env, maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
      })
    })
  return { folder, run }
}

it.each(storeKinds)('grant, balance, export and verify agree with each other, on %s', async (kind) => {
  const { folder, run } = await place(kind)
  const granted = await run('grant', ACCOUNT, '12.5', '--days', '7', '--reference', 'welcome', '--note', 'for a try', '--json')
  expect(granted).toMatchObject({ code: 0, stderr: '' })
  expect(JSON.parse(granted.stdout)).toMatchObject({ account: ACCOUNT, credits: '12.5', repeated: false, event: 'issue/welcome' })
  const again = await run('grant', ACCOUNT, '12.5', '--days', '7', '--reference', 'welcome', '--note', 'for a try')
  expect(again).toMatchObject({ code: 0 })
  expect(again.stdout).toContain('was granted before')
  expect(await run('grant', ACCOUNT, '0.25', '--earned')).toMatchObject({ code: 0 })

  const balance = JSON.parse((await run('balance', ACCOUNT, '--json')).stdout)
  expect(balance.balances.map(({ credits }: { credits: string }) => credits).sort()).toEqual(['0.25', '12.5'])
  const verified = await run('verify', '--json')
  expect(verified).toMatchObject({ code: 0 })
  expect(JSON.parse(verified.stdout)).toMatchObject({ events: 2, outstandingCredits: '12.75' })

  const exported = await run('export')
  expect(exported).toMatchObject({ code: 0, stderr: '' })
  const file = path.join(folder, 'ledger.jsonl')
  writeFileSync(file, exported.stdout)
  expect(JSON.parse((await run('verify', '--file', file, '--json')).stdout)).toEqual(JSON.parse(verified.stdout))
  const csv = (await run('export', '--format', 'csv')).stdout.trim().split('\n')
  // Two events with two postings each, below their header.
  expect(csv).toHaveLength(1 + 4)
  expect(csv.filter((line) => line.includes(ACCOUNT))).toHaveLength(2)

  // Whoever changes a line is found by its number, without the store.
  const lines = readFileSync(file, 'utf8').split('\n')
  const at = lines.findIndex((line) => line.includes('12500000'))
  writeFileSync(file, lines.with(at, String(lines[at]).replaceAll('12500000', '99500000')).join('\n'))
  const broken = await run('verify', '--file', file)
  expect(broken.code).not.toBe(0)
  expect(broken.stderr).toMatch(new RegExp(`line ${at + 1}\\b`))
})

it('what is no account, no amount or no store is refused by name, and changes nothing', async () => {
  const { run } = await place('pglite')
  const none = await run('verify')
  expect(none.code).not.toBe(0)
  expect(none.stderr).toContain('there is no store')
  for (const [args, word] of [
    [['grant', ACCOUNT, 'many'], 'positive number'],
    [['grant', 'not an account', '1'], '<account>'],
    [['grant', ACCOUNT, '1', '--days', '0'], '--days'],
  ] as const) {
    const refused = await run(...args)
    expect([refused.code === 0, refused.stdout]).toEqual([false, ''])
    expect(refused.stderr).toContain(word)
  }
  expect((await run('balance')).code).not.toBe(0)
})
